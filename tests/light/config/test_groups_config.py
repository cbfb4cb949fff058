"""The settings `data.groups` and `data.keep_together`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from segkit import ConfigError
from segkit.config import Config, DataConfig, GroupsConfig
from segkit.config.reading import as_config, changed
from tests.helpers.errors import fails

TASK = {"kind": "binary", "classes": ["x"]}


def test_a_string_is_a_pattern() -> None:
    assert DataConfig.model_validate({"groups": "a(.)"}).groups == GroupsConfig(pattern="a(.)")
    assert DataConfig().groups is None


@pytest.mark.parametrize(
    ("groups", "code", "value"),
    [
        ({}, "missing-setting", "pattern"),
        ({"pattern": "a", "folder": 1}, "contradiction", "folder"),
        ("(", "wrong-value", "'('"),
        ({"folder": 0}, "wrong-value", 0),
        ({"patient": "a"}, "unknown-setting", "patient"),
        ({"column": "patient"}, "missing-setting", "data.list_file"),
    ],
)
def test_wrong_groups_are_refused(groups: Any, code: str, value: object) -> None:
    with fails(ConfigError, code, value):
        as_config({"task": TASK, "data": {"groups": groups}})


def test_the_settings_survive_yaml(tmp_path: Path) -> None:
    data = {"groups": r"(case\d+)_.*", "keep_together": [["é 1", "b"], ["c", "d"]]}
    config = as_config({"task": TASK, "data": data})
    (tmp_path / "a.yaml").write_text(config.as_yaml(), encoding="utf-8")
    assert as_config(tmp_path / "a.yaml") == config
    assert changed(config, ["data.groups={folder: 2}"]).data.groups == GroupsConfig(folder=2)
    assert changed(config, ["data.groups=null"]).data.groups is None
    assert Config.model_validate(config.model_dump()) == config
