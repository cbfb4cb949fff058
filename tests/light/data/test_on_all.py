"""A training on all samples holds nothing back, and refuses settings that would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from segkit import ConfigError, Task
from segkit.config import Config, as_config
from segkit.data import parts as parts_module
from segkit.data.parts import divided_parts, open_parts, places_of
from tests.helpers.errors import fails
from tests.helpers.samples import InMemory


def config(**data: Any) -> Config:
    data = {"source": "shapes", "count": 30, "size": [16, 16], "on_all": True, **data}
    return Config.model_validate({"task": Task.binary("disc").model_dump(), "data": data})


def test_all_samples_train_and_no_part_is_divided() -> None:
    settings = config(validation=0.2, test=0.3)
    parts = open_parts(settings)
    assert parts["train"].names == [f"shape_{i:05d}" for i in range(30)]
    assert [len(parts[part]) for part in ("validation", "test")] == [0, 0]
    assert divided_parts(settings, parts) == []
    assert places_of(settings, parts) == {}


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ({"validation": ["b"], "test": ["d"]}, "abcde"),
        ({"train": ["e", "a"], "validation": ["b"], "test": []}, "abe"),
    ],
    ids=["train is the rest", "train is listed"],
)
def test_samples_that_a_data_set_lists_for_any_part_train(
    listed: dict[str, list[str]], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = InMemory([])
    source.names = list("abcde")
    source.parts = listed
    monkeypatch.setattr(parts_module, "open_source", lambda data, task: source)
    parts = open_parts(config())
    assert parts["train"].names == list(expected)
    assert not parts["validation"].names
    assert not parts["test"].names


def test_groups_do_not_matter_without_parts() -> None:
    assert len(open_parts(config(groups="no sample has this name"))["train"]) == 30


def test_a_fold_or_a_part_with_its_own_files_is_a_contradiction(tmp_path: Path) -> None:
    with fails(ConfigError, "contradiction", "2/5", setting="data.on_all"):
        config(fold="2/5")
    for part in ("validation", "test"):
        with fails(ConfigError, "contradiction", f"data.{part}=0", setting="data.on_all"):
            config(**{part: {"images": str(tmp_path)}})


def test_older_configs_hold_samples_back() -> None:
    assert not as_config({"task": Task.binary("disc").model_dump()}).data.on_all
