from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

import pytest

from segkit import ConfigError, catalog
from segkit.data.sources.folder import open_folder
from tests.helpers.errors import fails

ROOT = Path(__file__).parents[2]
TABLES = {
    name: table
    for name, table in vars(catalog).items()
    if name.isupper() and isinstance(table, dict)
}
PARTS = [(table, name, target) for table, parts in TABLES.items() for name, target in parts.items()]


def test_the_tables_are_found() -> None:
    assert {"SOURCES", "ENCODERS", "DECODERS", "LOSSES", "METRICS"} <= set(TABLES)


@pytest.mark.parametrize(("table", "name", "target"), PARTS)
def test_every_part_exists_at_its_place_in_the_table(table: str, name: str, target: str) -> None:
    """Look up each part in the file's syntax tree, because importing losses would load Keras."""
    module, _, attribute = target.partition(":")
    file = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    assert attribute in {
        node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)
    }


def test_a_part_is_loaded_by_name_or_by_its_place() -> None:
    assert catalog.load_part(catalog.SOURCES, "folder") is open_folder
    assert (
        catalog.load_part(catalog.SOURCES, "segkit.data.sources.folder:open_folder") is open_folder
    )
    assert catalog.find(catalog.SOURCES, "mine.loader:open_mine") == "mine.loader:open_mine"


@pytest.mark.parametrize(("name", "near"), [("foldr", True), ("zzz", False)])
def test_the_error_for_an_unknown_name_lists_known_ones_and_the_nearest(
    name: str, near: bool
) -> None:
    with fails(
        ConfigError,
        "unknown-name",
        f"{name!r}",
        "coco, folder, scans, shapes, tfds",
        setting="data.source",
    ) as problem:
        catalog.find(catalog.SOURCES, name, "data.source")
    assert ("'folder'" in str(problem.value)) == near


@pytest.mark.parametrize("name", ["nowhere.to.be:found", "segkit.data.sources.folder:missing"])
def test_an_own_part_that_cannot_be_imported_is_named(name: str) -> None:
    with fails(ConfigError, "not-importable", f"{name!r}"):
        catalog.load_part(catalog.SOURCES, name)


def test_an_error_inside_a_known_part_is_not_hidden() -> None:
    broken: Mapping[str, str] = {"broken": "segkit.no_such_module:part"}
    with pytest.raises(ModuleNotFoundError):
        catalog.load_part(broken, "broken")
