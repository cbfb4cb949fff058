"""Cover an image with windows of one size, and blend what a network says of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

Window = tuple[slice, slice]
PIXELS_AT_ONCE = 2**20
"""Most pixels of a batch. More took a CPU no less time per pixel, and two to three times the memory."""
Predict = Callable[[np.ndarray], np.ndarray]
"""Images (B, H, W, C) -> probabilities (B, H, W, classes)."""


def starts(length: int, tile: int, overlap: float, align: int = 1) -> list[int]:
    """Return where windows of `tile` pixels begin so that they cover `length` and overlap by that share or more.

    All starts are multiples of `align`: a network that halves its input sees the same grid in each window as in the
    whole image. The last window may end beyond the image and is cut there.

    >>> starts(100, 50, 0.25), starts(100, 48, 0.25, align=16), starts(40, 50, 0.25)
    ([0, 25, 50], [0, 32, 64], [0])
    """
    if length <= tile:
        return [0]
    step = max(align, int(tile * (1 - overlap)) // align * align)
    gaps = -(-(length - tile) // step)
    return [-(-i * (length - tile) // (gaps * align)) * align for i in range(gaps + 1)]


def cover(height: int, width: int, tile: int, overlap: float, align: int = 1) -> list[Window]:
    """Return windows, row by row: `tile` pixels a side, less where the image ends."""
    return [
        (slice(top, min(top + tile, height)), slice(left, min(left + tile, width)))
        for top in starts(height, tile, overlap, align)
        for left in starts(width, tile, overlap, align)
    ]


def gaussian(height: int, width: int) -> np.ndarray:
    """Return weights (H, W, 1), highest in the centre: a Gaussian of an eighth of each side, at least 1/1000.

    Source: nnU-Net's sliding window (Isensee et al., 2021).
    """

    def along(length: int) -> np.ndarray:
        return np.exp(-0.5 * ((np.arange(length) - (length - 1) / 2) / (length / 8)) ** 2)

    weights = np.maximum(along(height)[:, None] * along(width)[None, :], 1e-3)
    return weights[..., None].astype(np.float32)


def batch_of(batch_size: int, height: int, width: int) -> int:
    """Return how many images or windows of one size are predicted at once: `batch_size`, or fewer if they are large.

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
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """Return the probabilities (H, W, classes) of an image (H, W, C): windows' answers in a weighted mean.

    An image no larger than one window is predicted as it is. `align` is the network's stride. `progress` is called with
    the windows done and all windows.
    """
    height, width = image.shape[:2]
    windows = cover(height, width, tile, overlap, align)
    if len(windows) == 1:
        return predict(image[None])[0]
    total: np.ndarray | None = None
    weights = gaussian(tile, tile)
    weight_sum = np.zeros((height, width, 1), np.float32)
    done = 0
    for chunk in chunks(windows, batch_of(batch_size, tile, tile)):
        answers = predict(np.stack([image[window] for window in chunk]))
        if total is None:
            total = np.zeros((height, width, answers.shape[-1]), np.float32)
        for window, answer in zip(chunk, answers, strict=True):
            weight = weights[: answer.shape[0], : answer.shape[1]]
            total[window] += answer * weight
            weight_sum[window] += weight
        done += len(chunk)
        progress(done, len(windows))
    assert total is not None  # there is at least one window
    total /= weight_sum
    return total


def chunks(windows: list[Window], size: int) -> Iterator[list[Window]]:
    """Yield up to `size` neighbours of one shape."""
    for _, alike in itertools.groupby(
        windows, lambda window: tuple(part.stop - part.start for part in window)
    ):
        while chunk := list(itertools.islice(alike, size)):
            yield chunk
