"""How `segkit tune` chooses: the temperature first, then thresholds, then rules for objects.

Memory hardly grows with the number of images: the part is predicted two or three times, and only
sums, histograms, a sample of pixels and the pixel counts of each image are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from segkit.config import DecodeConfig, RunConfig
from segkit.data.pixel_size import pixel_size_of
from segkit.data.sources.source import Subset
from segkit.errors import SegkitWarning
from segkit.evaluation import counts
from segkit.evaluation.calibration import fit_temperature, reliability
from segkit.evaluation.intervals import group_numbers
from segkit.evaluation.thresholds import Goal, choose_threshold
from segkit.evaluation.tuning_intervals import dice_changes, dice_intervals
from segkit.evaluation.tuning_rules import (
    candidates,
    choose_step,
    combine,
    compare_decodes,
)
from segkit.evaluation.tuning_statistics import Statistics, collect_statistics
from segkit.evaluation.tuning_warnings import warn_of_falling_scores, warn_of_rare_classes
from segkit.inference.decoding import at_pixel_size
from segkit.inference.ensemble import with_temperature
from segkit.inference.temperature import tempered
from segkit.inference.tiles import Predict
from segkit.run.tuned import Tuned
from segkit.task import Task

LEAST_IMAGES = 5
"""Images that must show a class before thresholds and rules are chosen for it.

In fewer images one unusual object would decide.
"""
Counting = Callable[[str], AbstractContextManager[Callable[..., None]]]
"""Takes a label; returns a context manager that yields the function to call after each image."""


class ChosenRules(NamedTuple):
    """The best rules for objects, and what they give on the part."""

    decode: DecodeConfig
    image_counts: np.ndarray
    """(images, 4, C) int64, pixel counts of each image."""
    calibration: np.ndarray
    """(5, BINS) float64, from `segkit.evaluation.calibration.tally`."""
    images_with_prediction: np.ndarray
    """(C,) int64, images whose predicted mask shows the class."""


class Choices(NamedTuple):
    """Everything that is chosen on a part, and the statistics that decide it."""

    statistics: Statistics
    """Those of the part without tuning."""
    temperature: float
    thresholds: tuple[float, ...] | None
    """One threshold per class; None in an exclusive task."""
    rules: ChosenRules
    warnings: list[SegkitWarning]


class TuningScores(NamedTuple):
    """Scores of a part with and without tuning, in the layout of tuned.yaml."""

    before: dict[str, Any]
    after: dict[str, Any]
    change: dict[str, Any]
    warnings: list[SegkitWarning]
    """One for each class whose scores fall."""


def choose_decoding(
    predict: Predict,
    config: RunConfig,
    part: Subset,
    name: str,
    goal: Goal,
    counting: Counting,
    groups: Sequence[str] | None = None,
) -> Tuned:
    """Choose temperature, thresholds and rules for objects on a part with known masks.

    The scores after tuning are optimistic, since they are of the same images.

    Args:
        predict: The network, without a temperature.
        config: The run's own config, without earlier tuning.
        part: At least one sample.
        name: Name of the part.
        goal: Decides the thresholds.
        counting: Shows the progress of each pass over the part.
        groups: Group of each sample; None if there are no groups.

    Raises:
        ConfigError: If a smallest object is an area, and `data.pixel_size` is not set.
    """
    config = at_pixel_size(config, pixel_size_of(config.data, None), "segkit tune")
    chosen = _choose(predict, config, part, goal, counting)
    compared = _compare(config.task, chosen, group_numbers(groups or part.names))
    return Tuned(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        part=name,
        images=len(part),
        goal=str(goal),
        thresholds=chosen.thresholds,
        decode=chosen.rules.decode.model_copy(update={"temperature": chosen.temperature}),
        before=compared.before,
        after=compared.after,
        change=compared.change,
        groups=None if groups is None else len(set(groups)),
        notes=tuple(map(str, chosen.warnings + compared.warnings)),
    )


def _choose(
    predict: Predict, config: RunConfig, part: Subset, goal: Goal, counting: Counting
) -> Choices:
    """Choose the temperature, then the thresholds, then the rules for objects."""
    with counting("collecting statistics") as progress:
        statistics = collect_statistics(predict, config, part, progress)
    task = config.task
    shown_in = statistics.images_with_class
    rare = [i for i in task.foreground if shown_in[i] < LEAST_IMAGES]
    temperature = fit_temperature(*statistics.sample())
    thresholds, warnings = choose_thresholds(config, statistics.histograms, temperature, goal, rare)
    warnings += warn_of_rare_classes(task, shown_in, rare, LEAST_IMAGES)
    tempered_config = _without_temperature(config, thresholds)
    predict = with_temperature(predict, tempered_config.task, temperature)
    sizes = np.where(shown_in < LEAST_IMAGES, 0, statistics.smallest_objects)
    rules = _choose_rules(predict, tempered_config, part, sizes, goal, counting)
    return Choices(statistics, temperature, thresholds, rules, warnings)


def _compare(task: Task, chosen: Choices, groups: np.ndarray) -> TuningScores:
    """Score the part with and without tuning; `groups` are the numbers of the images' groups."""
    counts_before = np.stack(chosen.statistics.image_counts)
    before = _scores(task, chosen.statistics, groups)
    after = _scores(task, chosen.rules, groups)
    change = dice_changes(task, counts_before, chosen.rules.image_counts, groups)
    shown_in = chosen.statistics.images_with_class
    warnings = list(warn_of_falling_scores(task, before, after, shown_in))
    return TuningScores(before, after, change, warnings)


