"""Two ways to predict, asked the same: how far apart their answers are, how good each is, and how long each takes."""

from __future__ import annotations

import statistics
import time
from typing import NamedTuple

import numpy as np

from segkit.config import RunConfig
from segkit.data.sources.source import Sample, Subset
from segkit.evaluation import counts
from segkit.inference.decoding import decode
from segkit.inference.images import match_model_input, predict_images
from segkit.inference.tiles import Predict
from segkit.system.threads import prefetch
from segkit.task import VOID

TURNS = 5


class Difference(NamedTuple):
    """What `compare` finds. Differences are of probabilities; Dice is None where no class occurs or there are no masks."""

    images: int
    largest: float
    mean: float
    decided_alike: float
    """Share of the decisions (a pixel, in a multilabel task a pixel and class) that are the same."""
    dice: tuple[float | None, float | None]


def measure_difference(
    one: Predict, other: Predict, config: RunConfig, samples: Subset
) -> Difference:
    """Return how two ways differ on samples, each of which is predicted and decoded as `segkit predict` does."""
    task = config.task
    totals = np.zeros((2, 4, task.channels), np.int64)
    largest = summed = 0.0
    images = alike = decided = values = 0
    for sample in prefetch(samples.read, samples.names):
        target = task.encode(sample.mask, sample.name, void=VOID)
        answers = [predict_sample(predict, config, sample) for predict in (one, other)]
        difference = np.abs(answers[0] - answers[1])
        masks = [decode(config, answer) for answer in answers]
        for total, mask in zip(totals, masks, strict=True):
            total += counts.count(task, target, mask)
        largest, summed = (
            max(largest, float(difference.max())),
            summed + float(difference.sum(dtype=np.float64)),
        )
        alike, decided = alike + int((masks[0] == masks[1]).sum()), decided + masks[0].size
        images, values = images + 1, values + difference.size
    dice = tuple(counts.report(task, total, images)["mean"]["dice_foreground"] for total in totals)
    return Difference(
        images, largest, summed / max(1, values), alike / max(1, decided), (dice[0], dice[1])
    )


def predict_sample(predict: Predict, config: RunConfig, sample: Sample) -> np.ndarray:
    """Return (H, W, classes) of one sample's image."""
    named = [(sample.name, match_model_input(config, sample.image, sample.name))]
    ((_, _, answer),) = predict_images(predict, config, named)
    return answer


def seconds(
    one: Predict, other: Predict, images: np.ndarray, turns: int = TURNS
) -> tuple[float, float]:
    """Return the median time in seconds that each takes for a batch; they take turns, after two untimed runs each."""
    taken: tuple[list[float], list[float]] = ([], [])
    for turn in range(-2, turns):
        for predict, times in zip((one, other), taken, strict=True):
            began = time.perf_counter()
            predict(images)
            if turn >= 0:
                times.append(time.perf_counter() - began)
    return statistics.median(taken[0]), statistics.median(taken[1])
