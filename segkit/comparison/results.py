"""What the scored runs say: scores of each setting with intervals, and whether the best is better by more than chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from segkit.comparison.scoring import Scored
from segkit.evaluation import counts
from segkit.evaluation.bootstrap import LEVEL, RESAMPLES, interval, is_more_than_chance, resampled
from segkit.evaluation.calibration import reliability
from segkit.task import Task

LEAST = 6
"""Images from which an interval says anything of chance: of fewer, the draws are nearly all the same few."""
FEW = 20
"""Images below which an interval is too narrow, so that its verdict is to be taken with care."""


class Answers(NamedTuple):
    """A setting's scored runs by seed, and what went wrong with the others."""

    name: str
    task: Task
    runs: Mapping[int, Scored]
    failed: Mapping[int, str]

    def pooled(self, what: str) -> np.ndarray:
        """Return an array of `Scored` added up over the seeds, image by image."""
        return np.sum([getattr(run, what) for run in self.runs.values()], axis=0)


def mean_score(task: Task, sums: np.ndarray, score: str) -> np.ndarray:
    """Return the mean over foreground classes of "dice" or "iou" of counts (..., 4, C): (...), as `counts.means` has it.

    A class that occurs neither in truth nor in answer is left out; NaN if none occurs.
    """
    values = class_scores(task, sums, score)[..., list(task.foreground)]
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0).sum(-1) / known.sum(-1)


def class_scores(task: Task, sums: np.ndarray, score: str) -> np.ndarray:
    """Return a score of each class of counts (..., 4, C): (..., C)."""
    return counts.ratios(np.moveaxis(sums, -2, 0))[score]


def results_of(all_answers: Sequence[Answers], resamples: int = RESAMPLES) -> dict[str, Any]:
    """Return everything that a comparison says, as JSON takes it: settings in the order given, then comparisons.

    The best setting by foreground Dice is compared with each other one that finished a training. Images are drawn alike
    for all, and a network's seeds together, so the intervals say what other images would change, not what other
    trainings would. Whether a difference is more than chance is None for fewer than `LEAST` images.
    """
    finished = [each for each in all_answers if each.runs]
    drawn = {each.name: resampled(each.pooled("counts"), resamples) for each in finished}
    rows = [
        _row(each, drawn[each.name], resamples) if each.runs else _empty(each)
        for each in all_answers
    ]
    dice = {row["name"]: row["dice_foreground"]["value"] for row in rows if row["seeds"]}
    ranked = sorted(
        (each for each in finished if dice[each.name] is not None),
        key=lambda each: -dice[each.name],
    )
    images = len(next(iter(finished[0].runs.values())).names) if finished else 0
    pairs = [_pair(ranked[0], other, drawn) for other in ranked[1:]]
    if images < LEAST:
        pairs = [{**pair, "more_than_chance": None} for pair in pairs]
    return {
        "images": images,
        "few_images": images < FEW,
        "level": LEVEL,
        "resamples": resamples,
        "settings": rows,
        "comparisons": pairs,
    }


def _empty(answers: Answers) -> dict[str, Any]:
    return {"name": answers.name, "seeds": [], "failed": dict(answers.failed)}


def _row(answers: Answers, drawn: np.ndarray, resamples: int) -> dict[str, Any]:
    task, pooled, runs = answers.task, answers.pooled("counts"), answers.runs.values()
    row: dict[str, Any] = {
        "name": answers.name,
        "seeds": list(answers.runs),
        "failed": dict(answers.failed),
    }
    for score in ("dice", "iou"):
        value = float(mean_score(task, pooled.sum(0), score))
        each = [_number(float(mean_score(task, run.counts.sum(0), score))) for run in runs]
        row[f"{score}_foreground"] = {
            **_with_ends(value, mean_score(task, drawn, score)),
            "by_seed": each,
        }
    for name, what in (("calibration_error", "asked"), ("calibration_error_of_mask", "decided")):
        tallies = answers.pooled(what)
        others = [reliability(sums)["ece"] for sums in resampled(tallies, resamples)]
        row[name] = _with_ends(reliability(tallies.sum(0))["ece"], np.array(others))
    values, ends = class_scores(task, pooled.sum(0), "dice"), class_scores(task, drawn, "dice")
    row["dice_of_class"] = {
        task.classes[i]: _with_ends(float(values[i]), ends[:, i]) for i in task.foreground
    }
    row["parameters"] = next(iter(runs)).parameters
    row["images_per_second"] = float(np.median([run.images_per_second for run in runs]))
    row["steps"] = [run.steps for run in runs]
    return row


def _pair(best: Answers, other: Answers, drawn: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return how much better one setting is than another in foreground Dice, on the same draws of images."""
    scores = [mean_score(each.task, drawn[each.name], "dice") for each in (best, other)]
    values = [
        float(mean_score(each.task, each.pooled("counts").sum(0), "dice")) for each in (best, other)
    ]
    ends = interval(scores[0] - scores[1])
    both = [seed for seed in best.runs if seed in other.runs]
    gains = [
        float(
            np.subtract(
                *(
                    mean_score(each.task, each.runs[seed].counts.sum(0), "dice")
                    for each in (best, other)
                )
            )
        )
        for seed in both
    ]
    return {
        "better": best.name,
        "other": other.name,
        "difference": values[0] - values[1],
        "low": _number(ends[0]),
        "high": _number(ends[1]),
        "more_than_chance": is_more_than_chance(ends),
        "ahead": sum(gain > 0 for gain in gains),
        "of_seeds": len(both),
    }


def _with_ends(value: float, drawn: np.ndarray) -> dict[str, Any]:
    low, high = interval(drawn)
    return {"value": _number(value), "low": _number(low), "high": _number(high)}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
