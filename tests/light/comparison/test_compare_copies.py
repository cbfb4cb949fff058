"""A comparison scores the images that a training left out after it has moved copies."""

from __future__ import annotations

from pathlib import Path

from segkit.comparison.compare import _scored_part
from segkit.comparison.settings import Setting, scored_part
from segkit.comparison.trainings import Training
from segkit.config import Config, InputConfig
from segkit.data.parts import open_parts


def test_the_scored_part_is_that_of_the_run(tmp_path: Path) -> None:
    data = {"source": "shapes", "count": 40, "size": [16, 16]}
    task = {"kind": "binary", "classes": ["shape"]}
    config = Config.model_validate({"task": task, "data": data})
    parts = open_parts(config)
    together = [[parts["test"].names[0], parts["train"].names[0], parts["train"].names[1]]]
    moved = Config.model_validate({"task": task, "data": {**data, "keep_together": together}})
    found = InputConfig(channels=3, dtype="uint8", mean=(0,) * 3, std=(1,) * 3, low=0, high=255)
    training = Training(Setting("a", config), 0, tmp_path)
    training.run.create(moved.with_input(found))
    names = list(_scored_part(training).names)
    assert names == list(scored_part(moved)[1].names)
    assert names != list(scored_part(config)[1].names)
