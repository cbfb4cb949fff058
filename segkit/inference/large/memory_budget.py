"""How much memory prediction may use, and what fits into it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from segkit.config import RunConfig
from segkit.errors import ConfigError
from segkit.inference.tiles import Predict
from segkit.io import codecs
from segkit.io.raster_windows import pixels_for_windows
from segkit.io.slide_addresses import is_slide
from segkit.system import memory

SHARE = 0.5
"""Default share of the free memory that a prediction may use."""
PIECES = 4
"""Pieces of the image in memory: one in use, one being read and two waiting (see `prefetch`)."""
READ_AHEAD = 2**26
"""Largest piece in bytes. Strips of a TIFF are as wide as the image, so a wide piece decodes each
strip fewer times."""
FLOAT32 = 4
"""Bytes of a float32."""


class MemoryBudget(NamedTuple):
    """How much of a large image is in memory at once."""

    batch_size: int
    """Windows in a batch."""
    read_bytes: int
    """Bytes of a piece of the image that is read at once."""


def memory_limit(wanted: int | None, share: float = SHARE) -> int:
    """Return the memory limit of this process in bytes.

    Args:
        wanted: The limit that the user chose (`--memory`), or None.
        share: Without it the limit is the resident memory plus this share of the free memory.
    """
    if wanted is not None:
        return wanted
    return memory.resident() + int(share * memory.free_memory())


def is_large(config: RunConfig, path: Path, limit: int) -> bool:
    """Return whether an image must be predicted in windows that are read one by one.

    This is so if it needs more memory than is left, or has more pixels than the codecs allow. Whole
    it needs five decoded images in the queue, the probabilities as float32, and their weighted sum.

    Args:
        config: The config of the run.
        path: The image. Formats without a reader of windows are never large.
        limit: Memory limit of this process in bytes.
    """
    pixels = pixels_for_windows(path)
    if pixels and config.predict.skip_glass and is_slide(path):
        return True  # glass is found window by window
    if pixels <= config.predict.tile**2:
        return False
    queue = 5 * config.input.channels * np.dtype(config.input.dtype).itemsize
    probabilities_and_sum = 2 * FLOAT32 * config.task.channels
    bytes_per_pixel = queue + probabilities_and_sum + 16
    is_too_large = pixels * bytes_per_pixel > limit - memory.peak()
    return is_too_large or pixels > codecs.most_pixels()


def budget_within(predict: Predict, config: RunConfig, limit: int) -> MemoryBudget:
    """Return the largest batch and pieces that fit into the memory.

    The memory of the network is measured: on windows of a quarter and half of the side first, which
    predict the need of a whole window, and then on a whole window.

    Args:
        predict: The network. It is called with zeros.
        config: The config of the run.
        limit: Memory limit of this process in bytes.

    Raises:
        ConfigError: If not even one window at a time fits. As far as possible this is found before
            the memory is used.
    """
    tile = config.predict.tile
    window = tile**2 * config.input.channels * np.dtype(config.input.dtype).itemsize
    probabilities = tile**2 * FLOAT32 * (config.task.channels + 1)
    sums = 4 * probabilities  # the sums, the probabilities of a window, and a copy of each
    beside_network = sums + PIECES * window
    _check_fits(config, memory.peak() + beside_network, limit)
    before = memory.resident()
    expected = _expected_memory(predict, config, limit - beside_network)
    _check_fits(config, expected + beside_network, limit)

    predict(_zeros(config, tile))
    # a runtime may keep what the smaller windows took, and use it again
    per_window = max(memory.peak() - before, window + probabilities)
    _check_fits(config, memory.peak() + beside_network, limit)
    remaining = limit - memory.peak() - sums
    read_bytes = max(window, min(READ_AHEAD, remaining // (4 * PIECES)))
    more_windows = max(0, remaining - PIECES * read_bytes) // per_window
    batch_size = min(config.predict.batch_size, 1 + int(more_windows))
    return MemoryBudget(batch_size, read_bytes)


def _expected_memory(predict: Predict, config: RunConfig, limit: int) -> int:
    """Return about how many bytes this process will have after predicting one window.

    The need of the network grows with the area. The first call also includes what it allocates only
    once, so its estimate is too high. If that exceeds the limit, a second size separates the two.
    """
    tile = config.predict.tile
    quarter = _aligned_side(config, tile // 4)
    half = _aligned_side(config, tile // 2)
    before = memory.resident()
    with_quarter = memory.most_resident(lambda: predict(_zeros(config, quarter)))
    upper_bound = before + (tile / quarter) ** 2 * (with_quarter - before)
    if upper_bound <= limit or quarter == half:
        return int(upper_bound)
    with_half = memory.most_resident(lambda: predict(_zeros(config, half)))
    growth = max(0, with_half - with_quarter)
    return int(with_half + growth * (tile**2 - half**2) / (half**2 - quarter**2))


def _aligned_side(config: RunConfig, side: int) -> int:
    """Return the side rounded down to a multiple of the network's stride, at least one stride."""
    stride = config.model.stride
    return max(stride, side // stride * stride)


def _zeros(config: RunConfig, side: int) -> np.ndarray:
    return np.zeros((1, side, side, config.input.channels), config.input.dtype)


def _check_fits(config: RunConfig, needed: float, limit: int) -> None:
    """Raise `ConfigError` if one window at a time needs more than the limit."""
    if needed <= limit:
        return
    tile = config.predict.tile
    raise ConfigError(
        f"one window of {tile} x {tile} pixels at a time takes about {needed / 1e6:,.0f} MB in "
        f"all with this network; {limit / 1e6:,.0f} MB are allowed. Allow more, or lower "
        f"predict.tile in the run's config.yaml",
        "no-space",
        setting="--memory",
    )
