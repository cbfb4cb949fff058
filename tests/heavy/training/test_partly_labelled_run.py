"""A run on images of which each was annotated for some classes only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import segkit
from segkit import Task
from segkit.config import Config
from segkit.data.sources.source import open_source
from segkit.run import Run
from tests.helpers.label_sets import labelme_file, labelme_shape, write_json
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


def two_sets(root: Path) -> dict[str, Any]:
    """Save a set of strokes on transparent layers and one of boxes, and return their settings."""
    for name in ("strokes", "boxes"):
        for number in range(6):
            rng = np.random.default_rng([len(name), number])
            pixels = rng.integers(0, 90, (32, 40, 3)).astype(np.uint8)
            pixels[8:20, 10:26] += 120
            folder = root / name / "images"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{number}.png")
            if name == "boxes":
                box = labelme_shape("square", [[10, 8], [26, 20]], "rectangle")
                inside = labelme_shape("square", [[14, 10], [20, 10], [20, 15], [14, 15]])
                content = labelme_file([box, inside], f"{number}.png", (32, 40))
                write_json(folder / f"{number}.json", content)
                continue
            layer = np.zeros((32, 40, 4), np.uint8)
            layer[12:14, 12:24] = (255, 0, 0, 255)
            layer[26:28, 4:36] = (0, 0, 255, 255)
            (root / name / "layers").mkdir(exist_ok=True)
            Image.fromarray(layer).save(root / name / "layers" / f"{number}.png")
    strokes = {
        "images": str(root / "strokes" / "images"),
        "masks": str(root / "strokes" / "layers"),
        "transparent": "void",
        "mask_colours": {"#ff0000": "square", "#0000ff": "background"},
        "labelled_classes": ["square"],
    }
    boxes = {"source": "labelme", "images": str(root / "boxes" / "images"), "boxes": "bounds"}
    return {"strokes": strokes, "boxes": boxes}


@pytest.mark.one_backend
def test_a_run_trains_on_sets_of_strokes_and_of_boxes(tmp_path: Path) -> None:
    config = Config.model_validate(
        {
            "task": {"kind": "multiclass", "classes": CLASSES[:3]},
            "data": {"sets": two_sets(tmp_path), "cache": "disk"},
            "model": {"width": 4, "depth": 2},
            "train": {**SETTINGS, "shares": {"strokes": 0.7, "boxes": 0.3}},
        }
    )
    run = segkit.train(config, tmp_path / "run")
    assert all(np.isfinite(row["loss"]) for row in run.rows())
    assert run.config().data.sets is not None
    facts = json.loads((tmp_path / "run" / "data.json").read_text(encoding="utf-8"))
    assert facts["sets"]["strokes"]["known"] == {"disc": 0, "square": 6}
    assert sum(facts["sets"]["boxes"]["samples"].values()) == 6
    segkit.predict(tmp_path / "run", tmp_path / "boxes" / "images", tmp_path / "out")
    written = np.asarray(Image.open(tmp_path / "out" / "0.png"))
    assert set(np.unique(written).tolist()) <= {0, 1, 2}
    assert run.scored()["open"]["disc"]["known"] < 1
