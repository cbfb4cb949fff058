"""Measures the time and memory of a few training steps on this machine."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from typing import Any

import numpy as np

from segkit.config import RunConfig
from segkit.errors import RunError
from segkit.planning.choices import Machine
from segkit.system.memory import peak

STEPS = 7
"""Fewest steps that are timed."""
MOST_STEPS = 30
"""Most steps that are timed."""
ENOUGH_SECONDS = 2.0
"""Time of steps after which no more are timed.

Short steps are timed more often, because their first few take half as long again as the others.
"""


def measure_steps(config: RunConfig) -> Machine:
    """Measure the training steps of a config on random pixels.

    The steps run in a process of their own, because a process never returns its peak memory. The
    memory is that of the host, not of a GPU. This takes as long as a start of Keras and a few
    steps.

    Args:
        config: The config, whose `train.batch_size` is the batch of a step.

    Returns:
        Time and memory of the steps.

    Raises:
        RunError: If the process fails, for example because there is too little memory.
    """
    command = [sys.executable, "-m", "segkit.planning.step_time"]
    process = subprocess.run(  # noqa: S603 (Python itself)
        command, input=config.model_dump_json(), capture_output=True, text=True, check=False
    )
    if process.returncode != 0:
        raise _failure(process.returncode, process.stderr)
    return Machine(**json.loads(process.stdout.splitlines()[-1]))


def _failure(status: int, stderr: str) -> RunError:
    """Return the error for a process that failed."""
    cause = f"the process ended with exit status {status}"
    if status < 0:
        cause = f"the process was ended by signal {-status}"
    if status == -9:
        cause += " (not enough memory?)"
    lines = stderr.strip().splitlines()
    if status > 0 and lines:
        cause = lines[-1]
    return RunError(f"training steps could not be timed: {cause}", "not-measurable")


def time_steps(config: RunConfig) -> Machine:
    """Measure the training steps of a config in this process; see `measure_steps`."""
    from segkit.system.keras_start import load_keras
    from segkit.training.devices import choose_devices, prepare

    load_keras()
    from segkit.models.build import build_for, compile
    from segkit.training.optimizer import make_optimizer
    from segkit.training.precision import random_batch

    prepare(config.train)
    before = peak()
    model = build_for(config.task, config.model, config.input)
    trainer = compile(
        model, config.task, loss=config.loss, optimizer=make_optimizer(config.train, 100)
    )
    devices = choose_devices(config.train).replicas.count
    images, targets = random_batch(config, devices)
    steps: list[float] = []
    while len(steps) < STEPS or (len(steps) < MOST_STEPS and sum(steps[1:]) < ENOUGH_SECONDS):
        steps.append(_seconds(trainer.train_on_batch, images, targets))
    memory = max(peak() - before, 1) / len(images)
    checks = [_seconds(trainer.test_on_batch, images, targets) for _ in range(3)]
    return Machine(
        seconds_per_step=statistics.median(steps[len(steps) // 2 :]),
        seconds_to_start=steps[0] + checks[0],
        bytes_per_sample=memory,
        seconds_to_validate=min(checks) / len(images),
    )


def _seconds(step: Any, images: np.ndarray, targets: np.ndarray) -> float:
    start = time.perf_counter()
    step(images, targets)
    return time.perf_counter() - start


if __name__ == "__main__":
    print(json.dumps(time_steps(RunConfig.model_validate_json(sys.stdin.read()))._asdict()))
