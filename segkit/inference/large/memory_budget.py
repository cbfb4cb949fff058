"""What fits into the memory: which images are predicted whole, and how much of a large one is in work at once."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from segkit.config import RunConfig
from segkit.errors import ConfigError
from segkit.inference.tiles import Predict
from segkit.io import codecs
from segkit.io.tiff_windows import largest_page_size
from segkit.system import memory

SHARE = 0.5
"""Of the free memory that a prediction may take if nothing else is said."""
PIECES = 4
"""Pieces of the image in memory: one in work, one being read and two waiting (see `prefetch`)."""
READ_AHEAD = 2**26
"""Largest piece in bytes; strips are as wide as the image, so wide pieces save decoding them again and again."""


class MemoryBudget(NamedTuple):
    """What the memory allows: windows in a batch, bytes of one piece of the image that is read at once."""

    batch_size: int
    read_bytes: int


def allowed(wanted: int | None, share: float = SHARE) -> int:
    """Return the bytes that this process may take in all: as wanted, or what it has and a share of what is free."""
    return wanted if wanted is not None else memory.resident() + int(share * memory.free_memory())


def is_large(config: RunConfig, path: Path, most: int) -> bool:
    """Return whether a TIFF is predicted by windows: it would not fit `most` bytes whole, or is over the pixel limit.

    Whole means: five such images are read ahead, and the probabilities and their weighted sums are float32.
    """
    pixels = largest_page_size(path)
    if pixels <= config.predict.tile**2:
        return False
    given = config.input
    a_pixel = 5 * given.channels * np.dtype(given.dtype).itemsize + 8 * config.task.channels + 16
    return pixels * a_pixel > most - memory.peak() or pixels > codecs.most_pixels()


def room_for(predict: Predict, config: RunConfig, most: int) -> MemoryBudget:
    """Return the room within `most` bytes, after one window of zeros has shown what the network takes.

    Raises `ConfigError` if not even one window at a time would fit; smaller windows say so before the memory is taken.
    """
    given, tile = config.input, config.predict.tile
    kind = np.dtype(given.dtype)
    window = tile * tile * given.channels * kind.itemsize
    sums = (
        4 * tile * tile * 4 * (config.task.channels + 1)
    )  # float32: sums, an answer and copies of both
    beside = sums + PIECES * window
    if (needed := memory.peak() + beside) > most or (
        needed := _foreseen(predict, config, most - beside) + beside
    ) > most:
        raise _no_room(config, needed, most)
    before = memory.resident()
    predict(_zeros(config, tile))
    one = max(memory.peak() - before, window + sums // 4)
    if (needed := memory.peak() + beside) > most:
        raise _no_room(config, needed, most)
    left = most - memory.peak() - sums
    read_bytes = max(window, min(READ_AHEAD, left // (4 * PIECES)))
    more = max(0, left - PIECES * read_bytes) // one
    return MemoryBudget(min(config.predict.batch_size, 1 + int(more)), read_bytes)


def _foreseen(predict: Predict, config: RunConfig, most: int) -> int:
    """Return about how many bytes this process will take for one window, from windows of a quarter and half of its side."""
    align, tile = config.model.stride, config.predict.tile
    quarter, half = (max(align, tile // part // align * align) for part in (4, 2))
    before = memory.resident()
    top = memory.most_resident(lambda: predict(_zeros(config, quarter)))
    # what the first call takes once and for all is in this, so it is too much
    at_most = before + (tile / quarter) ** 2 * (top - before)
    if at_most <= most or quarter == half:
        return int(at_most)
    more = memory.most_resident(lambda: predict(_zeros(config, half)))
    return int(more + max(0, more - top) * (tile**2 - half**2) / (half**2 - quarter**2))


def _zeros(config: RunConfig, side: int) -> np.ndarray:
    given = config.input
    return np.zeros((1, side, side, given.channels), given.dtype)


def _no_room(config: RunConfig, needed: float, most: int) -> ConfigError:
    tile = config.predict.tile
    return ConfigError(
        f"one window of {tile} x {tile} pixels at a time takes about {needed / 1e6:,.0f} MB in "
        f"all with this network; {most / 1e6:,.0f} MB are allowed. Allow more, or lower "
        f"predict.tile in the run's config.yaml",
        "no-space",
        setting="--memory",
    )
