"""Cover an image with windows of one size, and blend the probabilities of the windows."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

Window = tuple[slice, slice]
"""The rows and the columns of a window."""
PIXELS_AT_ONCE = 2**20
"""Largest number of pixels in a batch. Larger batches need as much CPU time per pixel, and two to
three times the memory."""
Predict = Callable[[np.ndarray], np.ndarray]
"""Images (B, H, W, C) -> probabilities (B, H, W, classes)."""
Progress = Callable[[int, int], None]
"""Called with the number of windows that are done, and of all."""


def no_progress(done: int, total: int) -> None:
    """Ignore the progress."""


def starts(length: int, tile: int, overlap: float, align: int = 1) -> list[int]:
    """Return where windows begin so that they cover a length.

    The windows are as few as possible and evenly spaced. All starts are multiples of `align`, so
    that a network that halves its input sees the same grid in each window as in the whole image.
    The last window may end beyond the image, where it is cut.

    Args:
        length: Height or width of the image in pixels.
        tile: Height or width of a window in pixels.
        overlap: Smallest share of a window that overlaps with the next one, from 0 to 1.
        align: The stride of the network.

    >>> starts(100, 50, 0.25), starts(100, 48, 0.25, align=16), starts(40, 50, 0.25)
    ([0, 25, 50], [0, 32, 64], [0])
    """
    if length <= tile:
        return [0]
    step = max(align, int(tile * (1 - overlap)) // align * align)
    last_start = length - tile
    gaps = _divide_up(last_start, step)
    return [_divide_up(i * last_start, gaps * align) * align for i in range(gaps + 1)]


def _divide_up(number: int, divisor: int) -> int:
    """Return the quotient rounded up."""
    return -(-number // divisor)


def cover(height: int, width: int, tile: int, overlap: float, align: int = 1) -> list[Window]:
    """Return the windows that cover an image, row by row.

    They are `tile` pixels high and wide, less where the image ends. The other arguments are those
    of `starts`.
    """
    windows = []
    lefts = starts(width, tile, overlap, align)
    for top in starts(height, tile, overlap, align):
        rows = slice(top, min(top + tile, height))
        for left in lefts:
            windows.append((rows, slice(left, min(left + tile, width))))
    return windows


def gaussian(height: int, width: int) -> np.ndarray:
    """Return the weights of a window's pixels: a Gaussian that is highest in the centre.

    The standard deviation is an eighth of each side. Weights are at least 1/1000.

    Returns:
        (H, W, 1) float32.

    Source: the sliding window of nnU-Net (Isensee et al., 2021,
    https://doi.org/10.1038/s41592-020-01008-z).
    """

    def along(length: int) -> np.ndarray:
        return np.exp(-0.5 * ((np.arange(length) - (length - 1) / 2) / (length / 8)) ** 2)

    weights = np.maximum(along(height)[:, None] * along(width)[None, :], 1e-3)
    return weights[..., None].astype(np.float32)


def batch_of(batch_size: int, height: int, width: int) -> int:
    """Return how many images of one size are predicted at once.

    This is `batch_size`, or fewer so that a batch has at most `PIXELS_AT_ONCE` pixels; at least 1.

    >>> batch_of(4, 256, 256), batch_of(4, 1024, 1024), batch_of(4, 512, 1024)
    (4, 1, 2)
    """
    return max(1, min(batch_size, PIXELS_AT_ONCE // (height * width)))


def predict_tiled(
    image: np.ndarray,
    predict: Predict,
    tile: int,
    overlap: float,
    batch_size: int,
    align: int = 1,
    progress: Progress = no_progress,
) -> np.ndarray:
    """Predict an image in windows, and return the weighted mean of their probabilities.

    An image that is not larger than one window is predicted whole.

    Args:
        image: (H, W, C).
        predict: The network.
        tile: Height and width of a window.
        overlap: Smallest share of a window that overlaps with the next one, from 0 to 1.
        batch_size: Windows in a batch.
        align: The stride of the network.
        progress: Receives the number of windows that are done, and of all.

    Returns:
        (H, W, classes), float32 if there are several windows.
    """
    height, width = image.shape[:2]
    windows = cover(height, width, tile, overlap, align)
    if len(windows) == 1:
        return predict(image[None])[0]
    at_once = batch_of(batch_size, tile, tile)
    predictions = predict_windows(image, predict, windows, at_once, progress)
    return _weighted_mean(height, width, windows, predictions, gaussian(tile, tile))


def _weighted_mean(
    height: int,
    width: int,
    windows: Sequence[Window],
    predictions: Iterator[np.ndarray],
    weights: np.ndarray,
) -> np.ndarray:
    """Return the mean (H, W, classes) of the windows' probabilities, weighted by their place."""
    total: np.ndarray | None = None
    weight_sum = np.zeros((height, width, 1), np.float32)
    for window, probabilities in zip(windows, predictions, strict=True):
        if total is None:
            total = np.zeros((height, width, probabilities.shape[-1]), np.float32)
        weight = weights[: probabilities.shape[0], : probabilities.shape[1]]
        total[window] += probabilities * weight
        weight_sum[window] += weight
    assert total is not None  # there is at least one window
    total /= weight_sum
    return total


def predict_windows(
    image: np.ndarray,
    predict: Predict,
    windows: Sequence[Window],
    batch_size: int,
    progress: Progress,
) -> Iterator[np.ndarray]:
    """Yield the probabilities (h, w, classes) of each window of an image (H, W, C), in order.

    `progress` receives 0 first, and then the number of windows that are done after each batch.
    """
    done = 0
    progress(done, len(windows))
    for batch in chunks(windows, batch_size):
        probabilities = predict(np.stack([image[window] for window in batch]))
        done += len(batch)
        progress(done, len(windows))
        yield from probabilities


def chunks(windows: Sequence[Window], size: int) -> Iterator[list[Window]]:
    """Yield consecutive windows of the same shape, at most `size` at a time."""
    for _, same_shape in itertools.groupby(windows, _shape_of):
        while chunk := list(itertools.islice(same_shape, size)):
            yield chunk


def _shape_of(window: Window) -> tuple[int, int]:
    rows, columns = window
    return rows.stop - rows.start, columns.stop - columns.start
