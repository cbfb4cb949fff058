"""What the machine has a say in: how many samples a batch holds, and which network converges in the minutes given."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from segkit.config import Config
from segkit.plan import Machine, Plan, depth_for

SAMPLES_TO_CONVERGE = 4000
"""Samples that a network of this kind sees before its scores level off.

Measured on the three tasks of examples/brain_mri: below about 2500 the finer network lost to the coarser one.
"""
BATCH, LARGEST_BATCH = 4, 16
CHECKS = 10
"""Validations in a time budget."""
MEMORY_SHARE = 0.5
"""Of the free memory that training may take."""
Measure = Callable[[Config], Machine]


def fit_budget(plan: Plan, images: int, minutes: float | None, free_bytes: float, measure: Measure) -> Plan:
    """Return the plan with batch, network and length of training chosen by what `measure` finds for a config.

    With `minutes` the finest resolution is taken at which the network sees `SAMPLES_TO_CONVERGE` samples in time.
    """
    if minutes is None:
        return _without_limit(plan, images, free_bytes, measure(_with(plan, "train", batch_size=BATCH).config))
    tried: list[str] = []
    best: tuple[Plan, Machine] | None = None
    for stem, width in ((4, 32), (2, 32), (1, 32)):
        candidate = _network(plan, stem, width)
        machine = measure(candidate.config)
        samples = _samples(candidate, machine, minutes)
        tried.append(f"1/{stem} {samples:.0f}")
        if best is not None and samples < SAMPLES_TO_CONVERGE:
            break
        best = candidate, machine
        if samples < SAMPLES_TO_CONVERGE:
            break
    assert best is not None  # the first candidate is always taken
    return _timed(*best, images, minutes, free_bytes, tried)


def _network(plan: Plan, stem: int, width: int) -> Plan:
    depth = depth_for(plan.config.train.crop, stem)
    return _with(_with(plan, "model", stem=stem, width=width, depth=max(depth, 3)), "train", batch_size=BATCH)


def _samples(plan: Plan, machine: Machine, minutes: float) -> float:
    """Return the samples that training sees in the minutes, less compiling and validation."""
    return max(0.0, 60 * minutes * 0.93 - machine.first) / machine.seconds * plan.config.train.batch_size


def _timed(plan: Plan, machine: Machine, images: int, minutes: float, free_bytes: float, tried: list[str]) -> Plan:
    config = plan.config
    steps = _samples(plan, machine, minutes) / config.train.batch_size
    passes = math.ceil(images / config.train.batch_size)
    epoch = max(1, round(max(steps / CHECKS, min(passes, steps / 3))))
    reasons = {
        "model.stem": (
            f"the resolution, 1/{config.model.stem}, is the finest at which about {SAMPLES_TO_CONVERGE} samples are seen in "
            f"{minutes:g} min; samples by resolution, timed on this machine: {', '.join(tried)}"
        ),
        "train.minutes": "the budget; the learning rate falls with the clock, and training ends with it",
        "train.steps_per_epoch": f"about {steps:.0f} steps of {machine.seconds:.3f} s fit in; validated some {CHECKS} times",
        "train.batch_size": f"small, for more steps in the time; {_told_memory(machine, config, free_bytes)}",
        "model.depth": f"halved {config.model.depth} times after the stem, three at least, for context",
    }
    done = _with(plan, "train", minutes=minutes, steps_per_epoch=epoch)
    return Plan(done.config, {**plan.reasons, **reasons})


def _without_limit(plan: Plan, images: int, free_bytes: float, machine: Machine) -> Plan:
    fits = MEMORY_SHARE * free_bytes / machine.bytes_a_sample
    batch = 2 ** int(math.log2(max(2, min(LARGEST_BATCH, fits))))
    while batch > 2 and batch > images / 20:
        batch //= 2
    steps = math.ceil(images / batch)
    epochs = min(300, max(30, math.ceil(20_000 / steps)))
    done = _with(plan, "train", batch_size=batch, epochs=epochs, patience=max(10, epochs // 5))
    hours = epochs * steps * machine.seconds * batch / BATCH / 3600
    memory = _told_memory(machine, done.config, free_bytes)
    reasons = {
        "train.batch_size": f"at most a twentieth of the images (nnU-Net: 5 % of the voxels); {memory}",
        "train.epochs": f"{images} images: about {epochs * steps:,} steps, some {hours:.1f} h on this machine",
        "train.patience": "epochs without a better validation score after which it stops",
    }
    return Plan(done.config, {**plan.reasons, **reasons})


def _told_memory(machine: Machine, config: Config, free_bytes: float) -> str:
    needed = machine.bytes_a_sample * config.train.batch_size
    return f"needs about {needed / 2**30:.1f} GiB, {free_bytes / 2**30:.0f} GiB are free"


def _with(plan: Plan, section: str, **values: Any) -> Plan:
    changed = getattr(plan.config, section).model_copy(update=values)
    return Plan(plan.config.model_copy(update={section: changed}), plan.reasons)
