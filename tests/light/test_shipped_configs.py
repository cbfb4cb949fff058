"""Shipped configs are valid, name their command, and come back unchanged from a run folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from segkit.config import read

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))


def test_there_are_configs_for_each_kind_of_task() -> None:
    assert {read(path).task.kind for path in CONFIGS} == {"binary", "multiclass", "multilabel"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_config_is_valid_and_names_its_command(path: Path, tmp_path: Path) -> None:
    assert f"segkit train configs/{path.name}" in path.read_text(encoding="utf-8")
    copy = tmp_path / "config.yaml"
    copy.write_text(read(path).as_yaml(), encoding="utf-8")
    assert read(copy) == read(path)


def test_the_packaged_demo_is_the_shipped_config_of_shapes() -> None:
    shipped = yaml.safe_load((ROOT / "configs" / "shapes.yaml").read_text(encoding="utf-8"))
    packaged = yaml.safe_load(
        (ROOT / "segkit" / "training" / "demo.yaml").read_text(encoding="utf-8")
    )
    assert packaged == shipped
