"""Settings that follow from the machine and the time: batch, network and length of the training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from segkit.config import RunConfig
from segkit.errors import ConfigError, SegkitWarning
from segkit.planning.choices import Choice, Machine, Plan
from segkit.planning.network_rules import depth_for, smallest_features
from segkit.system.progress import Progress

SAMPLES = 1000
SAMPLES_PER_CLASS = 500
"""A network needs `SAMPLES` patches, and `SAMPLES_PER_CLASS` more for each foreground class.

Measured on examples/brain_mri, validation Dice after equal samples: one class is within 0.01 of its
best after 1500 samples, and five classes after 3000. With fewer, a network at half the resolution
lost 0.04 to one at a quarter that saw more samples.
"""
LADDER = ((4, 32), (2, 16), (2, 32), (1, 32))
"""Stem and width of networks, from cheap to expensive; the first two cost about the same."""
NARROW = ((1, 16), (2, 16), (4, 16))
"""Stem and width if training the first network of the ladder would see too few samples."""
FEW_CLASSES = 2
"""Most foreground classes with which networks at a high resolution need few samples."""
SAMPLES_AT_HIGH_RESOLUTION = 500
"""Patches that such a network needs, if it has 16 channels.

docs/decisions/0019 has the trainings of one minute by which this was chosen: cells were better at
full resolution with 530 samples than at a quarter with 1882, and eight classes were far worse.
"""
FEWEST_STEPS = 50
"""Training steps below which a time budget is refused."""
FEW_PASSES = 60
"""Passes over the data below which underfitting is more likely than overfitting."""
BATCH = 2
"""Samples per step with a time budget; docs/decisions/0013 explains both sizes."""
LARGEST_BATCH = 16
"""Upper limit of the samples per step without a time budget."""
CHECKS = 10
"""Validations within a time budget."""
MEMORY_SHARE = 0.5
"""Share of the free memory that training may use."""
Measure = Callable[[RunConfig], Machine]
"""Measures the training steps of a config on this machine."""


class NetworkCandidate(NamedTuple):
    """A network, its measurement, and the number of samples that training sees in time."""

    plan: Plan
    machine: Machine
    samples: float
    needed: int
    """Samples that training this network needs."""

    @property
    def is_enough(self) -> bool:
        """Whether training sees enough samples in time."""
        return self.samples >= self.needed


def fit_budget(
    plan: Plan,
    images: int,
    validation_windows: int,
    minutes: float | None,
    free_bytes: float,
    measure: Measure,
    progress: Progress | None = None,
    known: float = 1.0,
) -> Plan:
    """Choose the batch, the network and the length of the training.

    Args:
        plan: The choices that follow from the data.
        images: Number of training images.
        validation_windows: Number of validation images, or of the windows of large ones.
        minutes: Time budget of the training; None for as many epochs as the data need.
        free_bytes: Free memory.
        measure: Measures a config on this machine.
        progress: Receives a warning if training would see too few samples in time.
        known: The result of `known_share`, by which more samples are needed.

    Returns:
        The complete plan. With a time budget it has the most expensive network of the `LADDER`
        whose training sees enough samples in time.

    Raises:
        ConfigError: If the time is too short for any training.
    """
    if minutes is None:
        machine = measure(_with(plan, "train", batch_size=BATCH).config)
        return _plan_epochs(plan, images, free_bytes, machine, known)
    candidates = _measure_candidates(plan, minutes, validation_windows, measure, known)
    chosen = _choose_candidate(candidates)
    _check_minutes(chosen, minutes)
    if not chosen.is_enough and progress is not None:
        progress.warning(_few_minutes(minutes, chosen, validation_windows))
    planned = _choose_batch(chosen.plan, chosen.machine, BATCH, free_bytes)
    planned = _explain_network(planned, candidates, chosen, minutes)
    planned = _choose_epochs(planned, chosen, images, minutes)
    return _reduce_augmentation(planned, chosen.samples / images)


def _measure_candidates(
    plan: Plan, minutes: float, validation_windows: int, measure: Measure, known: float
) -> list[NetworkCandidate]:
    """Return networks of the ladder up to the first one whose training sees too few samples.

    If that is the first one, narrow networks follow: the one at a quarter of the resolution, or
    with few classes the one at the highest resolution whose training sees enough.
    """

    def measured(network: tuple[int, int], needed: int) -> NetworkCandidate:
        sized = _with_network(plan, *network)
        machine = measure(sized.config)
        samples = _samples_in(minutes, machine, validation_windows)
        return NetworkCandidate(sized, machine, samples, needed)

    classes = len(plan.config.task.foreground)
    wide = math.ceil((SAMPLES + SAMPLES_PER_CLASS * classes) / known)
    few = math.ceil(SAMPLES_AT_HIGH_RESOLUTION / known)
    candidates = []
    for network in LADDER:
        candidates.append(measured(network, wide))
        if not candidates[-1].is_enough:
            break
    if candidates[0].is_enough:
        return candidates
    if classes <= FEW_CLASSES:
        for network in NARROW[:-1]:
            candidates.append(measured(network, few))
            if candidates[-1].is_enough:
                return candidates
    return [*candidates, measured(NARROW[-1], wide)]


def _with_network(plan: Plan, stem: int, width: int) -> Plan:
    depth = depth_for(plan.config.train.crop, stem)
    plan = _with(plan, "model", stem=stem, width=width, depth=depth)
    return _with(plan, "train", batch_size=BATCH)


def _samples_in(minutes: float, machine: Machine, validation_windows: int) -> float:
    """Return the samples that training sees in the minutes.

    Compilation, `CHECKS` validations and 5 % for everything else are subtracted from the time.
    """
    validation = CHECKS * validation_windows * machine.seconds_to_validate
    seconds = 60 * minutes * 0.95 - machine.seconds_to_start - validation
    return max(0.0, seconds) / machine.seconds_per_step * BATCH


def _minutes_for(samples: int, machine: Machine, validation_windows: int) -> int:
    """Return the minutes in which training sees the samples, the reverse of `_samples_in`."""
    validation = CHECKS * validation_windows * machine.seconds_to_validate
    steps = samples / BATCH
    seconds = steps * machine.seconds_per_step + machine.seconds_to_start + validation
    return math.ceil(seconds / 60 / 0.95)


def _few_minutes(
    minutes: float, chosen: NetworkCandidate, validation_windows: int
) -> SegkitWarning:
    enough = _minutes_for(chosen.needed, chosen.machine, validation_windows)
    return SegkitWarning(
        f"in {minutes:g} min training sees about {chosen.samples:.0f} patches, and these classes "
        f"need about {chosen.needed}. Give it {enough} min or more for good masks "
        f"(--minutes {enough})",
        "few-minutes",
    )


def _choose_candidate(candidates: Sequence[NetworkCandidate]) -> NetworkCandidate:
    """Return the last candidate with enough samples; without any, the last one."""
    sufficient = [candidate for candidate in candidates if candidate.is_enough]
    return (sufficient or candidates)[-1]


def _check_minutes(chosen: NetworkCandidate, minutes: float) -> None:
    """Raise `ConfigError` if too few steps fit into the time."""
    if chosen.samples / BATCH >= FEWEST_STEPS:
        return
    machine = chosen.machine
    seconds = machine.seconds_to_start + FEWEST_STEPS * machine.seconds_per_step
    enough = math.ceil(seconds / 60 / 0.9)
    raise ConfigError(
        f"training needs at least {FEWEST_STEPS} steps. Compilation takes "
        f"{machine.seconds_to_start:.0f} s and a step {machine.seconds_per_step:.2f} s, so "
        f"{minutes:g} is too short. Set it to {enough} or more",
        setting="--minutes",
    )


def _explain_network(
    plan: Plan,
    candidates: Sequence[NetworkCandidate],
    chosen: NetworkCandidate,
    minutes: float,
) -> Plan:
    """Add the reasons for the network that was chosen by measuring several."""
    measured = []
    for candidate in candidates:
        model = candidate.plan.config.model
        measured.append(
            f"{candidate.samples:.0f} at {_resolution(model.stem)} with {model.width} channels"
        )
    model = plan.config.model
    choice = "This is the most expensive network whose training sees enough samples in time."
    if not candidates[0].is_enough:
        choice = (
            "Wider networks see too few samples in time. With few classes, a high resolution needs "
            "fewer."
        )
    if not chosen.is_enough:
        choice = "No measured network sees enough samples in time, so this is the fastest one."
    depth = (
        f"The resolution is halved {model.depth} times, so that {smallest_features(model.stem)} "
        f"rows and columns or more are left."
    )
    if model.stem > 1:
        depth += " Below a stem, further levels are cheap and add context, so 4 are enough."
    reasons = {
        "model.stem": (
            f"The network works at {_resolution(model.stem)}. Training it needs {chosen.needed} "
            f"samples. "
            f"On this machine it sees in {minutes:g} min: {'; '.join(measured)}."
        ),
        "model.width": f"Channels after the stem, doubled at each level. {choice}",
        "model.depth": depth,
    }
    return Plan(plan.config, {**plan.reasons, **reasons})


def _resolution(stem: int) -> str:
    """Return the resolution after a stem in words."""
    if stem == 1:
        return "full resolution"
    return f"1/{stem} of the resolution"


def _choose_epochs(plan: Plan, chosen: NetworkCandidate, images: int, minutes: float) -> Plan:
    """Divide the time budget into epochs, each of which ends with a validation.

    An epoch is a tenth of the steps, or one pass over the images if that is longer, but at most a
    third of the steps.
    """
    steps = chosen.samples / BATCH
    one_pass = math.ceil(images / plan.config.train.batch_size)
    steps_per_epoch = max(1, round(max(steps / CHECKS, min(one_pass, steps / 3))))
    seconds = chosen.machine.seconds_per_step
    return _choose(
        plan,
        "train",
        minutes=Choice(
            minutes,
            "This is the time budget without the start and the last scoring. The learning rate "
            "falls with the clock.",
        ),
        steps_per_epoch=Choice(
            steps_per_epoch,
            f"About {steps:.0f} steps of {seconds:.3f} s fit into the time, with "
            f"{steps / steps_per_epoch:.0f} validations.",
        ),
    )


def _reduce_augmentation(plan: Plan, passes: float) -> Plan:
    """Return the plan with less augmentation if there are only a few passes over the images."""
    if passes >= FEW_PASSES:
        return plan
    few = f"about {passes:.0f} passes over the images are too few to overfit"
    return _choose(
        plan,
        "augment",
        rotate=Choice(5.0, f"The largest rotation in degrees. It is small, because {few}."),
        scale=Choice(0.05, f"The change of size is small, because {few}."),
        flip_horizontal=Choice(
            False,
            f"Images are not mirrored, because {few}, and mirrored images are more to learn.",
        ),
    )


def _plan_epochs(
    plan: Plan, images: int, free_bytes: float, machine: Machine, known: float
) -> Plan:
    """Return the plan of a training without a time budget."""
    batch_size = _fitting_batch(LARGEST_BATCH, machine, free_bytes)
    while batch_size > 2 and batch_size > images / 20:
        batch_size //= 2
    steps = math.ceil(images / batch_size)
    epochs = math.ceil(min(300, max(30, math.ceil(20_000 / steps))) / known)
    partly = ""
    if known < 1:
        partly = (
            f" That is {1 / known:.1f} times as long as with complete masks, because a label says "
            f"yes or no about {100 * known:.0f} % of the classes, on average."
        )
    hours = epochs * steps * machine.seconds_per_step * batch_size / BATCH / 3600
    return _choose(
        plan,
        "train",
        batch_size=Choice(
            batch_size,
            f"A batch is at most a twentieth of the images (nnU-Net: 5 % of the voxels). "
            f"{_explain_memory(machine, batch_size, free_bytes)}",
        ),
        epochs=Choice(
            epochs,
            f"With {images} images this is about {epochs * steps:,} steps, which take about "
            f"{hours:.1f} h on this machine.{partly}",
        ),
        patience=Choice(
            max(10, epochs // 5),
            "Training stops after so many epochs without a better validation score.",
        ),
    )


def _choose_batch(plan: Plan, machine: Machine, largest: int, free_bytes: float) -> Plan:
    """Return the plan with a batch of at most `largest` samples that fits into the memory."""
    batch_size = _fitting_batch(largest, machine, free_bytes)
    memory = _explain_memory(machine, batch_size, free_bytes)
    reason = f"A small batch allows more steps in the time. {memory}"
    return _choose(plan, "train", batch_size=Choice(batch_size, reason))


def _fitting_batch(largest: int, machine: Machine, free_bytes: float) -> int:
    """Return the batch size, halved until the batch fits into its share of the memory."""
    batch = largest
    while batch > 1 and batch * machine.bytes_per_sample > MEMORY_SHARE * free_bytes:
        batch //= 2
    return batch


def _explain_memory(machine: Machine, batch: int, free_bytes: float) -> str:
    needed = machine.bytes_per_sample * batch
    return (
        f"It needs about {needed / 2**30:.1f} GiB of memory; {free_bytes / 2**30:.0f} GiB are free."
    )


def _choose(plan: Plan, section: str, **choices: Choice) -> Plan:
    """Return the plan with the values and the reasons of choices in one section."""
    values = {setting: choice.value for setting, choice in choices.items()}
    reasons = {f"{section}.{setting}": choice.reason for setting, choice in choices.items()}
    return Plan(_with(plan, section, **values).config, {**plan.reasons, **reasons})


def _with(plan: Plan, section: str, **values: Any) -> Plan:
    """Return the plan with other values in one section."""
    changed = getattr(plan.config, section).model_copy(update=values)
    return Plan(plan.config.model_copy(update={section: changed}), plan.reasons)
