"""How much a prediction has to do, and how long a network takes for one window of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segkit.config import RunConfig
from segkit.errors import DataError
from segkit.inference.tiles import Predict
from segkit.io import codecs
from segkit.io.pictures import open_picture, open_tiff
from segkit.io.tiff_windows import largest_page_size

SAMPLES = 16
"""Images whose size is read; the others count as the mean of these."""
TURNS = 2
LARGEST = 512
"""Rows and columns of the largest window that is measured; larger ones take as long per pixel."""


class Workload(NamedTuple):
    """What a prediction has to do."""

    height: int
    """Of a window to measure, in pixels."""
    width: int
    pixels: int
    """Pixels of all images."""


def workload(config: RunConfig, images: Sequence[Path]) -> Workload | None:
    """Return what images have to do with a network, from the headers of a few of them; None if none can be read."""
    step = max(1, len(images) // SAMPLES)
    sizes = []
    for path in images[::step][:SAMPLES]:
        size = image_size(path)
        if size is not None:
            sizes.append(size)
    if not sizes:
        return None
    pixels = sum(height * width for height, width in sizes)
    height, width = max(sizes, key=lambda size: size[0] * size[1])
    side = min(config.predict.tile, LARGEST)
    return Workload(min(height, side), min(width, side), pixels * len(images) // len(sizes))


def image_size(path: Path) -> tuple[int, int] | None:
    """Return height and width of an image from its header; None if it cannot be read."""
    try:
        with codecs.naming(path):
            if largest_page_size(path):
                with open_tiff(path) as tiff:
                    return int(tiff.pages[0].imagelength), int(tiff.pages[0].imagewidth)
            with open_picture(path) as picture:
                return picture.height, picture.width
    except DataError:  # reading the image itself will say what is wrong
        return None


def seconds_per_window(predict: Predict, config: RunConfig, work: Workload) -> float:
    """Return the shortest time of a window of zeros; the first call, which prepares the network, does not count."""
    window = np.zeros((1, work.height, work.width, config.input.channels), config.input.dtype)
    predict(window)
    shortest = float("inf")
    for _ in range(TURNS):
        began = time.perf_counter()
        predict(window)
        shortest = min(shortest, time.perf_counter() - began)
    return shortest
