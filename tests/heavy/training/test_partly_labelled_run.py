"""A run on images of which each was annotated for some classes only."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import segkit
from segkit import Task
from segkit.config import Config
from segkit.data.sources.source import open_source
from segkit.run import Run
from tests.helpers.listings import listing

CLASSES = ["background", "disc", "square", "triangle"]
SETTINGS = {
    "epochs": 2,
    "batch_size": 4,
    "crop": [32, 32],
    "pictures": 1,
    "tensorboard": False,
}


def config_of(root: Path) -> Config:
    """Save images of shapes, of which every second one was annotated for discs and squares only."""
    shapes = Config.model_validate(
        {
            "task": {"kind": "multiclass", "classes": CLASSES},
            "data": {"source": "shapes", "count": 24, "size": [40, 36]},
        }
    )
    source = open_source(shapes.data, shapes.task)
    rows = [("image", "mask", "split", "labelled_classes")]
    for number, name in enumerate(source.names):
        sample = source.read(name)
        labelled = "all"
        mask = sample.mask
        if number % 2:
            labelled = "disc|square"
            mask = np.where(mask == 3, 0, mask).astype(np.uint8)
        for folder, pixels in (("images", sample.image), ("masks", mask)):
            (root / folder).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(root / folder / f"{name}.png")
        part = "train" if number < 16 else ("validation", "test")[number % 2]
        rows.append((f"images/{name}.png", f"masks/{name}.png", part, labelled))
    data = listing(root, *rows)
    return Config.model_validate(
        {
            "task": {
                "kind": "multiclass",
                "classes": CLASSES,
                "parents": {"angular": ["square", "triangle"]},
            },
            "data": {"list_file": str(data.list_file)},
            "model": {"width": 4, "depth": 2, "image_head": 0.1},
            "loss": {"cross_entropy": {"label_smoothing": 0.1}, "dice": 1, "boundary": 0.1},
            "train": SETTINGS,
        }
    )


@pytest.mark.one_backend
def test_a_run_trains_on_sets_and_reports_what_is_open(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    run = segkit.train(config, tmp_path / "run")
    task = run.config().task
    assert task.sets == (("square", "triangle"), ("background", "triangle"))
    report = run.scored()
    assert report["open"]["disc"]["known"] == 1.0
    triangle = report["classes"]["triangle"]
    assert 0 < report["open"]["triangle"]["known"] < 1
    low, high = report["open"]["triangle"]["dice_bounds"]
    assert (low or 0) <= (triangle["dice"] or 0) <= high
    assert set(report["parents"]) == {"angular"}
    history = run.rows()
    assert all(np.isfinite(row["loss"]) for row in history)
    again = segkit.train(config, tmp_path / "run", resume=True)
    assert again.rows() == history
    segkit.tune(tmp_path / "run")
    scores = segkit.evaluate(tmp_path / "run", tmp_path / "images", tmp_path / "masks")
    assert scores["open"]["triangle"]["known"] == 1.0  # plain folders say nothing of open classes
    assert Run.open(tmp_path / "run").config().task.sets == task.sets
    mask = segkit.Predictor.load(tmp_path / "run")(np.zeros((40, 36, 3), np.uint8))
    assert mask.max() < Task.multiclass(CLASSES).channels
    saved = json.loads((tmp_path / "run" / "scores.json").read_text(encoding="utf-8"))
    assert saved["open"] == report["open"]
