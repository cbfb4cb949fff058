"""The demo: from the packaged config to masks, overlays and scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from segkit import RunError
from segkit.io.images import list_images
from segkit.training.demo import demo
from tests.helpers.errors import fails


@pytest.mark.one_backend
def test_the_demo_trains_predicts_and_scores(tmp_path: Path) -> None:
    settings = [
        "data.count=24",
        "data.size=[32, 32]",
        "train.crop=[32, 32]",
        "train.epochs=1",
        "model.width=4",
    ]
    made = demo(tmp_path / "demo", settings=settings)
    images = list_images(tmp_path / "demo" / "test" / "images")
    assert len(images) >= 2
    assert set(list_images(made.masks)) == set(list_images(made.overlays)) == set(images)
    assert json.loads(made.scores.read_text(encoding="utf-8")) == made.report
    assert made.report["images"] == len(images)
    assert made.run.is_dir()
    with fails(RunError, "exists-already", tmp_path / "demo"):
        demo(tmp_path / "demo")
