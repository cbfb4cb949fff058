"""`train.precision: auto`: measures float32 and bfloat16 once, and keeps the result in a file."""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from segkit.config import RunConfig
from segkit.data.batches.distances import as_losses_need
from segkit.errors import RunError
from segkit.io.atomic import write_text
from segkit.io.json_files import read_object
from segkit.models.build import build_for, compile
from segkit.run import Run
from segkit.task.soft import soft_of_mask
from segkit.training.devices import prepare
from segkit.training.optimizer import make_optimizer

FASTER = 1.5
"""bfloat16 is chosen if it is this many times as fast: less would not be worth its rounding."""
STEPS = 5
"""Measured steps of each precision."""
_WARM_UP = 2
"""Steps before the measured ones, which compile the training step."""
MEASURED = ("float32", "mixed_bfloat16")


class Precision(NamedTuple):
    """The precision of a training."""

    policy: str
    """Name of a Keras dtype policy, such as "mixed_bfloat16"."""
    reason: str = ""
    """Why it was chosen; empty if the config names it."""


def measure_precision(config: RunConfig, run: Run, devices: int) -> None:
    """Measure the precision "auto" and write the result into the run folder, as precision.json.

    Nothing happens if the config names the precision, or the result exists.

    Args:
        config: The config of the training.
        run: The run.
        devices: Number of devices that share each batch.
    """
    if config.train.precision == "auto" and not run.precision.is_file():
        result = compare_precisions(config, devices)
        write_text(run.precision, json.dumps(result, indent=2) + "\n")


def read_precision(config: RunConfig, run: Run) -> Precision:
    """Return the precision of a run, after `measure_precision`.

    Args:
        config: The config of the training.
        run: The run, whose folder contains precision.json if the config's precision is "auto".

    Returns:
        The precision and the reason.

    Raises:
        RunError: If precision.json is damaged.
    """
    if config.train.precision != "auto":
        return Precision(config.train.precision)
    policy, ratio = _read_result(run.precision)
    speed = f"a step in bfloat16 is {ratio:.2f} times as fast as in float32"
    reason = f"{speed} ({FASTER} times are required)"
    return Precision(policy, reason)


def _read_result(path: Path) -> tuple[str, float]:
    """Return the precision and the ratio in precision.json."""
    advice = "remove it, and the precision is measured again"
    found = read_object(path, ("precision", "ratio"), advice)
    precision = found["precision"]
    ratio = found["ratio"]
    if precision not in MEASURED or not isinstance(ratio, int | float):
        raise RunError(
            f"{path}: contains {precision!r} and {ratio!r}, which segkit never writes; {advice}",
            "damaged-file",
        )
    return precision, ratio


def compare_precisions(config: RunConfig, devices: int) -> dict[str, Any]:
    """Measure training steps in float32 and bfloat16, alternately, on random pixels.

    Args:
        config: The config of the training.
        devices: Number of devices that share each batch.

    Returns:
        The content of precision.json: the chosen "precision", the "ratio" of both times, and the
        median "seconds_a_step" by precision.
    """
    images, targets = random_batch(config, devices)
    trainers = {name: _trainer(config, name) for name in MEASURED}
    seconds: dict[str, list[float]] = {name: [] for name in MEASURED}
    for _ in range(_WARM_UP + STEPS):
        for name, trainer in trainers.items():
            began = time.perf_counter()
            trainer.train_on_batch(images, targets)
            seconds[name].append(time.perf_counter() - began)
    keras.backend.clear_session()
    median = {name: statistics.median(values[_WARM_UP:]) for name, values in seconds.items()}
    ratio = median["float32"] / median["mixed_bfloat16"]
    precision = "mixed_bfloat16" if ratio >= FASTER else "float32"
    return {"precision": precision, "ratio": ratio, "seconds_a_step": median}


def random_batch(config: RunConfig, devices: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch of random pixels, of the size that one device gets.

    Args:
        config: The config of the training.
        devices: Number of devices that share each batch.

    Returns:
        Images (B, H, W, channels) in the input's dtype, and the targets, in which every pixel is of
        the first class, in the form that the losses need.
    """
    height, width = config.train.crop
    size = -(-config.train.batch_size // devices)
    shape = (size, height, width, config.input.channels)
    images = np.random.default_rng(0).integers(0, 255, shape).astype(config.input.dtype)
    target = config.task.encode(np.zeros(config.task.target_shape(height, width), np.uint8))
    if config.task.soft:
        target = soft_of_mask(config.task, target)
    return images, as_losses_need(np.stack([target] * size), config.task, config.loss)


def _trainer(config: RunConfig, precision: str) -> keras.Model:
    prepare(config.train, precision)
    model = build_for(config.task, config.model, config.input)
    optimizer = make_optimizer(config.train, 100)
    return compile(model, config.task, loss=config.loss, optimizer=optimizer)
