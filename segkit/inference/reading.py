"""Reads the images to predict: files, pages of files, slices of scans, and frames of films."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segkit.config import RunConfig
from segkit.data.sources.scan_pairs import settings_of
from segkit.errors import DataError
from segkit.inference.images import match_model_input
from segkit.io.films.frames import read_frame, split_frame
from segkit.io.geometry import Geometry
from segkit.io.images import read_image
from segkit.io.physical_size import read_geometry
from segkit.io.scans.slices import SlicePlace, is_slice, place_of_slice, read_slice


def read_for_model(config: RunConfig, path: Path) -> np.ndarray:
    """Read an image file, a slice of a scan, or a frame of a film, as the run's model takes it.

    Args:
        config: The config of the run.
        path: The file, or the address of a page, a slice or a frame.

    Returns:
        (H, W, C).

    Raises:
        DataError: If it cannot be read, or does not fit the model.
    """
    frame = split_frame(path)
    if frame is not None:
        image = read_frame(frame)
    elif is_slice(path):
        image = read_slice(path, settings_of(config.data)).values
    else:
        data = config.data
        channels = config.input.channels
        image = read_image(path, data.pages_of_an_image, channels, data.bands)
    return match_model_input(config, image, str(path))


def geometry_of_image(config: RunConfig, path: Path) -> Geometry | None:
    """Return the physical size and place of an image or a slice; None if they are not known."""
    try:
        place = place_in_volume(config, path)
    except DataError:  # reading the slice raises the same error
        return None
    if place is not None:
        return place.view.geometry(place.volume)
    return read_geometry(path, config.data.pages)


def place_in_volume(config: RunConfig, path: Path) -> SlicePlace | None:
    """Return where a slice lies in its volume; None for other images.

    Raises:
        DataError: If its volume cannot be read.
    """
    if not is_slice(path):
        return None
    return place_of_slice(path, settings_of(config.data))
