"""Random changes of training samples: one warp from the image to the patch, one table of intensities, then albumentations.

The only file that knows albumentations.
"""

from __future__ import annotations

import math
import os
import queue
from collections.abc import Sequence
from typing import NamedTuple

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it asks a server for its newest version at import

import albumentations as A  # noqa: N812 (its documentation's own name)
import cv2
import numpy as np

from segkit.config import AugmentConfig, InputConfig
from segkit.config.config import FAR
from segkit.data.batches.patch import (
    BANDS,
    foreground_pixel,
    map_of,
    sample_start,
    sample_turn,
    shift_to_include,
    warp,
)
from segkit.task import VOID, Task

PIPELINES = 16
"""Threads that can augment at once; one pipeline shared by two threads repeats samples."""


class Augment:
    """Cuts a patch out of a sample and changes it at random; the same seed gives the same patch.

    `(image (H, W, C), target, seed) -> (image (h, w, C), target)` of the crop's size and the image's dtype. Every place of
    the image is as likely; a share `foreground` of the patches holds a pixel of a foreground class that the image shows,
    each class as likely (as nnU-Net does for a third of a batch: Isensee et al., 2021). Masks are resampled to the
    nearest; pixels from outside the image are VOID. A flip swaps the task's flip pairs.
    """

    def __init__(
        self,
        task: Task,
        settings: AugmentConfig,
        given: InputConfig,
        crop: tuple[int, int],
        foreground: float = 0.0,
    ) -> None:
        self.task, self.settings, self.given, self.crop, self.foreground = (
            task,
            settings,
            given,
            crop,
            foreground,
        )
        self.margin = math.ceil(settings.elastic)  # what an elastic warp may bring in
        mean = np.asarray(given.mean)
        self._fill = mean if given.dtype == "float32" else mean.round()
        self._free: queue.SimpleQueue[A.Compose] = queue.SimpleQueue()
        rest = _rest(settings, given, crop)
        for _ in range(PIPELINES if rest else 0):
            self._free.put(A.Compose(_rest(settings, given, crop)))
        self._has_rest = bool(rest)

    def __call__(
        self, image: np.ndarray, target: np.ndarray, seed: int | Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        image, target = self._patch(image, target, rng)
        image = apply_curve(image, sample_curve(self.settings, rng), self.given)
        return (
            self._changed_by_the_rest(image, target, int(rng.integers(2**31)))
            if self._has_rest
            else (image, target)
        )

    def _patch(
        self, image: np.ndarray, target: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        wanted = (
            foreground_pixel(target, self.task, rng) if rng.random() < self.foreground else None
        )
        start = sample_start(target.shape[:2], self.crop, wanted, rng)
        turn, (height, width) = sample_turn(self.settings, rng), self.crop
        matrix = map_of(start, self.crop, turn, self.margin)
        matrix = (
            matrix if wanted is None else shift_to_include(matrix, wanted, self.crop, self.margin)
        )
        size = (height + 2 * self.margin, width + 2 * self.margin)
        unknown = np.full(max(BANDS, *target.shape[2:], 0), VOID)
        patch = warp(image, matrix, size, self._fill, cv2.INTER_LINEAR)
        mask = warp(target, matrix, size, unknown, cv2.INTER_NEAREST)
        return patch, self.task.mirror(mask) if turn.mirrors and self.task.flip_pairs else mask

    def _changed_by_the_rest(
        self, image: np.ndarray, target: np.ndarray, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        pipeline = self._free.get()
        try:
            pipeline.set_random_seed(seed)
            done = pipeline(image=_to_unit(image, self.given), mask=target)
        finally:
            self._free.put(pipeline)
        return _from_unit(done["image"], self.given), done["mask"]


class Curve(NamedTuple):
    """A change of intensities, of which 0 to 1 is the usual range: by contrast and brightness, then within it by gamma."""

    contrast: float = 1.0
    brightness: float = 0.0
    gamma: float = 1.0

    def __call__(self, values: np.ndarray, room: float = 0.0) -> np.ndarray:
        """Return float32 values changed, each alone, and cut off where they lie more than `room` outside 0 to 1."""
        changed = np.clip(
            values * np.float32(self.contrast) + np.float32(self.brightness), -room, 1 + room
        )
        if self.gamma == 1.0:
            return changed
        inside = np.clip(changed, 0, 1)
        return inside ** np.float32(self.gamma) + (changed - inside)


def sample_curve(settings: AugmentConfig, rng: np.random.Generator) -> Curve:
    """Return a random change of contrast and brightness (in 0.8 of the cases), and of gamma (in half)."""
    contrast, brightness, gamma = Curve()
    if (settings.brightness or settings.contrast) and rng.random() < 0.8:
        contrast += rng.uniform(-settings.contrast, settings.contrast)
        brightness = rng.uniform(-settings.brightness, settings.brightness)
    if settings.gamma and rng.random() < 0.5:
        gamma += rng.uniform(-settings.gamma, settings.gamma)
    return Curve(contrast, brightness, gamma)


def apply_curve(image: np.ndarray, curve: Curve, given: InputConfig) -> np.ndarray:
    """Return the image changed by a curve, in its dtype and without a copy in floats if that holds whole numbers.

    These take a table of all values; 8 bits without gamma take OpenCV's saturating sum, in less than half of its time.
    """
    if curve == Curve():
        return image
    usual = Range(given.low, given.high, given.dtype)
    if given.dtype == "float32":
        return usual.back(curve(usual.unit(image), FAR))
    if given.dtype == "uint16":
        return np.take(usual.back(curve(usual.unit(np.arange(2**16, dtype=np.uint16)), FAR)), image)
    if curve.gamma == 1.0:
        changed = cv2.addWeighted(image, curve.contrast, image, 0.0, 255 * curve.brightness)
    else:
        table = curve(np.arange(256, dtype=np.float32) / 255) * 255
        changed = cv2.LUT(image, table.round().astype(np.uint8))
    return np.asarray(changed).reshape(image.shape)


def _rest(
    settings: AugmentConfig, given: InputConfig, crop: tuple[int, int]
) -> list[A.BasicTransform]:
    """Return what one warp and one table cannot do."""
    chain: list[A.BasicTransform] = []
    if settings.elastic:
        smooth = max(*crop, 16) / 16
        border = {
            "border_mode": cv2.BORDER_CONSTANT,
            "fill": _fill(given),
            "fill_mask": [VOID] * BANDS,
        }
        nearest = {"interpolation": cv2.INTER_LINEAR, "mask_interpolation": cv2.INTER_NEAREST}
        chain.append(
            A.ElasticTransform(
                alpha=settings.elastic * smooth, sigma=smooth, p=0.5, **nearest, **border
            )
        )
        chain.append(A.CenterCrop(*crop))
    if settings.noise:
        share = 1.0 if given.dtype == "uint8" else _all_of(given).share(given.high - given.low)
        chain.append(A.GaussNoise(std_range=(0, settings.noise * share), p=0.5))
    if settings.blur:
        chain.append(A.GaussianBlur(blur_limit=0, sigma_limit=(0, settings.blur), p=0.3))
    return chain


def _fill(given: InputConfig) -> list[float]:
    """Return the mean of each channel; one for all where there are more channels than OpenCV takes values."""
    mean = np.asarray(given.mean)
    mean = mean if mean.size <= BANDS else np.full(BANDS, mean.mean())
    return (mean.round() if given.dtype == "uint8" else _to_unit(mean, given)).tolist()


class Range(NamedTuple):
    """Values from `low` to `high` of a dtype of more than 8 bits, as values from 0 to 1 and back."""

    low: float
    high: float
    dtype: str

    def unit(self, image: np.ndarray) -> np.ndarray:
        """Return (value - low) / (high - low), float32."""
        return ((image.astype(np.float32) - self.low) / max(self.high - self.low, 1e-6)).astype(
            np.float32
        )

    def back(self, image: np.ndarray) -> np.ndarray:
        """Return what `unit` was made from; whole numbers end where their dtype ends."""
        image = image * max(self.high - self.low, 1e-6) + self.low
        return (image.round().clip(0, 65535) if self.dtype == "uint16" else image).astype(
            self.dtype
        )

    def share(self, distance: float) -> float:
        """Return how much of the range a distance between two values takes."""
        return distance / max(self.high - self.low, 1e-6)


def _all_of(given: InputConfig) -> Range:
    """Return the range that holds all values which the model tells apart."""
    return Range(*given.limits, given.dtype)


def _to_unit(image: np.ndarray, given: InputConfig) -> np.ndarray:
    """Albumentations changes intensities of uint8, or of float32 between 0 and 1."""
    if given.dtype == "uint8":
        return image
    return _all_of(given).unit(image)


def _from_unit(image: np.ndarray, given: InputConfig) -> np.ndarray:
    if given.dtype == "uint8":
        return image
    return _all_of(given).back(image)
