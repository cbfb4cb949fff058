"""A few training steps on this machine, to know what a step takes."""

from __future__ import annotations

import resource
import statistics
import time

import numpy as np

from segkit.config import Config
from segkit.devices import load_keras, prepare
from segkit.errors import ConfigError
from segkit.plan import Machine

STEPS = 7


def measure_steps(config: Config) -> Machine:
    """Return time and memory of the config's training steps, on random pixels; takes as long as a few steps and a start."""
    load_keras()
    import keras

    from segkit.models.build import build_for, compile
    from segkit.training import make_optimizer

    if config.input is None:
        raise ConfigError("input: is missing; the plan measures it first")
    prepare(config.train)
    before = _peak()
    model = build_for(config.task, config.model, config.input)
    trainer = compile(model, config.task, loss=config.loss, optimizer=make_optimizer(config.train, 100))
    rng = np.random.default_rng(0)
    batch, (height, width) = config.train.batch_size, config.train.crop
    images = rng.integers(0, 255, (batch, height, width, config.input.channels)).astype(config.input.dtype)
    target = config.task.encode(np.zeros(config.task.target_shape(height, width), np.uint8))
    targets = np.stack([target] * batch)
    times = []
    for _ in range(STEPS):
        began = time.perf_counter()
        trainer.train_on_batch(images, targets)
        times.append(time.perf_counter() - began)
    memory = max(_peak() - before, 1) / batch
    keras.utils.clear_session()
    return Machine(statistics.median(times[2:]), times[0], memory)


def _peak() -> int:
    """Return the largest memory of this process so far, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
