"""Where a training patch comes from: one affine map into the image, and one warp of only what the patch needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from segkit.config import AugmentConfig
from segkit.task import Task
from segkit.task.layers import layer_of

BANDS = 4
"""OpenCV fills so many channels with values of their own."""
TURNED = 0.9
"""Share of the patches that are turned and scaled, if the settings allow any."""


class Turn(NamedTuple):
    """How a patch is turned (radians), enlarged and flipped around its middle; -1 across or down is a flip."""

    angle: float = 0.0
    scale: float = 1.0
    across: int = 1
    down: int = 1

    @property
    def mirrors(self) -> bool:
        """Whether left and right change places; two flips are half a turn."""
        return self.across != self.down


def sample_start(
    size: tuple[int, int],
    crop: tuple[int, int],
    wanted: tuple[int, int] | None,
    rng: np.random.Generator,
) -> list[int]:
    """Return the first row and column of a patch: anywhere in the image, or anywhere around the `wanted` pixel.

    Once the patch is turned, `holding` sees to the wanted pixel. An image smaller than the patch keeps its middle in the
    patch's middle, so there the start is negative.
    """
    starts = []
    for axis, (length, across) in enumerate(zip(size, crop, strict=True)):
        low, high = sorted((0, length - across))
        start = (low + high) // 2 if length < across else int(rng.integers(low, high + 1))
        if wanted is not None and length > across:
            start = int(np.clip(wanted[axis] - rng.integers(0, across), low, high))
        starts.append(start)
    return starts


def sample_turn(settings: AugmentConfig, rng: np.random.Generator) -> Turn:
    """Return a random turn within the settings."""
    angle, scale = 0.0, 1.0
    if (settings.rotate or settings.scale) and rng.random() < TURNED:
        angle = math.radians(rng.uniform(-settings.rotate, settings.rotate))
        scale = rng.uniform(1 / (1 + settings.scale), 1 + settings.scale)
    across = -1 if settings.flip_horizontal and rng.random() < 0.5 else 1
    down = -1 if settings.flip_vertical and rng.random() < 0.5 else 1
    return Turn(angle, scale, across, down)


def map_of(start: Sequence[int], crop: tuple[int, int], turn: Turn, margin: int = 0) -> np.ndarray:
    """Return the affine map (2, 3) from a patch's pixels (x, y, 1) to the image's.

    `start` is the first row and column of the patch before the turn; the patch is `margin` pixels wider on each side.
    """
    sine, cosine = math.sin(turn.angle) / turn.scale, math.cos(turn.angle) / turn.scale
    linear = (cosine * turn.across, -sine * turn.down), (sine * turn.across, cosine * turn.down)
    y, x = ((length - 1) / 2 for length in crop)
    return np.array(
        [
            [along, across, first + middle - along * (x + margin) - across * (y + margin)]
            for (along, across), first, middle in zip(linear, start[::-1], (x, y), strict=True)
        ]
    )


def shift_to_include(
    matrix: np.ndarray, pixel: tuple[int, int], crop: tuple[int, int], margin: int = 0
) -> np.ndarray:
    """Return the map moved as little as it takes for a pixel (row, column) of the image to be one of the patch's.

    Where it lies in the patch is rounded to the nearest place within the margins, so that the nearest neighbour finds it.
    """
    linear, wanted = matrix[:, :2], np.array(pixel[::-1])
    place = np.linalg.solve(linear, wanted - matrix[:, 2])
    ends = np.array(crop[::-1]) - 1
    place = np.clip(place.round(), margin, margin + ends)
    return np.column_stack([linear, wanted - linear @ place])


def region(matrix: np.ndarray, crop: tuple[int, int], size: tuple[int, int]) -> tuple[slice, slice]:
    """Return the rows and columns of an image of this size that the patch shows, with the neighbours that it blends."""
    height, width = crop
    needed = []
    for (along, across, offset), length in zip(matrix.tolist(), size[::-1], strict=True):
        ends = along * (width - 1), across * (height - 1)
        first = math.floor(offset + sum(min(0.0, end) for end in ends)) - 1
        last = math.ceil(offset + sum(max(0.0, end) for end in ends)) + 2
        needed.append(slice(max(0, first), min(length, last)))
    columns, rows = needed
    return rows, columns


def warp(
    array: np.ndarray,
    matrix: np.ndarray,
    crop: tuple[int, int],
    fill: np.ndarray,
    interpolation: int,
) -> np.ndarray:
    """Return the patch of an array (H, W) or (H, W, C) of uint8, uint16 or float32, in its dtype.

    Pixels from outside the array are `fill`, a value a channel.
    """
    rows, columns = region(matrix, crop, array.shape[:2])
    moved = matrix - np.array([[0, 0, columns.start], [0, 0, rows.start]])
    flags = interpolation | cv2.WARP_INVERSE_MAP

    def warped(bands: np.ndarray, values: np.ndarray) -> np.ndarray:
        return cv2.warpAffine(bands, moved, crop[::-1], flags=flags, borderValue=values.tolist())

    needed, channels = array[rows, columns], array[0, 0].size
    if channels == 3:  # OpenCV warps four channels in half the time of three
        patch = cv2.cvtColor(
            warped(cv2.cvtColor(needed, cv2.COLOR_RGB2RGBA), fill), cv2.COLOR_RGBA2RGB
        )
    elif channels <= BANDS:
        patch = warped(needed, fill)
    else:
        parts = [slice(first, first + BANDS) for first in range(0, channels, BANDS)]
        patch = np.dstack([warped(needed[..., part], fill[part]) for part in parts])
    return patch.reshape(*crop, *array.shape[2:])


def foreground_pixel(
    target: np.ndarray, task: Task, rng: np.random.Generator
) -> tuple[int, int] | None:
    """Return a random pixel of a random foreground class that an encoded target shows; None if it shows none."""
    layers = [layer_of(task, target, index) for index in task.foreground]
    shown = [layer for layer in layers if layer.any()]
    if not shown:
        return None
    places = np.flatnonzero(shown[rng.integers(len(shown))])
    row, column = divmod(int(rng.choice(places)), target.shape[1])
    return row, column
