"""Runs on soft labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from PIL import Image

import segkit
from segkit import DataError, Task
from segkit.config import Config
from segkit.run import Run
from tests.helpers.errors import fails

SIZE = (32, 32)
ANNOTATORS = ("anna", "ben", "cleo")
SETTINGS: dict[str, Any] = {
    "batch_size": 4,
    "crop": [32, 32],
    "pictures": 1,
    "tensorboard": False,
}


def square(number: int) -> tuple[slice, slice]:
    return slice(6 + number % 5, 20 + number % 5), slice(8, 24)


def config_of(root: Path, classes: list[str], epochs: int, **sections: Any) -> Config:
    """Save squares that anna marks as the class before the last one, and the others as the last."""
    for number in range(18):
        rng = np.random.default_rng(number)
        pixels = rng.integers(0, 60, (*SIZE, 3)).astype(np.uint8)
        pixels[square(number)] += 150
        (root / "images").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(root / "images" / f"{number:02}.png")
        for annotator in ANNOTATORS:
            mask = np.zeros(SIZE, np.uint8)
            mask[square(number)] = len(classes) - 1
            if annotator == "anna":
                mask[square(number)] = len(classes) - 2
            (root / annotator).mkdir(exist_ok=True)
            Image.fromarray(mask).save(root / annotator / f"{number:02}.png")
    where = [str(root / annotator) for annotator in ANNOTATORS]
    data = {"images": str(root / "images"), "annotators": where}
    return Config.model_validate(
        {
            "task": {"kind": "multiclass", "classes": classes},
            "data": {**data, "validation": 0.25, "test": 0.25},
            "model": {"width": 4, "depth": 2},
            "train": {**SETTINGS, "epochs": epochs},
            **sections,
        }
    )


@pytest.mark.one_backend
def test_a_run_learns_from_annotators_and_is_opened_again(tmp_path: Path) -> None:
    config = config_of(
        tmp_path,
        ["background", "a", "b"],
        2,
        model={"width": 4, "depth": 2, "image_head": 0.1, "deep_supervision": True},
        loss={"cross_entropy": 1, "generalized_dice": 1},
        class_weights={"b": 2.0},
    )
    run = segkit.train(config, tmp_path / "run")
    assert Run.open(tmp_path / "run").config().task.soft
    history = run.rows()
    assert all(np.isfinite(row["loss"]) for row in history)
    again = segkit.train(config, tmp_path / "run", resume=True)
    assert again.rows() == history
    facts = json.loads((tmp_path / "run" / "data.json").read_text(encoding="utf-8"))
    assert facts["agreement"]["dice"] == {"a": 0.0, "b": 0.5}
    assert facts["agreement"]["images"] == 18
    report = run.scored()
    assert report["classes"]["a"]["pixels_true"] == 0  # the majority says b
    assert report["classes"]["b"]["pixels_true"] > 0
    segkit.tune(tmp_path / "run")
    segkit.report(tmp_path / "run", out=tmp_path / "report.html")
    scores = segkit.evaluate(tmp_path / "run", tmp_path / "images", tmp_path / "anna")
    assert scores["classes"]["a"]["pixels_true"] > 0
    model = keras.saving.load_model(tmp_path / "run" / "last.keras")
    assert model is not None
    mask = segkit.Predictor.load(tmp_path / "run")(np.zeros((*SIZE, 3), np.uint8))
    assert mask.shape == SIZE


@pytest.mark.slow
@pytest.mark.one_backend
def test_probabilities_approach_the_share_of_annotators(tmp_path: Path) -> None:
    config = config_of(tmp_path, ["background", "crack"], 1)
    values = config.model_dump(mode="json")
    values["model"] |= {"depth": 1}
    values["loss"] = {"cross_entropy": 1.0, "dice": 1.0}
    values["train"] |= {"epochs": 15, "learning_rate": 0.01, "pictures": 100}
    distances = {}
    for name in ("soft", "majority"):
        if name == "majority":
            values["data"] |= {"annotators": None, "masks": str(tmp_path / "ben")}
            values["task"]["soft"] = False
        run = segkit.train(Config.model_validate(values), tmp_path / name)
        model = keras.saving.load_model(run.path / "last.keras")
        found = []
        for number in range(18):
            pixels = np.asarray(Image.open(tmp_path / "images" / f"{number:02}.png"))
            p = np.asarray(model.predict_on_batch(pixels[None]))[0, ..., 1]
            found.append(np.abs(p[square(number)] - 2 / 3).mean())
        distances[name] = float(np.mean(found))
    assert distances["soft"] < 0.1
    assert distances["majority"] > 0.2


@pytest.mark.parametrize("kind", ["binary", "softmax"])
def test_fit_takes_probabilities_for_a_soft_task_only(kind: str) -> None:
    tasks = {"binary": Task.binary("a", soft=True)}
    tasks["softmax"] = Task.multiclass(["background", "a", "b"], soft=True)
    task = tasks[kind]
    images = np.random.default_rng(0).uniform(0, 255, (4, 16, 16, 3)).astype(np.float32)
    target = np.full((4, 16, 16, task.channels), 0.5, np.float32)
    target[..., 2:] = 0
    target[:, 0] = 255
    network = segkit.unet(task, width=4, depth=1)
    trainer = segkit.compile(network, task)
    history = trainer.fit(images, target, epochs=2, batch_size=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    with fails(DataError, "probabilities"):
        trainer.fit(images, np.where(target == 255, 255, target * 9), verbose=0)
    hard = task.model_copy(update={"soft": False})
    plain = segkit.compile(segkit.unet(hard, width=4, depth=1), hard)
    code = "mask-values" if kind == "binary" else "mask-channels"
    with fails(DataError, code):
        plain.fit(images, target, verbose=0)
