"""A few training steps on this machine, to know what a step takes."""

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
MOST_STEPS = 30
ENOUGH = 2.0
"""Seconds of steps, after which no more are timed; the first few of short steps take half as long again as the others."""


def measure_steps(config: RunConfig) -> Machine:
    """Return time and memory of the config's training steps on random pixels.

    They run in a process of their own, because a process keeps its largest memory. Memory is the host's, not a GPU's.
    Takes as long as a start of Keras and a few steps.

    Raises:
        RunError: If the process fails, for example because there is too little memory.
    """
    command = [sys.executable, "-m", "segkit.planning.step_time"]
    done = subprocess.run(  # noqa: S603 (Python itself)
        command, input=config.model_dump_json(), capture_output=True, text=True, check=False
    )
    if done.returncode < 0:
        hint = " (not enough memory?)" if done.returncode == -9 else ""
        raise RunError(
            f"training steps could not be timed: the process was ended by signal {-done.returncode}{hint}",
            "not-measurable",
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise RunError(f"training steps could not be timed: {last}", "not-measurable")
    return Machine(**json.loads(done.stdout.splitlines()[-1]))


def time_steps(config: RunConfig) -> Machine:
    """Return what `measure_steps` does, measured in this process."""
    from segkit.system.keras_start import load_keras
    from segkit.training.devices import prepare

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
    images, targets = random_batch(config)
    steps: list[float] = []
    while len(steps) < STEPS or (len(steps) < MOST_STEPS and sum(steps[1:]) < ENOUGH):
        steps.append(_seconds(trainer.train_on_batch, images, targets))
    memory = max(peak() - before, 1) / len(images)
    checks = [_seconds(trainer.test_on_batch, images, targets) for _ in range(3)]
    return Machine(
        seconds=statistics.median(steps[len(steps) // 2 :]),
        first=steps[0] + checks[0],
        bytes_a_sample=memory,
        seconds_to_check=min(checks) / len(images),
    )


def _seconds(step: Any, images: np.ndarray, targets: np.ndarray) -> float:
    began = time.perf_counter()
    step(images, targets)
    return time.perf_counter() - began


if __name__ == "__main__":
    print(json.dumps(time_steps(RunConfig.model_validate_json(sys.stdin.read()))._asdict()))
