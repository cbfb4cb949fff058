"""Trainings that are killed and resumed, and their run folders compared."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

from segkit.cli import main
from segkit.run import Run
from segkit.run.checkpoint import Position
from tests.helpers.tiny_runs import tiny_config

EVERY_STEP = 1e-9
"""Minutes between checkpoints."""


OVERRIDES = ["--set", "model.dropout=0.2", "--set", "train.pictures=0"]


def config_of(folder: Path, **train: object) -> Path:
    practice = {
        "accumulate": 2,
        "ema": 0.9,
        "freeze_encoder_epochs": 1,
        "encoder_learning_rate": 0.5,
    }
    settings = {
        "epochs": 3,
        "steps_per_epoch": 25,
        "checkpoint_minutes": EVERY_STEP,
        **practice,
        **train,
    }
    path = tiny_config(folder, "multiclass", **settings)
    config = yaml.safe_load(path.read_text())
    config["model"] |= {"depth": 2, "deep_supervision": True, "image_head": 0.1}
    config["loss"] = {"dice": 1.0, "focal": {"weight": [0, 1]}}
    path.write_text(yaml.safe_dump(config))
    return path


def train(config: Path, run: Run, *more: str) -> int:
    return main(training(config, run, *more))


def training(config: Path, run: Run, *more: str) -> list[str]:
    """Return the command that `train` runs."""
    return ["train", str(config), "--run", str(run.path), *OVERRIDES, *more]


def standing(run: Run) -> Position:
    while True:
        with suppress(FileNotFoundError):  # a moment between two renames
            return run.saved()


def kill_once(config: Path, run: Run, moment: random.Random) -> bool:
    """Start or resume the training and kill it at a random moment once it trains; False if it ended
    before.
    """
    again = ["--resume"] if run.config_file.exists() else []
    before = standing(run)
    command = [
        sys.executable,
        "-m",
        "segkit",
        "train",
        str(config),
        "--run",
        str(run.path),
        *OVERRIDES,
        *again,
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    while process.poll() is None and standing(run) == before:
        time.sleep(0.05)
    time.sleep(moment.random() * 0.5)
    process.send_signal(signal.SIGKILL)
    errors = process.communicate()[1]
    if process.returncode not in (0, -signal.SIGKILL):
        pytest.fail(f"training failed: {errors}")
    return process.returncode != 0


def assert_same(run: Run, other: Run) -> None:
    """Every variable is the same to the bit, and so is the history but for the seconds."""
    assert run.saved().epoch == other.saved().epoch
    assert run.saved().step == other.saved().step == 0
    ours, theirs = run.checkpoints.load(), other.checkpoints.load()
    assert list(ours) == list(theirs) == ["weights", "optimizer"]
    for kind, group in ours.items():
        assert len(group) == len(theirs[kind]) > 10
        for array, expected in zip(group, theirs[kind], strict=True):
            np.testing.assert_array_equal(array, expected)
    unlike = {"seconds"}
    rows, expected_rows = (
        [{k: v for k, v in row.items() if k not in unlike} for row in r.rows()]
        for r in (run, other)
    )
    np.testing.assert_equal(rows, expected_rows)
    assert run.scores.is_file() == other.scores.is_file()
    if run.scores.is_file():
        assert run.scores.read_text() == other.scores.read_text()
    for path, expected in ((run.model, other.model), (run.last, other.last)):
        delivered, wanted = (
            keras.saving.load_model(file, compile=False).get_weights() for file in (path, expected)
        )
        for array, other_array in zip(delivered, wanted, strict=True):
            np.testing.assert_array_equal(array, other_array)
