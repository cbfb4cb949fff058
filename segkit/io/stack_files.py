"""Files of images with named axes that are no TIFF: OME-Zarr, CZI, LIF and ND2."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from segkit.errors import DataError
from segkit.io.bands import Bands, choose_bands
from segkit.io.geometry import Geometry
from segkit.io.microscopes.open_file import ImageAxes
from segkit.io.microscopes.reading import images_of_microscope, read_microscope
from segkit.io.microscopes.suffixes import is_microscope_file
from segkit.io.ome_zarr import images_of_ome_zarr, is_ome_zarr, open_ome_zarr, read_ome_zarr
from segkit.io.pages import file_of
from segkit.io.pixels import Pixels
from segkit.io.plane_addresses import image_number


def is_stack_file(path: Path) -> bool:
    """Return whether a path is such a file or folder, or the address of a plane in one."""
    return is_microscope_file(path) or is_ome_zarr(path)


def name_of_format(path: Path) -> str:
    """Return the name of the format of such a file."""
    if is_microscope_file(path):
        return file_of(path).suffix.upper().removeprefix(".")
    return "OME-Zarr"


def images_in_stack_file(path: Path) -> list[ImageAxes]:
    """Return the axes of each image of a file.

    Raises:
        DataError: If it cannot be read, or if the package of its format is not installed.
    """
    if is_microscope_file(path):
        return images_of_microscope(path)
    return [ImageAxes(image.lengths, image.spacing) for image in images_of_ome_zarr(path)]


def axes_in_stack_file(path: Path) -> ImageAxes:
    """Return the axes of the image of an address, or of a file of one image.

    Raises:
        DataError: If it cannot be read, or if the address does not say which image is meant.
    """
    if not is_microscope_file(path):
        image = open_ome_zarr(path)
        return ImageAxes(image.lengths, image.spacing)
    images = images_in_stack_file(path)
    number = image_number(path, len(images), lambda: [image.lengths for image in images])
    return images[number]


def read_stack_file(path: Path) -> Pixels:
    """Return the values of a plane, and where they were recorded.

    Args:
        path: The address of the plane, or a file with one plane.

    Returns:
        (H, W), or (H, W, C).

    Raises:
        DataError: If it cannot be read, is too large, or has axes whose meaning is unknown.
    """
    if is_microscope_file(path):
        return read_microscope(path)
    return read_ome_zarr(path)


def chosen_channels(path: Path, bands: Bands | None) -> Pixels:
    """Return the values of a plane (H, W, C) with the chosen channels; see `read_stack_file`."""
    stored = read_stack_file(path)
    values = np.atleast_3d(stored.values)
    return stored._replace(values=choose_bands(values, bands, path))


def geometry_in_stack_file(path: Path) -> Geometry | None:
    """Return the size of the pixels of an image; None if it states none.

    Raises:
        DataError: If it cannot be read.
    """
    return geometry_of_axes(axes_in_stack_file(path).spacing)


def geometry_of_axes(spacing: Mapping[str, tuple[Any, str]]) -> Geometry | None:
    """Return the size of pixels with a distance along the axes Y and X."""
    if "Y" not in spacing or "X" not in spacing:
        return None
    height, rows_unit = spacing["Y"]
    width, columns_unit = spacing["X"]
    if rows_unit != columns_unit:
        return None
    return Geometry.measured(height, width, rows_unit, read_from="the metadata of the microscope")


def pixels_in_stack_file(path: Path) -> int:
    """Return height x width of an image; 0 if it cannot be read."""
    try:
        lengths = axes_in_stack_file(path).lengths
        return lengths["Y"] * lengths["X"]
    except (DataError, KeyError):  # reading the image raises the error for the user
        return 0
