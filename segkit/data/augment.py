"""Random changes of training samples. The only file that knows albumentations."""

from __future__ import annotations

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

    `(image (H, W, C), target, seed) -> (image (h, w, C), target)` of the crop's size and the image's dtype. Masks are
    resampled to the nearest; pixels from outside the image are VOID. A flip swaps the task's flip pairs.
    """

    def __init__(self, task: Task, settings: AugmentConfig, given: InputConfig, crop: tuple[int, int]) -> None:
        self.given, self.crop, self.scale = given, crop, settings.scale
        self._free: queue.SimpleQueue[A.Compose] = queue.SimpleQueue()
        for _ in range(PIPELINES):
            self._free.put(A.Compose(_transforms(task, settings, given, crop)))

    def __call__(self, image: np.ndarray, target: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        image, target = self._window(image, target, seed)
        pipeline = self._free.get()
        try:
            pipeline.set_random_seed(seed)
            done = pipeline(image=_to_unit(image, self.given), mask=target)
        finally:
            self._free.put(pipeline)
        return _from_unit(done["image"], self.given), done["mask"]

    def _window(self, image: np.ndarray, target: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Cut a large image down before turning it: a window that holds the turned and scaled patch."""
        rng = np.random.default_rng(seed)
        reach = int(np.hypot(*self.crop) * (1 + self.scale)) + 2
        window = []
        for length in image.shape[:2]:
            start = int(rng.integers(0, length - reach + 1)) if length > reach else 0
            window.append(slice(start, start + reach))
        rows, columns = window
        return np.ascontiguousarray(image[rows, columns]), np.ascontiguousarray(target[rows, columns])


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
    chain.append(A.RandomCrop(height, width, pad_if_needed=True, **border))
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
