"""How many pixels there are to predict, and how long a network takes for one window."""

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
from segkit.io.films.frames import is_film
from segkit.io.pages import file_of
from segkit.io.pictures import open_picture, open_tiff
from segkit.io.rasters import is_raster, raster_size
from segkit.io.scans.finding import kind_of
from segkit.io.stack_files import axes_in_stack_file, is_stack_file
from segkit.io.tiff_windows import largest_page_size

SAMPLES = 16
"""Number of images whose size is read. The others are assumed to have the mean size of these."""
REPETITIONS = 2
LARGEST = 512
"""Largest height and width of a window that is measured. Larger ones take as long per pixel."""


class Workload(NamedTuple):
    """What there is to predict."""

    height: int
    """Height of a window to measure, in pixels."""
    width: int
    """Width of a window to measure, in pixels."""
    pixels: int
    """Pixels of all images."""


class ImageSize(NamedTuple):
    """Height and width of an image in pixels."""

    height: int
    width: int

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.height * self.width


def workload(config: RunConfig, images: Sequence[Path]) -> Workload | None:
    """Estimate the work from the headers of a few images; None if none of them can be read."""
    step = max(1, len(images) // SAMPLES)
    sizes = []
    for path in images[::step][:SAMPLES]:
        size = image_size(path)
        if size is not None:
            sizes.append(size)
    if not sizes:
        return None
    pixels_of_samples = sum(size.pixels for size in sizes)
    pixels = pixels_of_samples * len(images) // len(sizes)
    largest = max(sizes, key=lambda size: size.pixels)
    side = min(config.predict.tile, LARGEST)
    return Workload(min(largest.height, side), min(largest.width, side), pixels)


def image_size(path: Path) -> ImageSize | None:
    """Return the size of an image from its header; None for scans, films and unreadable files."""
    file = file_of(path)
    if is_film(file) or kind_of(file):
        return None
    try:
        with codecs.naming(path):
            if is_stack_file(path):
                lengths = axes_in_stack_file(path).lengths
                return ImageSize(lengths["Y"], lengths["X"])
            if is_raster(path):
                return ImageSize(*raster_size(path))
            if largest_page_size(path):
                with open_tiff(path) as tiff:
                    page = tiff.pages[0]
                    return ImageSize(int(page.imagelength), int(page.imagewidth))
            with open_picture(path) as picture:
                return ImageSize(picture.height, picture.width)
    except DataError:  # the error follows when the image itself is read
        return None


def seconds_per_window(predict: Predict, config: RunConfig, work: Workload) -> float:
    """Return the shortest time for a window of zeros, without the first call."""
    window = np.zeros((1, work.height, work.width, config.input.channels), config.input.dtype)
    predict(window)
    shortest = float("inf")
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        predict(window)
        shortest = min(shortest, time.perf_counter() - start)
    return shortest
