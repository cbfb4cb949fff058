"""scripts/pages writes a page of all settings, one of all commands, and the tables of the
folders.
"""

from __future__ import annotations

import argparse
import re
import runpy
from pathlib import Path

import pytest
from pydantic import BaseModel

import segkit
from scripts.pages.commands import arguments_table, command_parsers, commands_page, usage_of
from scripts.pages.hooks import EXTERNAL
from scripts.pages.house import describe_package, floors_table, tree_tables
from scripts.pages.relink import relink
from scripts.pages.settings import (
    all_settings,
    attribute_docstrings,
    describe_values,
    settings_page,
)
from segkit.cli.commands import COMMANDS
from segkit.config import Config, PartConfig, VectorConfig
from segkit.config.loss import TERMS

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs"


def test_every_setting_has_a_heading() -> None:
    page = settings_page()
    headings = re.findall(r"^### `([\w.]+)`", page, re.MULTILINE)
    assert headings == all_settings()
    assert {"task.kind", "data.mask_values", "train.epochs", "decode.temperature"} <= set(headings)
    for name in (*PartConfig.model_fields, *VectorConfig.model_fields, *TERMS):
        assert f"`{name}`" in page


def test_a_setting_has_its_values_default_and_description() -> None:
    [entry] = re.findall(r"^### `train.ema`.*?(?=^### )", settings_page(), re.DOTALL | re.MULTILINE)
    assert "number from 0 to below 1 · default: `0.0`" in entry
    assert len(entry.splitlines()[4]) > 20


def test_every_setting_of_a_training_run_is_found_in_the_config() -> None:
    dumped = Config(task={"kind": "binary", "classes": ["crack"]}).model_dump()
    for name in all_settings():
        section, _, setting = name.partition(".")
        value = dumped[section]
        assert setting == "" or value is None or setting in value or name == "data.trust"


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        ({"type": "integer", "exclusiveMinimum": 0}, "integer from 1"),
        ({"type": "number", "exclusiveMinimum": 0}, "number above 0"),
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 1}, "number from 0 to below 1"),
        ({"type": "string", "format": "path"}, "path"),
        ({"type": "array", "items": {"type": "string"}}, "list of text"),
        ({"type": "array", "prefixItems": [{"type": "integer"}] * 2}, "list of 2: integer"),
        (
            {"type": "object", "additionalProperties": {"type": "boolean"}},
            "table (name: `true`, `false`)",
        ),
        ({"const": "all"}, "`all`"),
    ],
)
def test_values_of_a_schema_are_described(schema: dict[str, object], values: str) -> None:
    assert describe_values(schema) == values


class Base(BaseModel):
    first: int = 0
    """Of the base."""
    second: int = 0


class Derived(Base):
    second: int = 1
    """Two lines."""
    third: int = 2


def test_docstrings_of_fields_are_found_in_a_class_and_its_bases() -> None:
    assert attribute_docstrings(Derived) == {"first": "Of the base.", "second": "Two lines."}


def test_every_command_and_argument_is_on_the_page() -> None:
    page = commands_page()
    assert re.findall(r"^## segkit ([\w-]+)", page, re.MULTILINE) == list(COMMANDS)
    sections = re.split(r"^## segkit ", page, flags=re.MULTILINE)[1:]
    for section, parser in zip(sections, command_parsers().values(), strict=True):
        for action in parser._actions:
            for option in action.option_strings:
                assert f"`{option}" in section
            assert action.option_strings or f"`{action.metavar}`" in section


def test_arguments_of_a_parser_are_a_table() -> None:
    parser = argparse.ArgumentParser("do")
    parser.add_argument("path", metavar="PATH", help="a | b")
    parser.add_argument("--many", type=int, default=3, help="how many (default: %(default)s)")
    parser.add_argument("--way", nargs="?", choices=("a", "b"), help="which")
    parser.add_argument("--quiet", action="store_true", help=argparse.SUPPRESS)
    table = arguments_table(parser).splitlines()
    assert table[3:] == [
        "| `PATH` | a \\| b |",
        "| `--many MANY` | how many (default: 3) |",
        "| `--way [a\\|b]` | which |",
    ]
    assert usage_of(parser).startswith("do [-h]")


def test_the_files_of_a_package_are_read_from_its_docstring() -> None:
    source = (
        '"""Losses\nof all kinds.\n\na.py   one\n       and more\nb.py, c.py\n      '
        ' no\nd.py  two\n"""'
    )
    assert describe_package(source) == (
        "Losses of all kinds.",
        [("a.py", "one and more no"), ("d.py", "two")],
    )


def test_every_folder_of_segkit_is_in_the_house() -> None:
    tree = tree_tables()
    for package in (ROOT / "segkit").rglob("__init__.py"):
        assert f"### {package.parent.relative_to(ROOT).as_posix()} " in tree
    floors = floors_table()
    for folder in (ROOT / "segkit").iterdir():
        if (folder / "__init__.py").exists():
            assert f"`segkit.{folder.name}`" in floors


@pytest.mark.parametrize(
    ("link", "source", "relinked"),
    [
        ("https://keras.io/a", "docs/a.md", "https://keras.io/a"),
        ("../b.md#c", "docs/how-to/a.md", "../b.md#c"),
        ("docs/b.md", "CHANGELOG.md", "b.md"),
        ("../../CHANGELOG.md#x", "docs/how-to/a.md", "../about/log.md#x"),
        ("CHANGELOG.md", "README.md", "../about/log.md"),
        ("../LICENSE", "docs/a.md", "../LICENSE"),
    ],
)
def test_links_lead_to_places_on_the_site(link: str, source: str, relinked: str) -> None:
    places = {"CHANGELOG.md": "about/log.md", "README.md": "start/index.md"}
    if source == "CHANGELOG.md":
        places = {}
        places[source] = "log.md"
    assert relink(f"[a]({link})", source, places) == f"[a]({relinked})"


def test_the_diagrams_are_as_drawn_and_name_files_that_exist() -> None:
    drawn = runpy.run_path(str(PAGES / "images" / "draw_diagrams.py"))
    for name, steps in drawn["DIAGRAMS"].items():
        picture = (PAGES / "images" / name).read_text(encoding="utf-8")
        title = re.findall("<title>(.*)</title>", picture)[0]
        assert drawn["draw"](steps, title) == picture
        for step in steps:
            assert (ROOT / step.path).exists()


def test_every_public_name_is_in_the_reference_of_python() -> None:
    page = (PAGES / "reference" / "python.md").read_text(encoding="utf-8")
    modules = {"Config", "VOID"}
    for name in set(segkit.__all__) - modules:
        assert re.search(rf"^::: segkit\.{name}$", page, re.MULTILINE), name


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ('<script src="https://cdn.example/a.js"></script>', True),
        ('<img alt="x" src="//example.org/a.png">', True),
        ('<link rel="stylesheet" href="https://fonts.example/a.css">', True),
        ('<script src="../assets/a.js"></script>', False),
        ('<a href="https://keras.io">Keras</a>', False),
    ],
)
def test_pages_that_load_from_elsewhere_are_found(html: str, found: bool) -> None:
    assert bool(EXTERNAL.search(html)) == found
