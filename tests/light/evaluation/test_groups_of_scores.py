"""The groups over which intervals are computed."""

from __future__ import annotations

from typing import Any

import pytest

from segkit.config import RunConfig
from segkit.data.sources.source import Subset
from segkit.evaluation.evaluate import find_groups
from segkit.system.progress import Progress
from segkit.task import Task

SETTINGS: dict[str, Any] = {
    "task": Task.binary("cell").model_dump(),
    "data": {"source": "shapes"},
    "input": {"channels": 3, "dtype": "uint8", "mean": [1], "std": [1], "low": 0, "high": 255},
}


class Warnings(Progress):
    """Collects the warnings."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def warning(self, text: str) -> None:
        self.found.append(text)


@pytest.mark.parametrize(
    ("pattern", "names", "groups", "warnings"),
    [
        (None, ["a1_1", "a1_2"], None, 0),
        (r"(a\d)_", ["a1_1", "a1_2", "a2_1"], ["a1", "a1", "a2"], 0),
        (r"(a\d)_", ["a1_1", "new"], None, 1),
    ],
)
def test_groups_are_those_of_the_config_unless_new_names_have_none(
    pattern: str | None, names: list[str], groups: list[str] | None, warnings: int
) -> None:
    settings = {**SETTINGS, "data": {"source": "shapes", "groups": pattern}}
    progress = Warnings()
    part = Subset(object(), names)  # type: ignore[arg-type]  # no sample is read
    assert find_groups(part, RunConfig.model_validate(settings), progress) == groups
    assert len(progress.found) == warnings
