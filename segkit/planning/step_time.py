"""A few training steps on this machine, to know what a step takes."""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from segkit.config import RunConfig
from segkit.planning.choices import Machine

STEPS, MOST_STEPS = 7, 30
ENOUGH = 2.0
"""Seconds of steps, after which no more are timed; the first few of short steps take half as long again as the others."""


def measure_steps(config: RunConfig) -> Machine:
    """Return time and memory of the config's training steps, on random pixels; takes as long as a start and a few steps.

    In a process of its own, because a process never forgets its largest memory. Memory is the host's, not a GPU's.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measure, config).result()


def _measure(config: RunConfig) -> Machine:
    from segkit.system.keras_start import load_keras
    from segkit.training.devices import prepare

    load_keras()
    from segkit.models.build import build_for, compile
    from segkit.training.optimizer import make_optimizer
    from segkit.training.precision import random_batch

    prepare(config.train)
    before = _peak()
    model = build_for(config.task, config.model, config.input)
    trainer = compile(model, config.task, loss=config.loss, optimizer=make_optimizer(config.train, 100))
    images, targets = random_batch(config)
    steps: list[float] = []
    while len(steps) < STEPS or (len(steps) < MOST_STEPS and sum(steps[1:]) < ENOUGH):
        steps.append(_seconds(trainer.train_on_batch, images, targets))
    memory = max(_peak() - before, 1) / len(images)
    checks = [_seconds(trainer.test_on_batch, images, targets) for _ in range(3)]
    return Machine(statistics.median(steps[len(steps) // 2 :]), steps[0] + checks[0], memory, min(checks) / len(images))


def _seconds(step: Any, images: np.ndarray, targets: np.ndarray) -> float:
    began = time.perf_counter()
    step(images, targets)
    return time.perf_counter() - began


def _peak() -> int:
    """Return the largest memory of this process so far, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
