"""Scores of settings with confidence intervals, and paired differences to the best setting."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from segkit.comparison.scoring import Scored
from segkit.evaluation import counts
from segkit.evaluation.bootstrap import LEVEL, RESAMPLES, interval, is_more_than_chance, resampled
from segkit.evaluation.calibration import reliability
from segkit.evaluation.intervals import interval_of
from segkit.task import Task

LEAST = 6
"""Smallest number of images for which an interval is used to judge a difference."""
FEW = 20
"""With fewer images than this, bootstrap intervals are too narrow and the verdict warns."""


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


def mean_score(task: Task, sums: np.ndarray, score: str) -> np.ndarray:
    """Return the mean of a score over the foreground classes, as `counts.means` defines it.

    A class that occurs neither in the truth nor in the prediction is left out of the mean.

    Args:
        task: The task; it says which classes are foreground.
        sums: Pixel counts as from `counts.count`, (..., 4, C).
        score: "dice" or "iou".

    Returns:
        The mean scores, (...); NaN where no foreground class occurs.
    """
    values = class_scores(task, sums, score)[..., list(task.foreground)]
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0).sum(-1) / known.sum(-1)


def class_scores(task: Task, sums: np.ndarray, score: str) -> np.ndarray:
    """Return a score ("dice" or "iou") of each class from pixel counts (..., 4, C): (..., C)."""
    return counts.ratios(np.moveaxis(sums, -2, 0))[score]


def results_of(settings: Sequence[SettingRuns], resamples: int = RESAMPLES) -> dict[str, Any]:
    """Return all results of a comparison as JSON types, in the layout of results.json.

    The best setting by foreground Dice is compared with each other setting that has a score.
    The bootstrap draws the same images for every setting, and keeps the seeds of a setting
    together. The intervals therefore describe other images, and not other trainings.

    Args:
        settings: The settings in the order in which the user named them.
        resamples: Number of bootstrap resamples.

    Returns:
        One row per setting, then the comparisons. `more_than_chance` of a comparison is None
        for fewer than `LEAST` images.
    """
    drawn: dict[str, np.ndarray] = {}
    rows = []
    for setting in settings:
        if not setting.runs:
            rows.append(_row_without_runs(setting))
            continue
        drawn[setting.name] = resampled(setting.pooled("counts"), resamples)
        rows.append(_row(setting, drawn[setting.name], resamples))
    images = _count_images(settings)
    comparisons = []
    ranked = _ranked(settings)
    for other in ranked[1:]:
        pair = _compare_pair(ranked[0], other, drawn)
        if images < LEAST:
            pair["more_than_chance"] = None
        comparisons.append(pair)
    return {
        "images": images,
        "few_images": images < FEW,
        "level": LEVEL,
        "resamples": resamples,
        "settings": rows,
        "comparisons": comparisons,
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


def _row(setting: SettingRuns, drawn: np.ndarray, resamples: int) -> dict[str, Any]:
    """Return the scores of one setting; `drawn` are its resampled counts (resamples, 4, C)."""
    runs = list(setting.runs.values())
    return {
        "name": setting.name,
        "seeds": list(setting.runs),
        "failed": dict(setting.failed),
        "dice_foreground": _foreground_score(setting, drawn, "dice"),
        "iou_foreground": _foreground_score(setting, drawn, "iou"),
        "calibration_error": _calibration_error(setting, "head_calibration", resamples),
        "calibration_error_of_mask": _calibration_error(setting, "mask_calibration", resamples),
        "dice_of_class": _dice_of_classes(setting, drawn),
        "parameters": runs[0].parameters,
        "images_per_second": float(np.median([run.images_per_second for run in runs])),
        "steps": [run.steps for run in runs],
    }


def _foreground_score(setting: SettingRuns, drawn: np.ndarray, score: str) -> dict[str, Any]:
    by_seed = []
    for run in setting.runs.values():
        by_seed.append(_none_if_nan(float(mean_score(setting.task, run.counts.sum(0), score))))
    resampled_scores = mean_score(setting.task, drawn, score)
    images = _count_images([setting])
    pooled = _share_with_interval(setting.pooled_score(score), resampled_scores, images)
    return {**pooled._asdict(), "by_seed": by_seed}


def _calibration_error(setting: SettingRuns, field: str, resamples: int) -> dict[str, Any]:
    tallies = setting.pooled(field)
    error = reliability(tallies.sum(0))["ece"]
    resampled_errors = [reliability(sums)["ece"] for sums in resampled(tallies, resamples)]
    return _with_interval(error, np.array(resampled_errors))._asdict()


def _dice_of_classes(setting: SettingRuns, drawn: np.ndarray) -> dict[str, Any]:
    values = class_scores(setting.task, setting.pooled("counts").sum(0), "dice")
    resampled_values = class_scores(setting.task, drawn, "dice")
    images = _count_images([setting])
    dice = {}
    for index in setting.task.foreground:
        score = _share_with_interval(float(values[index]), resampled_values[:, index], images)
        dice[setting.task.classes[index]] = score._asdict()
    return dice


def _compare_pair(
    best: SettingRuns, other: SettingRuns, drawn: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Return by how much the foreground Dice of one setting exceeds another's, paired by image."""
    best_scores = mean_score(best.task, drawn[best.name], "dice")
    other_scores = mean_score(other.task, drawn[other.name], "dice")
    ends = interval(best_scores - other_scores)
    common_seeds = [seed for seed in best.runs if seed in other.runs]
    ahead = 0
    for seed in common_seeds:
        if best.dice_of_seed(seed) > other.dice_of_seed(seed):
            ahead += 1
    return {
        "better": best.name,
        "other": other.name,
        "difference": best.pooled_score("dice") - other.pooled_score("dice"),
        "low": _none_if_nan(ends[0]),
        "high": _none_if_nan(ends[1]),
        "more_than_chance": is_more_than_chance(ends),
        "ahead": ahead,
        "of_seeds": len(common_seeds),
    }


def _share_with_interval(value: float, resampled_values: np.ndarray, images: int) -> Score:
    """Return a Dice or IoU with an interval that is symmetric on the logit scale."""
    if images < 2 or math.isnan(value):
        return _with_interval(value, resampled_values)
    low, high = interval_of(value, resampled_values, images)
    return Score(value, _none_if_nan(low), _none_if_nan(high))


def _with_interval(value: float, resampled_values: np.ndarray) -> Score:
    low, high = interval(resampled_values)
    return Score(_none_if_nan(value), _none_if_nan(low), _none_if_nan(high))


def _none_if_nan(value: float) -> float | None:
    if math.isnan(value):
        return None
    return value
