"""Scores of settings with confidence intervals, and paired differences to the best setting."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from segkit.comparison.scoring import Scored
from segkit.evaluation.bootstrap import LEVEL, RESAMPLES, interval, is_more_than_chance, resampled
from segkit.evaluation.calibration import reliability
from segkit.evaluation.counts import as_number_or_none, class_scores, mean_score
from segkit.evaluation.intervals import (
    PROMISED,
    group_numbers,
    group_sums,
    interval_of,
    interval_of_difference,
)
from segkit.task import Task

LEAST = 6
"""Smallest number of images (of groups, if there are groups) that an interval judges by."""
FEW = PROMISED
"""With fewer images or groups than this, no interval can be promised and the verdict warns."""


class Score(NamedTuple):
    """A score and its confidence interval; None where it is undefined."""

    value: float | None
    low: float | None
    high: float | None


class SettingRuns(NamedTuple):
    """The scored runs of one setting, and the reasons why its other trainings failed."""

    name: str
    task: Task
    runs: Mapping[int, Scored]
    """Scored run by seed."""
    failed: Mapping[int, str]
    """Reason of failure by seed."""

    def pooled(self, field: str) -> np.ndarray:
        """Return the sum of one array field of `Scored` over the seeds, image by image.

        Args:
            field: "counts", "head_calibration" or "mask_calibration".

        Returns:
            The field's shape, with images on the first axis.
        """
        return np.sum([getattr(run, field) for run in self.runs.values()], axis=0)

    def dice_of_seed(self, seed: int) -> float:
        """Return the mean foreground Dice of one seed over all images; NaN if it is undefined."""
        return float(mean_score(self.task, self.runs[seed].counts.sum(0), "dice"))

    def pooled_score(self, score: str) -> float:
        """Return the mean foreground "dice" or "iou" of all seeds together; NaN if undefined."""
        return float(mean_score(self.task, self.pooled("counts").sum(0), score))


def results_of(
    settings: Sequence[SettingRuns],
    resamples: int = RESAMPLES,
    groups: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Return all results of a comparison as JSON types, in the layout of results.json.

    The best setting by foreground Dice is compared with each other setting that has a score.
    The bootstrap draws the same groups for every setting, and keeps the seeds of a setting
    together. The intervals therefore describe other images, and not other trainings. Without groups
    every image is a group.

    Args:
        settings: The settings in the order in which the user named them.
        resamples: Number of bootstrap resamples.
        groups: Group of each image; None if there are no groups.

    Returns:
        One row per setting, then the comparisons. `more_than_chance` of a comparison is None
        for fewer than `LEAST` groups.
    """
    images = _count_images(settings)
    units = np.arange(images) if groups is None else group_numbers(groups)
    number = len(np.unique(units))
    drawn: dict[str, np.ndarray] = {}
    rows = []
    for setting in settings:
        if not setting.runs:
            rows.append(_row_without_runs(setting))
            continue
        drawn[setting.name] = resampled(group_sums(setting.pooled("counts"), units), resamples)
        rows.append(_row(setting, drawn[setting.name], units, resamples))
    return {
        "images": images,
        "groups": None if groups is None else number,
        "few_images": number < FEW,
        "level": LEVEL,
        "resamples": resamples,
        "settings": rows,
        "comparisons": _compare_with_best(settings, drawn, number),
    }


def _count_images(settings: Sequence[SettingRuns]) -> int:
    """Return the number of scored images; 0 if no run was scored."""
    for setting in settings:
        for run in setting.runs.values():
            return len(run.names)
    return 0


def _ranked(settings: Sequence[SettingRuns]) -> list[SettingRuns]:
    """Return the settings that have a foreground Dice, the best first."""
    dice_by_name = {}
    for setting in settings:
        if setting.runs:
            dice_by_name[setting.name] = setting.pooled_score("dice")
    ranked = [each for each in settings if not math.isnan(dice_by_name.get(each.name, math.nan))]
    return sorted(ranked, key=lambda each: dice_by_name[each.name], reverse=True)


def _row_without_runs(setting: SettingRuns) -> dict[str, Any]:
    return {"name": setting.name, "seeds": [], "failed": dict(setting.failed)}