def choose_thresholds(
    config: RunConfig,
    histograms: np.ndarray,
    temperature: float,
    goal: Goal,
    rare: Sequence[int] = (),
) -> tuple[tuple[float, ...] | None, list[SegkitWarning]]:
    """Choose thresholds on untempered probabilities, and return them for tempered ones.

    A class without a new threshold is predicted at the same pixels as before, because its old
    threshold and its probabilities are changed by the same increasing function.

    Args:
        config: The run's own config.
        histograms: (2, C, STEPS), from `threshold_histogram`, of probabilities without temperature.
        temperature: Temperature of the probabilities that the thresholds are for.
        goal: Decides the thresholds.
        rare: Indices of classes that get no new threshold.

    Returns:
        The thresholds (C,), None for a task without thresholds; and a warning for each class in
        which no threshold reaches the goal.
    """
    task = config.task
    if task.thresholds is None:
        return None, []
    # the old thresholds are for the run's own temperature, which is undone here
    before = tempered(task, np.array(task.thresholds), 1 / config.decode.temperature)
    chosen = []
    warnings = []
    for i, label in enumerate(task.classes):
        if i in rare:
            chosen.append(before[i])
            continue
        threshold = choose_threshold(histograms[:, i], goal)
        if threshold is None:
            warnings.append(_goal_not_reached(label, goal))
            threshold = before[i]
        chosen.append(threshold)
    return _tempered_thresholds(task, chosen, temperature), warnings


def _tempered_thresholds(
    task: Task, thresholds: Sequence[float], temperature: float
) -> tuple[float, ...]:
    """Return tempered thresholds, inside of (0, 1) even if float32 rounds them to 0 or 1."""
    highest = np.nextafter(np.float32(1), np.float32(0))
    inside = np.clip(tempered(task, np.array(thresholds), temperature), 1e-30, highest)
    return tuple(map(float, inside))


def _goal_not_reached(label: str, goal: Goal) -> SegkitWarning:
    return SegkitWarning(
        f"{label}: no threshold reaches {goal}, so the class is predicted at the same pixels as "
        "before",
        "goal-not-reached",
    )


def _without_temperature(config: RunConfig, thresholds: tuple[float, ...] | None) -> RunConfig:
    """Return the config that decodes probabilities which are tempered already."""
    task = config.task.model_copy(update={"thresholds": thresholds})
    section = config.decode.model_copy(update={"temperature": 1.0})
    return config.model_copy(update={"task": task, "decode": section})


def _choose_rules(
    predict: Predict,
    config: RunConfig,
    part: Subset,
    smallest_objects: np.ndarray,
    goal: Goal,
    counting: Counting,
) -> ChosenRules:
    """Try candidates alone and then together, and return the best `decode` section.

    No rule is tried for a class whose smallest object is 0.
    """
    tried = candidates(config, smallest_objects)
    sections = [candidate.add_to(config.decode, config.task) for candidate in tried]
    with counting("trying rules for objects") as progress:
        found = compare_decodes(predict, config, part, sections, progress)
    best = 0  # the section of the config itself
    steps = combine(config, tried, found.counts, goal)
    if steps:
        with counting("trying rules together") as progress:
            found = compare_decodes(predict, config, part, steps, progress, kept=1 + len(steps))
        best = choose_step(config, found.counts, goal)
    return ChosenRules(
        decode=[config.decode, *steps][best],
        image_counts=found.image_counts[:, best],
        calibration=found.calibration,
        images_with_prediction=found.images_with_prediction[best],
    )


def _scores(task: Task, measured: Statistics | ChosenRules, groups: np.ndarray) -> dict[str, Any]:
    """Return scores as they are in tuned.yaml; `groups` are the numbers of the images' groups."""
    image_counts = np.array(measured.image_counts)
    report = counts.score_report(task, image_counts.sum(axis=0), len(image_counts))
    calibration: dict[str, float | None] = {}
    for name, value in reliability(measured.calibration).items():
        calibration[name] = None
        if not np.isnan(value):
            calibration[name] = round(value, 6)
    images_with_prediction = {}
    for label, number in zip(task.classes, measured.images_with_prediction, strict=True):
        images_with_prediction[label] = int(number)
    return {
        "mean": report["mean"],
        "classes": report["classes"],
        "intervals": dice_intervals(task, image_counts, groups),
        "reliability": calibration,
        "images_with_prediction": images_with_prediction,
    }
