"""What the machine has a say in: how many samples a batch holds, and which network converges in the minutes given."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from segkit.config import RunConfig
from segkit.errors import ConfigError
from segkit.planning.choices import Machine, Plan
from segkit.planning.rules import depth_for

SAMPLES, SAMPLES_A_CLASS = 1000, 500
"""A network has converged well enough after `SAMPLES` patches and `SAMPLES_A_CLASS` more for each foreground class.

Measured on examples/brain_mri, validation Dice after equal samples: one class is within 0.01 of its best after 1500, five
after 3000; with fewer, half the resolution lost 0.04 to a quarter that saw more.
"""
LADDER = ((4, 32), (2, 16), (2, 32), (1, 32))
"""Stem and width, cheap to dear; the first two cost about the same."""
NARROWEST = (4, 16)
"""Taken if the first of the ladder sees too few samples. In 3 minutes on the MRI example, 16 channels (5700 samples) against
32 (2800) gave validation Dice 0.912 against 0.905 on the five regions, and 0.766 against 0.771 on the eight lobes.
"""
FEWEST_STEPS = 50
FEW_PASSES = 60
"""Passes over the data up to which there is more danger of learning too little than of learning by heart."""
BATCH, LARGEST_BATCH = 2, 16
"""In a time budget, and without one; see docs/decisions/0013-plans-take-batch-normalisation-again.md for the two."""
CHECKS = 10
"""Validations in a time budget."""
MEMORY_SHARE = 0.5
"""Of the free memory that training may take."""
Measure = Callable[[RunConfig], Machine]


def fit_budget(
    plan: Plan,
    images: int,
    checked: int,
    minutes: float | None,
    free_bytes: float,
    measure: Measure,
) -> Plan:
    """Return the plan with batch, network and length of training chosen by what `measure` finds for a config.

    `images` are trained on; `checked` images, or windows of large ones, are validated.

    With `minutes` the dearest network of the `LADDER` is taken that sees enough samples in time.
    """
    if minutes is None:
        return _without_limit(
            plan, images, free_bytes, measure(_with(plan, "train", batch_size=BATCH).config)
        )
    needed = SAMPLES + SAMPLES_A_CLASS * len(plan.config.task.foreground)
    tried: list[str] = []

    def rung(stem: int, width: int) -> tuple[Plan, Machine, float]:
        candidate = _network(plan, stem, width)
        machine = measure(candidate.config)
        samples = _samples(candidate, machine, minutes, checked)
        tried.append(f"{samples:.0f} at 1/{stem} with {width} channels")
        return candidate, machine, samples

    best = rung(*LADDER[0])
    if best[2] < needed:
        best = rung(*NARROWEST)
    else:
        for stem, width in LADDER[1:]:
            found = rung(stem, width)
            if found[2] < needed:
                break
            best = found
    candidate, machine, samples = best
    told = f"{needed} samples are wanted, fitting in: {', '.join(tried)}"
    return _timed(candidate, machine, samples, images, minutes, free_bytes, told)


def _network(plan: Plan, stem: int, width: int) -> Plan:
    depth = depth_for(plan.config.train.crop, stem)
    return _with(
        _with(plan, "model", stem=stem, width=width, depth=depth), "train", batch_size=BATCH
    )


def _samples(plan: Plan, machine: Machine, minutes: float, checked: int) -> float:
    """Return the samples that training sees in the minutes, less compiling, `CHECKS` validations and 5 % for the rest."""
    left = 60 * minutes * 0.95 - machine.first - CHECKS * checked * machine.seconds_to_check
    return max(0.0, left) / machine.seconds * plan.config.train.batch_size


def _timed(
    plan: Plan,
    machine: Machine,
    samples: float,
    images: int,
    minutes: float,
    free_bytes: float,
    told: str,
) -> Plan:
    steps = samples / plan.config.train.batch_size
    plan = _with(plan, "train", batch_size=_fitting(BATCH, machine, free_bytes))
    config = plan.config
    if steps < FEWEST_STEPS:
        least = (machine.first + FEWEST_STEPS * machine.seconds) / 60 / 0.9
        raise ConfigError(
            f"{minutes:g} is too short to learn anything here: compiling takes {machine.first:.0f} s and a step "
            f"{machine.seconds:.2f} s; give {math.ceil(least)} or more",
            setting="--minutes",
        )
    epoch = max(
        1, round(max(steps / CHECKS, min(math.ceil(images / config.train.batch_size), steps / 3)))
    )
    least_features = 8 if config.model.stem == 1 else 4
    reasons = {
        "model.stem": f"works at 1/{config.model.stem} of the resolution; {told} ({minutes:g} min, timed on this machine)",
        "model.width": "channels at that resolution, doubled at each level; the widest of which enough samples fit in",
        "model.depth": f"halved {config.model.depth} times while the smaller edge keeps {least_features} or more"
        + (
            ""
            if config.model.stem == 1
            else "; below a stem depth is cheap and brings context, so 4 as in nnU-Net, not 8"
        ),
        "train.minutes": "the budget, without start and scoring; the learning rate falls with the clock",
        "train.steps_per_epoch": f"some {steps:.0f} steps of {machine.seconds:.3f} s fit in, {steps / epoch:.0f} validations",
        "train.batch_size": f"small, for more steps in the time; {_told_memory(machine, config, free_bytes)}",
    }
    done = _with(plan, "train", minutes=minutes, steps_per_epoch=epoch)
    if samples / images < FEW_PASSES:
        done = _with(done, "augment", rotate=5.0, scale=0.05, flip_horizontal=False)
        few = f"about {samples / images:.0f} passes over the images are too few to learn them by heart"
        reasons |= {"augment.rotate": f"degrees; small: {few}", "augment.scale": f"small: {few}"}
        reasons["augment.flip_horizontal"] = f"off: {few}, and a mirrored one is one more to learn"
    return Plan(done.config, {**plan.reasons, **reasons})


def _without_limit(plan: Plan, images: int, free_bytes: float, machine: Machine) -> Plan:
    batch = _fitting(LARGEST_BATCH, machine, free_bytes)
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


def _fitting(batch: int, machine: Machine, free_bytes: float) -> int:
    """Return the batch, halved until it fits into its share of the memory."""
    while batch > 1 and batch * machine.bytes_a_sample > MEMORY_SHARE * free_bytes:
        batch //= 2
    return batch


def _told_memory(machine: Machine, config: RunConfig, free_bytes: float) -> str:
    needed = machine.bytes_a_sample * config.train.batch_size
    return f"needs about {needed / 2**30:.1f} GiB, {free_bytes / 2**30:.0f} GiB are free"


def _with(plan: Plan, section: str, **values: Any) -> Plan:
    changed = getattr(plan.config, section).model_copy(update=values)
    return Plan(plan.config.model_copy(update={section: changed}), plan.reasons)
