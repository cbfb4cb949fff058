"""Random changes of training samples. The only file that knows albumentations."""

from __future__ import annotations

import math
import os
import queue

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it asks a server for its newest version at import

import albumentations as A  # noqa: N812 (its documentation's own name)
import cv2
import numpy as np

from segkit.config import AugmentConfig, InputConfig
from segkit.task import VOID, Task

PIPELINES = 8
"""Threads that can augment at once; one pipeline shared by two threads repeats samples."""


OPENCV_CHANNELS = 4
"""OpenCV changes so many channels at once and takes a border value of each; a single number is that of the first."""


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
        self.task, self.given, self.crop, self.foreground = task, given, crop, foreground
        turns = settings.rotate or settings.scale
        reach = math.ceil(math.hypot(*crop) * (1 + settings.scale)) + 2 if turns else 0
        self.margins = [max(0, -(-(reach - length) // 2)) for length in crop]
        self._free: queue.SimpleQueue[A.Compose] = queue.SimpleQueue()
        for _ in range(PIPELINES):
            self._free.put(A.Compose(_transforms(task, settings, given, crop)))

    def __call__(self, image: np.ndarray, target: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        image, target = self._window(image, target, np.random.default_rng(seed))
        pipeline = self._free.get()
        try:
            pipeline.set_random_seed(seed)
            done = pipeline(image=_to_unit(image, self.given), mask=target)
        finally:
            self._free.put(pipeline)
        return _from_unit(done["image"], self.given), done["mask"]

    def _window(self, image: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Cut out the patch and, around it, what a turn may bring in; what lies outside the image is mean and VOID."""
        wanted = self._foreground_pixel(target, rng) if rng.random() < self.foreground else None
        inside, place = [], []
        for axis, (length, crop, margin) in enumerate(zip(image.shape[:2], self.crop, self.margins, strict=True)):
            low, high = sorted((0, length - crop))  # of the patch's first row; a small image keeps its middle
            start = (low + high) // 2 if length < crop else int(rng.integers(low, high + 1))
            if wanted is not None and length > crop:
                start = int(np.clip(wanted[axis] - rng.integers(0, crop), low, high))
            first, last = start - margin, start + crop + margin
            inside.append(slice(max(0, first), min(length, last)))
            place.append(slice(max(0, first) - first, min(length, last) - first))
        size = [crop + 2 * margin for crop, margin in zip(self.crop, self.margins, strict=True)]
        fill = np.asarray(self.given.mean).round() if image.dtype != np.float32 else np.asarray(self.given.mean)
        window = np.empty((*size, image.shape[-1]), image.dtype)
        window[...] = fill.astype(image.dtype)
        mask = np.full((*size, *target.shape[2:]), VOID, np.uint8)
        window[tuple(place)], mask[tuple(place)] = image[tuple(inside)], target[tuple(inside)]
        return window, mask

    def _foreground_pixel(self, target: np.ndarray, rng: np.random.Generator) -> tuple[int, int] | None:
        layers = {
            index: target == index if self.task.exclusive else target[..., index] == 1 for index in self.task.foreground
        }
        shown = [layer for layer in layers.values() if layer.any()]
        if not shown:
            return None
        places = np.flatnonzero(shown[rng.integers(len(shown))])
        row, column = divmod(int(rng.choice(places)), target.shape[1])
        return row, column


class _HorizontalFlip(A.HorizontalFlip):
    task: Task

    def apply_to_mask(self, mask: np.ndarray, **params: object) -> np.ndarray:
        return self.task.mirror(super().apply_to_mask(mask, **params))


class _VerticalFlip(A.VerticalFlip):
    task: Task

    def apply_to_mask(self, mask: np.ndarray, **params: object) -> np.ndarray:
        return self.task.mirror(super().apply_to_mask(mask, **params))


def _transforms(
    task: Task, settings: AugmentConfig, given: InputConfig, crop: tuple[int, int]
) -> list[A.BasicTransform]:
    height, width = crop
    border = {"border_mode": cv2.BORDER_CONSTANT, "fill": _fill(given), "fill_mask": [VOID] * OPENCV_CHANNELS}
    nearest = {"interpolation": cv2.INTER_LINEAR, "mask_interpolation": cv2.INTER_NEAREST}
    chain: list[A.BasicTransform] = []
    if settings.rotate or settings.scale:
        sizes, turns = (1 / (1 + settings.scale), 1 + settings.scale), (-settings.rotate, settings.rotate)
        chain.append(A.Affine(scale=sizes, rotate=turns, keep_ratio=True, p=0.9, **nearest, **border))
    if settings.elastic:
        smooth = max(height, width, 16) / 16
        chain.append(A.ElasticTransform(alpha=settings.elastic * smooth, sigma=smooth, p=0.5, **nearest, **border))
    chain.append(A.CenterCrop(height, width))
    for flip, wanted in ((_HorizontalFlip, settings.flip_horizontal), (_VerticalFlip, settings.flip_vertical)):
        if wanted:
            flipped = flip(p=0.5)
            flipped.task = task
            chain.append(flipped)
    return chain + _intensities(settings)


def _intensities(settings: AugmentConfig) -> list[A.BasicTransform]:
    chain: list[A.BasicTransform] = []
    if settings.brightness or settings.contrast:
        chain.append(A.RandomBrightnessContrast(settings.brightness, settings.contrast, p=0.8))
    if settings.gamma:
        chain.append(A.RandomGamma((100 * (1 - settings.gamma), 100 * (1 + settings.gamma)), p=0.5))
    if settings.noise:
        chain.append(A.GaussNoise(std_range=(0, settings.noise), p=0.5))
    if settings.blur:
        chain.append(A.GaussianBlur(blur_limit=0, sigma_limit=(0, settings.blur), p=0.3))
    return chain


def _fill(given: InputConfig) -> list[float]:
    """Return the mean of each channel; one for all where there are more channels than OpenCV takes values."""
    mean = np.asarray(given.mean)
    mean = mean if mean.size <= OPENCV_CHANNELS else np.full(OPENCV_CHANNELS, mean.mean())
    return (mean.round() if given.dtype == "uint8" else _to_unit(mean, given)).tolist()


def _to_unit(image: np.ndarray, given: InputConfig) -> np.ndarray:
    """Albumentations changes intensities of uint8, or of float32 between 0 and 1."""
    if given.dtype == "uint8":
        return image
    return ((image.astype(np.float32) - given.low) / max(given.high - given.low, 1e-6)).astype(np.float32)


def _from_unit(image: np.ndarray, given: InputConfig) -> np.ndarray:
    if given.dtype == "uint8":
        return image
    image = image * max(given.high - given.low, 1e-6) + given.low
    return (image.round() if given.dtype == "uint16" else image).astype(given.dtype)
