"""`train.precision: auto`: a few steps in float32 and in bfloat16 decide which the training takes, and a file keeps it."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np

from segkit.config import RunConfig
from segkit.data.batches.distances import as_losses_need
from segkit.errors import RunError
from segkit.io.atomic import write_text
from segkit.io.json_files import read_object
from segkit.models.build import build_for, compile
from segkit.run import Run
from segkit.training.devices import device_count, prepare
from segkit.training.optimizer import make_optimizer

FASTER = 1.5
"""bfloat16 is taken from this ratio on: below it the coarser numbers are not worth the time."""
STEPS = 5
MEASURED = ("float32", "mixed_bfloat16")


def choose_precision(config: RunConfig, run: Run) -> tuple[str, str]:
    """Return the precision that a run computes in, and why if that was measured: once, then precision.json has it."""
    if config.train.precision != "auto":
        return config.train.precision, ""
    if not run.precision.is_file():
        write_text(run.precision, json.dumps(compare_precisions(config), indent=2) + "\n")
    precision, ratio = _measured(run.precision)
    return (
        precision,
        f"a step in bfloat16 is {ratio:.2f} times as fast as in float32 ({FASTER} are wanted)",
    )


def _measured(path: Path) -> tuple[str, float]:
    """Return the precision and the ratio in precision.json. Raises `RunError` if the file is damaged."""
    advice = "remove it, and the precision is measured again"
    found = read_object(path, ("precision", "ratio"), advice)
    precision, ratio = found["precision"], found["ratio"]
    if precision not in MEASURED or not isinstance(ratio, int | float):
        raise RunError(
            f"{path}: holds {precision!r} and {ratio!r}, which segkit never writes; {advice}",
            "damaged-file",
        )
    return precision, ratio


def compare_precisions(config: RunConfig) -> dict[str, Any]:
    """Return the precision to take, and the seconds of a step in float32 and bfloat16, in turns on random pixels."""
    images, targets = random_batch(config)
    trainers = {name: _trainer(config, name) for name in MEASURED}
    seconds: dict[str, list[float]] = {name: [] for name in trainers}
    for _ in range(STEPS + 2):
        for name, trainer in trainers.items():
            began = time.perf_counter()
            trainer.train_on_batch(images, targets)
            seconds[name].append(time.perf_counter() - began)
    keras.backend.clear_session()
    median = {name: statistics.median(values[2:]) for name, values in seconds.items()}
    ratio = median["float32"] / median["mixed_bfloat16"]
    return {
        "precision": "mixed_bfloat16" if ratio >= FASTER else "float32",
        "ratio": ratio,
        "seconds_a_step": median,
    }


def random_batch(config: RunConfig) -> tuple[np.ndarray, np.ndarray]:
    """Return images of random pixels and targets of the first class: what one device gets of the config's batches."""
    (height, width), devices = config.train.crop, device_count(config.train)
    size = -(-config.train.batch_size // devices)  # one device's part of it
    shape = (size, height, width, config.input.channels)
    images = np.random.default_rng(0).integers(0, 255, shape).astype(config.input.dtype)
    target = config.task.encode(np.zeros(config.task.target_shape(height, width), np.uint8))
    return images, as_losses_need(np.stack([target] * size), config.task, config.loss)


def _trainer(config: RunConfig, precision: str) -> keras.Model:
    prepare(config.train, precision)
    model = build_for(config.task, config.model, config.input)
    return compile(
        model, config.task, loss=config.loss, optimizer=make_optimizer(config.train, 100)
    )
