"""Samples a training patch: an affine map into the image, and a warp of only the needed area."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from segkit.config import AugmentConfig
from segkit.task import Task
from segkit.task.layers import layer_of
from segkit.task.soft import hard_target

BANDS = 4
"""Most channels to which OpenCV's warp assigns border values of their own."""
TURNED = 0.9
"""Share of the patches that are rotated and scaled, if the settings allow it."""


class Turn(NamedTuple):
    """Rotation (radians), scale and flips of a patch around its centre; -1 is a flip."""

    angle: float = 0.0
    scale: float = 1.0
    across: int = 1
    down: int = 1

    @property
    def mirrors(self) -> bool:
        """Whether the patch is a mirror image; two flips are a rotation by 180 degrees."""
        return self.across != self.down


def sample_start(
    size: tuple[int, int],
    crop: tuple[int, int],
    wanted: tuple[int, int] | None,
    rng: np.random.Generator,
) -> list[int]:
    """Sample the first row and column of a patch, uniformly.

    An image smaller than the patch is centred in it, so the start is negative there. A later
    rotation may move the wanted pixel out of the patch again; `shift_to_include` corrects that.

    Args:
        size: Height and width of the image, in pixels.
        crop: Height and width of the patch, in pixels.
        wanted: Row and column of a pixel that the patch must contain, or None.
        rng: Source of the random numbers.

    Returns:
        The first row and column.
    """
    starts = []
    for axis, (length, patch_length) in enumerate(zip(size, crop, strict=True)):
        low = min(0, length - patch_length)
        high = max(0, length - patch_length)
        if length < patch_length:
            start = (low + high) // 2
        else:
            start = int(rng.integers(low, high + 1))
        if wanted is not None and length > patch_length:
            start = int(np.clip(wanted[axis] - rng.integers(0, patch_length), low, high))
        starts.append(start)
    return starts


def sample_turn(settings: AugmentConfig, rng: np.random.Generator) -> Turn:
    """Sample rotation, scale and flips within the settings."""
    angle = 0.0
    scale = 1.0
    across = 1
    down = 1
    if (settings.rotate or settings.scale) and rng.random() < TURNED:
        angle = math.radians(rng.uniform(-settings.rotate, settings.rotate))
        scale = rng.uniform(1 / (1 + settings.scale), 1 + settings.scale)
    if settings.flip_horizontal and rng.random() < 0.5:
        across = -1
    if settings.flip_vertical and rng.random() < 0.5:
        down = -1
    return Turn(angle, scale, across, down)


def map_of(start: Sequence[int], crop: tuple[int, int], turn: Turn, margin: int = 0) -> np.ndarray:
    """Return the affine map from a patch to the image.

    Args:
        start: First row and column of the patch before the turn.
        crop: Height and width of the patch without its margin, in pixels.
        turn: Rotation, scale and flips around the centre.
        margin: Extra pixels on each side of the patch.

    Returns:
        (2, 3) float64: maps (x, y, 1) in the patch with its margin to (x, y) in the image.
    """
    sine = math.sin(turn.angle) / turn.scale
    cosine = math.cos(turn.angle) / turn.scale
    xx = cosine * turn.across
    xy = -sine * turn.down
    yx = sine * turn.across
    yy = cosine * turn.down
    row, column = start
    y, x = ((length - 1) / 2 for length in crop)
    return np.array(
        [
            [xx, xy, column + x - xx * (x + margin) - xy * (y + margin)],
            [yx, yy, row + y - yx * (x + margin) - yy * (y + margin)],
        ]
    )


def shift_to_include(
    matrix: np.ndarray, pixel: tuple[int, int], crop: tuple[int, int], margin: int = 0
) -> np.ndarray:
    """Shift a map as little as possible so that the patch contains a pixel of the image.

    The pixel comes to lie at a whole pixel of the patch, where nearest-neighbour sampling reads it.

    Args:
        matrix: The map (2, 3) from the patch to the image.
        pixel: Row and column in the image.
        crop: Height and width of the patch without its margin, in pixels.
        margin: Extra pixels on each side of the patch. The pixel does not come to lie there.

    Returns:
        The shifted map, (2, 3).
    """
    linear = matrix[:, :2]
    wanted = np.array(pixel[::-1])
    place = np.linalg.solve(linear, wanted - matrix[:, 2])
    last = np.array(crop[::-1]) - 1
    place = np.clip(place.round(), margin, margin + last)
    return np.column_stack([linear, wanted - linear @ place])


def region(matrix: np.ndarray, crop: tuple[int, int], size: tuple[int, int]) -> tuple[slice, slice]:
    """Find the area of an image that a patch needs.

    Args:
        matrix: The map (2, 3) from the patch to the image.
        crop: Height and width of the patch, in pixels.
        size: Height and width of the image, in pixels.

    Returns:
        The rows and columns, including the neighbours that linear interpolation blends.
    """
    height, width = crop
    needed = []
    for (per_x, per_y, offset), length in zip(matrix.tolist(), size[::-1], strict=True):
        ends = (per_x * (width - 1), per_y * (height - 1))
        first = math.floor(offset + sum(min(0.0, end) for end in ends)) - 1
        stop = math.ceil(offset + sum(max(0.0, end) for end in ends)) + 2
        needed.append(slice(max(0, first), min(length, stop)))
    columns, rows = needed
    return rows, columns


def warp(
    array: np.ndarray,
    matrix: np.ndarray,
    crop: tuple[int, int],
    fill: np.ndarray,
    interpolation: int,
) -> np.ndarray:
    """Sample a patch from an array.

    Args:
        array: (H, W) or (H, W, C), uint8, uint16 or float32.
        matrix: The map (2, 3) from the patch to the array.
        crop: Height and width of the patch, in pixels.
        fill: A value per channel for pixels outside the array; at least four values if C <= 4.
        interpolation: OpenCV's constant, such as `cv2.INTER_NEAREST`.

    Returns:
        The patch (h, w) or (h, w, C), in the dtype of the array.
    """
    rows, columns = region(matrix, crop, array.shape[:2])
    moved = matrix - np.array([[0, 0, columns.start], [0, 0, rows.start]])
    flags = interpolation | cv2.WARP_INVERSE_MAP

    def warped(bands: np.ndarray, values: np.ndarray) -> np.ndarray:
        return cv2.warpAffine(bands, moved, crop[::-1], flags=flags, borderValue=values.tolist())

    needed = array[rows, columns]
    channels = array[0, 0].size
    if channels == 3:  # OpenCV warps four channels in half the time of three
        rgba = warped(cv2.cvtColor(needed, cv2.COLOR_RGB2RGBA), fill)
        patch = cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB)
    elif channels <= BANDS:
        patch = warped(needed, fill)
    else:
        groups = [slice(first, first + BANDS) for first in range(0, channels, BANDS)]
        patch = np.dstack([warped(needed[..., group], fill[group]) for group in groups])
    return patch.reshape(*crop, *array.shape[2:])


def foreground_pixel(
    target: np.ndarray, task: Task, rng: np.random.Generator
) -> tuple[int, int] | None:
    """Sample a pixel of a foreground class: first the class, then the pixel, both uniformly.

    Args:
        target: An encoded target.
        task: The task that encoded it.
        rng: Source of the random numbers.

    Returns:
        Row and column; None if the target has no foreground.
    """
    mask = hard_target(task, target)
    layers = [layer_of(task, mask, index) for index in task.foreground]
    present = [layer for layer in layers if layer.any()]
    if not present:
        return None
    places = np.flatnonzero(present[rng.integers(len(present))])
    row, column = divmod(int(rng.choice(places)), target.shape[1])
    return row, column
