"""Cover an image with windows of one size, and blend what a network says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

Window = tuple[slice, slice]
Predict = Callable[[np.ndarray], np.ndarray]
"""Images (B, H, W, C) -> probabilities (B, H, W, classes)."""


def starts(length: int, tile: int, overlap: float) -> list[int]:
    """Return where windows of `tile` pixels begin so that they cover `length` and overlap by that share or more.

    >>> starts(100, 50, 0.25), starts(40, 50, 0.25)
    ([0, 25, 50], [0])
    """
    if length <= tile:
        return [0]
    step = max(1, int(tile * (1 - overlap)))
    count = -(-(length - tile) // step) + 1
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def cover(height: int, width: int, tile: int, overlap: float) -> list[Window]:
    """Return windows, row by row, all of one size (`tile`, or the image's where that is smaller)."""
    rows, columns = min(tile, height), min(tile, width)
    return [
        (slice(top, top + rows), slice(left, left + columns))
        for top in starts(height, tile, overlap)
        for left in starts(width, tile, overlap)
    ]


def gaussian(height: int, width: int) -> np.ndarray:
    """Return weights (H, W, 1), highest in the centre: a Gaussian of an eighth of each side, at least 1/1000.

    Source: nnU-Net's sliding window (Isensee et al., 2021).
    """

    def along(length: int) -> np.ndarray:
        return np.exp(-0.5 * ((np.arange(length) - (length - 1) / 2) / (length / 8)) ** 2)

    weights = np.maximum(along(height)[:, None] * along(width)[None, :], 1e-3)
    return weights[..., None].astype(np.float32)


def predict_tiled(image: np.ndarray, predict: Predict, tile: int, overlap: float, batch_size: int) -> np.ndarray:
    """Return the probabilities (H, W, classes) of an image (H, W, C): windows' answers in a weighted mean.

    An image no larger than one window is predicted as it is.
    """
    height, width = image.shape[:2]
    windows = cover(height, width, tile, overlap)
    if len(windows) == 1:
        return predict(image[None])[0]
    total: np.ndarray | None = None
    weights = gaussian(min(tile, height), min(tile, width))
    weight_sum = np.zeros((height, width, 1), np.float32)
    for chunk in _chunks(windows, batch_size):
        answers = predict(np.stack([image[window] for window in chunk]))
        if total is None:
            total = np.zeros((height, width, answers.shape[-1]), np.float32)
        for window, answer in zip(chunk, answers, strict=True):
            total[window] += answer * weights
            weight_sum[window] += weights
    assert total is not None  # there is at least one window
    return total / weight_sum


def _chunks(windows: list[Window], size: int) -> Iterator[list[Window]]:
    return (windows[i : i + size] for i in range(0, len(windows), size))