def _row(
    setting: SettingRuns, drawn: np.ndarray, units: np.ndarray, resamples: int
) -> dict[str, Any]:
    """Return the scores of one setting.

    `drawn` are its resampled counts (resamples, 4, C), `units` the numbers of the images' groups.
    """
    number = len(np.unique(units))
    runs = list(setting.runs.values())
    return {
        "name": setting.name,
        "seeds": list(setting.runs),
        "failed": dict(setting.failed),
        "dice_foreground": _foreground_score(setting, drawn, "dice", number),
        "iou_foreground": _foreground_score(setting, drawn, "iou", number),
        "calibration_error": _calibration_error(setting, "head_calibration", units, resamples),
        "calibration_error_of_mask": _calibration_error(
            setting, "mask_calibration", units, resamples
        ),
        "dice_of_class": _dice_of_classes(setting, drawn, number),
        "parameters": runs[0].parameters,
        "images_per_second": float(np.median([run.images_per_second for run in runs])),
        "steps": [run.steps for run in runs],
    }


def _foreground_score(
    setting: SettingRuns, drawn: np.ndarray, score: str, groups: int
) -> dict[str, Any]:
    by_seed = []
    for run in setting.runs.values():
        by_seed.append(as_number_or_none(float(mean_score(setting.task, run.counts.sum(0), score))))
    resampled_scores = mean_score(setting.task, drawn, score)
    pooled = _share_with_interval(setting.pooled_score(score), resampled_scores, groups)
    return {**pooled._asdict(), "by_seed": by_seed}


def _calibration_error(
    setting: SettingRuns, field: str, units: np.ndarray, resamples: int
) -> dict[str, Any]:
    tallies = group_sums(setting.pooled(field), units)
    error = reliability(tallies.sum(0))["ece"]
    resampled_errors = [reliability(sums)["ece"] for sums in resampled(tallies, resamples)]
    return _with_interval(error, np.array(resampled_errors))._asdict()


def _dice_of_classes(setting: SettingRuns, drawn: np.ndarray, groups: int) -> dict[str, Any]:
    values = class_scores(setting.pooled("counts").sum(0), "dice")
    resampled_values = class_scores(drawn, "dice")
    dice = {}
    for index in setting.task.foreground:
        score = _share_with_interval(float(values[index]), resampled_values[:, index], groups)
        dice[setting.task.classes[index]] = score._asdict()
    return dice


def _compare_with_best(
    settings: Sequence[SettingRuns], drawn: Mapping[str, np.ndarray], groups: int
) -> list[dict[str, Any]]:
    """Compare the best setting with each other setting that has a score."""
    ranked = _ranked(settings)
    comparisons = []
    for other in ranked[1:]:
        pair = _compare_pair(ranked[0], other, drawn, groups)
        if groups < LEAST:
            pair["more_than_chance"] = None
        comparisons.append(pair)
    return comparisons


def _compare_pair(
    best: SettingRuns, other: SettingRuns, drawn: Mapping[str, np.ndarray], groups: int
) -> dict[str, Any]:
    """Return by how much the foreground Dice of one setting exceeds another's, paired by group."""
    best_scores = mean_score(best.task, drawn[best.name], "dice")
    other_scores = mean_score(other.task, drawn[other.name], "dice")
    difference = best.pooled_score("dice") - other.pooled_score("dice")
    ends = (math.nan, math.nan)
    if groups > 1:
        ends = interval_of_difference(difference, best_scores - other_scores, groups)
    common_seeds = [seed for seed in best.runs if seed in other.runs]
    ahead = 0
    for seed in common_seeds:
        if best.dice_of_seed(seed) > other.dice_of_seed(seed):
            ahead += 1
    return {
        "better": best.name,
        "other": other.name,
        "difference": difference,
        "low": as_number_or_none(ends[0]),
        "high": as_number_or_none(ends[1]),
        "more_than_chance": is_more_than_chance(ends),
        "ahead": ahead,
        "of_seeds": len(common_seeds),
    }


def _share_with_interval(value: float, resampled_values: np.ndarray, groups: int) -> Score:
    """Return a Dice or IoU with an interval that is symmetric on the logit scale."""
    if groups < 2 or math.isnan(value):
        return _with_interval(value, resampled_values)
    low, high = interval_of(value, resampled_values, groups)
    return Score(value, as_number_or_none(low), as_number_or_none(high))


def _with_interval(value: float, resampled_values: np.ndarray) -> Score:
    low, high = interval(resampled_values)
    return Score(as_number_or_none(value), as_number_or_none(low), as_number_or_none(high))
