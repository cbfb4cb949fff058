"""The difference between two ways to run a network: probabilities, masks, scores and time."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from segkit.config import RunConfig
from segkit.data.pixel_size import pixel_size_of
from segkit.data.sources.source import Sample, Subset
from segkit.evaluation import counts
from segkit.inference.decoding import at_pixel_size, decode
from segkit.inference.images import match_model_input, predict_images
from segkit.inference.tiles import Predict
from segkit.system.threads import prefetch
from segkit.task import VOID

TURNS = 20
"""Largest number of timed calls of each predict function."""
FEWEST = 5
"""Smallest number of timed calls, however long they take."""
LONGEST = 5.0
"""Seconds after which no further call begins."""
WARM_UPS = 2
"""Calls of each before them that are not timed, since the first ones compile and allocate."""


class Difference(NamedTuple):
    """Result of `measure_difference`; differences are absolute differences of probabilities."""

    images: int
    largest: float
    mean: float
    decided_alike: float
    """Share of equal decisions, from 0 to 1. A decision is a pixel, in a multilabel task a pixel
    and class."""
    dice: tuple[float | None, float | None]
    """Mean foreground Dice of both; None if no class occurs in truth and masks."""


def measure_difference(
    one: Predict, other: Predict, config: RunConfig, samples: Subset
) -> Difference:
    """Predict samples in two ways, as `segkit predict` does, and compare the results.

    Args:
        one: A network.
        other: Another one, for the same images and classes.
        config: Decides windows and decoding.
        samples: At least one sample.
    """
    sums = _Sums(config)
    for sample in prefetch(samples.read, samples.names):
        target = config.task.encode(sample.mask, sample.name, void=VOID)
        one_prediction = predict_sample(one, config, sample)
        other_prediction = predict_sample(other, config, sample)
        size = pixel_size_of(config.data, sample.geometry)
        own_config = at_pixel_size(config, size, sample.name)
        sums.add(own_config, target, one_prediction, other_prediction)
    return sums.difference()


class _Sums:
    """Adds up the differences of images."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        self.images = 0
        self.largest = 0.0
        self.total = 0.0
        self.probabilities = 0
        self.equal = 0
        self.decisions = 0
        self.one_counts = np.zeros((4, config.task.channels), np.int64)
        self.other_counts = np.zeros((4, config.task.channels), np.int64)

    def add(
        self, config: RunConfig, target: np.ndarray, one: np.ndarray, other: np.ndarray
    ) -> None:
        """Add an image with an encoded target and probabilities (H, W, classes).

        The smallest objects of `config` are in pixels of the image.
        """
        difference = np.abs(one - other)
        self.images += 1
        self.largest = max(self.largest, float(difference.max()))
        self.total += float(difference.sum(dtype=np.float64))
        self.probabilities += difference.size
        one_mask = decode(config, one)
        other_mask = decode(config, other)
        self.equal += int((one_mask == other_mask).sum())
        self.decisions += one_mask.size
        self.one_counts += counts.count(self.config.task, target, one_mask)
        self.other_counts += counts.count(self.config.task, target, other_mask)

    def difference(self) -> Difference:
        return Difference(
            images=self.images,
            largest=self.largest,
            mean=self.total / max(1, self.probabilities),
            decided_alike=self.equal / max(1, self.decisions),
            dice=(self._foreground_dice(self.one_counts), self._foreground_dice(self.other_counts)),
        )

    def _foreground_dice(self, pixel_counts: np.ndarray) -> float | None:
        dice: float | None
        report = counts.score_report(self.config.task, pixel_counts, self.images)
        dice = report["mean"]["dice_foreground"]
        return dice


def predict_sample(predict: Predict, config: RunConfig, sample: Sample) -> np.ndarray:
    """Return the probabilities (H, W, classes) of one sample's image."""
    image = match_model_input(config, sample.image, sample.name)
    ((_, _, probabilities),) = predict_images(predict, config, [(sample.name, image)])
    return probabilities


class Latency(NamedTuple):
    """Times of one predict function, in seconds."""

    median: float
    """The median."""
    p95: float
    """The 95th percentile."""


def measure_latency(
    one: Predict, other: Predict, images: np.ndarray, turns: int = TURNS
) -> tuple[Latency, Latency]:
    """Return the times of two predict functions for a batch.

    They are called in turn, so that other work on the machine slows down both.

    Args:
        one: A network.
        other: Another one.
        images: A batch (B, H, W, channels).
        turns: Largest number of timed calls of each. After `FEWEST` calls no call begins later than
            `LONGEST` seconds after the first one.

    Returns:
        The times of the first and of the second function.
    """
    for _ in range(WARM_UPS):
        one(images)
        other(images)
    one_times: list[float] = []
    other_times: list[float] = []
    started = time.perf_counter()
    while len(one_times) < turns:
        if len(one_times) >= FEWEST and time.perf_counter() - started > LONGEST:
            break
        one_times.append(_seconds(one, images))
        other_times.append(_seconds(other, images))
    return _latency(one_times), _latency(other_times)


def _latency(times: list[float]) -> Latency:
    return Latency(float(np.median(times)), float(np.percentile(times, 95)))


def _seconds(predict: Predict, images: np.ndarray) -> float:
    start = time.perf_counter()
    predict(images)
    return time.perf_counter() - start
