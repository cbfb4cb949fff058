"""The best epoch by a validation part that lacks some of the classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import segkit
from segkit import Task
from segkit.config import Config
from segkit.data.batches.windows import MaskSummary
from segkit.run import Run
from segkit.training import callbacks
from segkit.training.best_epoch import choice_for

ORGANS = Task.multiclass(["background", "liver", "tumour"])
LIVER = 20
"""Pixels of the liver."""


def identity_trainer() -> keras.Model:
    """Return a trainer whose logits are the image."""
    image = keras.Input((None, None, 3))
    logits = layers.Identity()(image)
    probabilities = layers.Activation("softmax", dtype="float32")(logits)
    return segkit.compile(keras.Model(image, probabilities), ORGANS)


def validate(trainer: keras.Model, prediction: np.ndarray) -> dict[str, Any]:
    """Return the logs of a validation in which the trainer predicts these classes, (100,)."""
    target = np.zeros((1, 10, 10), np.uint8)
    target.flat[:LIVER] = 1
    image = 9.0 * np.eye(3, dtype=np.float32)[prediction].reshape(1, 10, 10, 3)
    scores = trainer.evaluate(image, target, return_dict=True, verbose=0)
    return {f"val_{name}": value for name, value in scores.items()}


def test_trap_35_a_class_absent_from_validation_does_not_choose_the_best_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[float] = []
    monkeypatch.setattr(callbacks, "save", lambda model, run: saved.append(run.number))
    run: Any = Run(tmp_path)
    run.config_file.touch()
    trainer = identity_trainer()
    shown = MaskSummary(np.full((1, 2), 10), np.array([True, True, False]), labelled=True)
    choice = choice_for(Config(task=ORGANS), shown)
    best = callbacks.SaveBest(trainer, run, choice, [])
    best.set_model(trainer)
    half = np.repeat([1, 0], [LIVER // 2, 100 - LIVER // 2])
    right_but_one_pixel = np.repeat([1, 0, 2], [LIVER, 99 - LIVER, 1])
    rows = []
    for epoch, prediction in enumerate([half, right_but_one_pixel]):
        logs = validate(trainer, prediction)
        run.number = epoch
        best.on_epoch_end(epoch, logs)
        rows.append({**logs, "epoch": epoch})
    assert rows[0]["val_dice_foreground"] > rows[1]["val_dice_foreground"]
    scores = [row[choice.score] for row in rows]
    assert scores == pytest.approx([2 / 3, 1.0])
    assert best.best_epoch == 2
    assert saved[-1] == 1
    assert callbacks.SaveBest(trainer, run, choice, rows).best_epoch == 2  # as in a resumed run
