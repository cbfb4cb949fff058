"""Random changes of training samples: one warp, one table of intensities, then albumentations.

This is the only file that uses albumentations.
"""

from __future__ import annotations

import math
import os
import queue
from collections.abc import Sequence
from typing import NamedTuple

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # otherwise its import asks a server for updates

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
"""Threads that can augment at once; two threads in one pipeline would repeat random numbers."""
SMALLEST_RANGE = 1e-6
"""Ranges of intensities are divided by at least this."""


class Augment:
    """Cuts a random patch out of a sample and augments it; the same seed gives the same patch.

    All positions in the image are equally likely. A share `foreground` of the patches contains a
    pixel of a foreground class of the image, all classes equally likely, as nnU-Net does for a
    third of a batch (Isensee et al., 2021: https://doi.org/10.1038/s41592-020-01008-z). Masks are
    resampled to the nearest pixel; pixels outside the image become VOID. A flip swaps the task's
    flip pairs.

    Args:
        task: The task that encoded the targets.
        settings: The `augment` section of a config.
        input_config: The model's input: its channels, range, mean and dtype.
        crop: Height and width of a patch, in pixels.
        foreground: Share of the patches with a foreground pixel, in [0, 1].
    """

    def __init__(
        self,
        task: Task,
        settings: AugmentConfig,
        input_config: InputConfig,
        crop: tuple[int, int],
        foreground: float = 0.0,
    ) -> None:
        self.task = task
        self.settings = settings
        self.input_config = input_config
        self.crop = crop
        self.foreground = foreground
        self.margin = math.ceil(settings.elastic)  # pixels that elastic deformation may move
        mean = np.asarray(input_config.mean)
        self._fill = mean if input_config.dtype == "float32" else mean.round()
        self._pipelines = _Pipelines(settings, input_config, crop)
        without_intensities = settings.model_copy(update={"noise": 0.0, "blur": 0.0})
        self._places = _Pipelines(without_intensities, input_config, crop)

    def __call__(
        self, image: np.ndarray, target: np.ndarray, seed: int | Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Make an augmented patch.

        Args:
            image: (H, W, C) uint8, uint16 or float32.
            target: Its encoded target.
            seed: Seed of the random numbers.

        Returns:
            The patch (h, w, C) in the image's dtype, and its target, both of the crop's size.
        """
        rng = np.random.default_rng(seed)
        image, target = self._patch(image, target, rng)
        image = apply_curve(image, sample_curve(self.settings, rng), self.input_config)
        if not self._pipelines.change_something:
            return image, target
        return self._pipelines(image, target, int(rng.integers(2**31)))

    def views(
        self, image: np.ndarray, target: np.ndarray, seed: int | Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Make an augmented patch, and the same patch without changes of intensities.

        Args:
            image: (H, W, C) uint8, uint16 or float32.
            target: Its encoded target.
            seed: Seed of the random numbers.

        Returns:
            The patch and the target that a call with the seed returns, and between them the patch
            with its own brightness, contrast and noise: pixels show the same places.
        """
        strong, target_patch = self(image, target, seed)
        rng = np.random.default_rng(seed)
        weak, mask = self._patch(image, target, rng)
        sample_curve(self.settings, rng)  # draws the numbers that the other patch has drawn
        if self._places.change_something:
            weak, _ = self._places(weak, mask, int(rng.integers(2**31)))
        return strong, weak, target_patch

    def _patch(
        self, image: np.ndarray, target: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return a random patch with its margin."""
        wanted = None
        if rng.random() < self.foreground:
            wanted = foreground_pixel(target, self.task, rng)
        start = sample_start(target.shape[:2], self.crop, wanted, rng)
        turn = sample_turn(self.settings, rng)
        matrix = map_of(start, self.crop, turn, self.margin)
        if wanted is not None:
            matrix = shift_to_include(matrix, wanted, self.crop, self.margin)
        height, width = self.crop
        size = (height + 2 * self.margin, width + 2 * self.margin)
        void = np.full(max(BANDS, *target.shape[2:], 0), VOID)
        patch = warp(image, matrix, size, self._fill, cv2.INTER_LINEAR)
        mask = warp(target, matrix, size, void, cv2.INTER_NEAREST)
        if turn.mirrors and self.task.flip_pairs:
            mask = self.task.mirror(mask)
        return patch, mask


class _Pipelines:
    """What one warp and one table cannot do, by albumentations, for any number of threads."""

    def __init__(
        self, settings: AugmentConfig, input_config: InputConfig, crop: tuple[int, int]
    ) -> None:
        self.input_config = input_config
        self.change_something = bool(_transforms(settings, input_config, crop))
        self._free: queue.SimpleQueue[A.Compose] = queue.SimpleQueue()
        if self.change_something:
            for _ in range(PIPELINES):
                self._free.put(A.Compose(_transforms(settings, input_config, crop)))

    def __call__(
        self, image: np.ndarray, target: np.ndarray, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the patch changed by albumentations, without its margin."""
        pipeline = self._free.get()
        try:
            pipeline.set_random_seed(seed)
            changed = pipeline(image=_to_unit(image, self.input_config), mask=target)
        finally:
            self._free.put(pipeline)
        return _from_unit(changed["image"], self.input_config), changed["mask"]


class Curve(NamedTuple):
    """A change of intensities whose usual range is 0 to 1: contrast, brightness, then gamma.

    Gamma changes only values inside the range.
    """

    contrast: float = 1.0
    brightness: float = 0.0
    gamma: float = 1.0

    def __call__(self, values: np.ndarray, room: float = 0.0) -> np.ndarray:
        """Change values and clip them.

        Args:
            values: Intensities, any shape, float32.
            room: How far the result may be outside 0 to 1.

        Returns:
            The changed values, float32.
        """
        changed = values * np.float32(self.contrast) + np.float32(self.brightness)
        changed = np.clip(changed, -room, 1 + room)
        if self.gamma == 1.0:
            return changed
        inside = np.clip(changed, 0, 1)
        return inside ** np.float32(self.gamma) + (changed - inside)


def sample_curve(settings: AugmentConfig, rng: np.random.Generator) -> Curve:
    """Sample contrast and brightness (in 80 % of the cases) and gamma (in 50 %)."""
    contrast, brightness, gamma = Curve()
    if (settings.brightness or settings.contrast) and rng.random() < 0.8:
        contrast += rng.uniform(-settings.contrast, settings.contrast)
        brightness = rng.uniform(-settings.brightness, settings.brightness)
    if settings.gamma and rng.random() < 0.5:
        gamma += rng.uniform(-settings.gamma, settings.gamma)
    return Curve(contrast, brightness, gamma)


def apply_curve(image: np.ndarray, curve: Curve, input_config: InputConfig) -> np.ndarray:
    """Change the intensities of an image.

    Images of whole numbers are changed by a table of all values, without a copy in float32. Without
    gamma, 8-bit images are changed by OpenCV's saturating sum, in less than half the time.

    Args:
        image: (H, W, C) uint8, uint16 or float32.
        curve: The change. Its values 0 and 1 are `input_config.low` and `input_config.high`; in
            8 bits they are 0 and 255.
        input_config: The model's input.

    Returns:
        The changed image, in its dtype.
    """
    if curve == Curve():
        return image
    usual = Range(input_config.low, input_config.high, input_config.dtype)
    if input_config.dtype == "float32":
        return usual.back(curve(usual.unit(image), FAR))
    if input_config.dtype == "uint16":
        all_values = np.arange(2**16, dtype=np.uint16)
        return np.take(usual.back(curve(usual.unit(all_values), FAR)), image)
    if curve.gamma == 1.0:
        changed = cv2.addWeighted(image, curve.contrast, image, 0.0, 255 * curve.brightness)
    else:
        table = curve(np.arange(256, dtype=np.float32) / 255) * 255
        changed = cv2.LUT(image, table.round().astype(np.uint8))
    return np.asarray(changed).reshape(image.shape)


def _transforms(
    settings: AugmentConfig, input_config: InputConfig, crop: tuple[int, int]
) -> list[A.BasicTransform]:
    """Return the transforms that one warp and one table cannot do."""
    transforms: list[A.BasicTransform] = []
    if settings.elastic:
        smooth = max(*crop, 16) / 16
        transforms.append(
            A.ElasticTransform(
                alpha=settings.elastic * smooth,
                sigma=smooth,
                p=0.5,
                interpolation=cv2.INTER_LINEAR,
                mask_interpolation=cv2.INTER_NEAREST,
                border_mode=cv2.BORDER_CONSTANT,
                fill=_fill(input_config),
                fill_mask=[VOID] * BANDS,
            )
        )
        transforms.append(A.CenterCrop(*crop))
    if settings.noise:
        share = 1.0
        if input_config.dtype != "uint8":
            share = _whole_range(input_config).share(input_config.high - input_config.low)
        transforms.append(A.GaussNoise(std_range=(0, settings.noise * share), p=0.5))
    if settings.blur:
        transforms.append(A.GaussianBlur(blur_limit=0, sigma_limit=(0, settings.blur), p=0.3))
    return transforms


def _fill(input_config: InputConfig) -> list[float]:
    """Return the mean of each channel, or one mean if OpenCV cannot take as many values."""
    mean = np.asarray(input_config.mean)
    if mean.size > BANDS:
        mean = np.full(BANDS, mean.mean())
    if input_config.dtype == "uint8":
        mean = mean.round()
    else:
        mean = _to_unit(mean, input_config)
    return mean.tolist()


class Range(NamedTuple):
    """The range `low` to `high` of a dtype with more than 8 bits, mapped to 0 to 1 and back."""

    low: float
    high: float
    dtype: str

    def unit(self, image: np.ndarray) -> np.ndarray:
        """Return (value - low) / (high - low), in the image's shape, float32."""
        scaled = (image.astype(np.float32) - self.low) / max(self.high - self.low, SMALLEST_RANGE)
        return scaled.astype(np.float32)

    def back(self, image: np.ndarray) -> np.ndarray:
        """Return the inverse of `unit`, in the dtype; whole numbers are clipped to its limits."""
        image = image * max(self.high - self.low, SMALLEST_RANGE) + self.low
        if self.dtype == "uint16":
            image = image.round().clip(0, 65535)
        return image.astype(self.dtype)

    def share(self, distance: float) -> float:
        """Return a distance between two values as a share of the range."""
        return distance / max(self.high - self.low, SMALLEST_RANGE)


def _whole_range(input_config: InputConfig) -> Range:
    """Return the range of all values that the model distinguishes."""
    return Range(*input_config.limits, input_config.dtype)


def _to_unit(image: np.ndarray, input_config: InputConfig) -> np.ndarray:
    """Return an image for albumentations: uint8, or float32 between 0 and 1."""
    if input_config.dtype == "uint8":
        return image
    return _whole_range(input_config).unit(image)


def _from_unit(image: np.ndarray, input_config: InputConfig) -> np.ndarray:
    """Return an image of albumentations in its own range and dtype."""
    if input_config.dtype == "uint8":
        return image
    return _whole_range(input_config).back(image)
