"""Divides files with further named axes (T, Z, C) into planes, as `data.axes` says."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segkit.errors import DataError
from segkit.io import codecs
from segkit.io.geometry import Geometry
from segkit.io.ome_zarr import is_ome_zarr, open_ome_zarr
from segkit.io.pages import MOST_PAGES, Pages, check_pages, full_resolution, pages_of
from segkit.io.physical_size import distance_in_tiff
from segkit.io.pictures import open_tiff
from segkit.io.plane_addresses import Axes, Plane, plane_name, plane_path, unknown_axes

ORDER = "TZ"
"""The order of axes in names and in channels: these first, then others by letter, then C."""
FLAT = "YXS"
"""The axes of a flat image: rows, columns, and samples such as red, green and blue."""


def axes_of(path: Path) -> dict[str, int]:
    """Return the length of each axis of a TIFF or an OME-Zarr image by its letter.

    Args:
        path: The file. Other formats have no named axes, and the result is empty.

    Raises:
        DataError: If the file cannot be read.
    """
    if is_ome_zarr(path):
        return open_ome_zarr(path).lengths
    if not codecs.is_tiff(path):
        return {}
    with codecs.naming(path), open_tiff(path) as tiff:
        check_pages(tiff.pages)
        return _lengths_of(full_resolution(tiff, path, None))


def _lengths_of(series: Any) -> dict[str, int]:
    return dict(zip(series.axes, map(int, series.shape), strict=True))


def planes_in_file(path: Path, axes: Axes | None, keep_broken: bool = False) -> dict[str, Path]:
    """Return the planes of a file.

    Args:
        path: The file.
        axes: The meaning of the axes (`data.axes`); None divides nothing.
        keep_broken: Whether a file that cannot be read is a single plane, whose reading raises the
            error.

    Returns:
        The address of each plane by the end of its name: "" for that of a file with one plane, else
        "/T001_Z003".

    Raises:
        DataError: If an axis of several positions has no meaning, or no position of that number, or
            if the file cannot be read.
    """
    if axes is None:
        return {"": path}
    try:
        lengths = axes_of(path)
    except DataError:
        if not keep_broken:
            raise
        return {"": path}
    further = {axis: lengths[axis] for axis in _ordered(lengths) if axis not in FLAT}
    fixed, channels, samples = _sorted_out(path, lengths, further, axes)
    if not fixed and not samples and channels in ([], ["C"]):
        return {"": path}
    count = 1
    for axis in samples:
        count *= further[axis]
    if count > MOST_PAGES:
        raise DataError(f"{path}: has more than {MOST_PAGES} planes", "pages")
    found = {}
    for positions in itertools.product(*(range(further[axis]) for axis in samples)):
        sample = dict(zip(samples, positions, strict=True))
        read = {**fixed, **sample}
        ordered = {axis: read[axis] for axis in further if axis in read}
        found[plane_name("", sample)] = plane_path(path, Plane(ordered, tuple(channels)))
    return found


def _ordered(lengths: Mapping[str, int]) -> list[str]:
    """Return axes in the order of names and channels, whatever their order in the file."""
    first = [axis for axis in ORDER if axis in lengths]
    others = sorted(axis for axis in lengths if axis not in ORDER and axis != "C")
    return [*first, *others, *(axis for axis in "C" if axis in lengths)]


def _sorted_out(
    path: Path, lengths: Mapping[str, int], further: Mapping[str, int], axes: Axes
) -> tuple[dict[str, int], list[str], list[str]]:
    """Return the fixed positions, the axes of channels, and those of samples."""
    fixed: dict[str, int] = {}
    channels = []
    samples = []
    for axis, length in further.items():
        meaning = axes.get(axis, "channels" if axis == "C" else None)
        if length == 1:
            continue
        if meaning is None:
            raise unknown_axes(path, lengths)
        if meaning == "channels":
            channels.append(axis)
        elif meaning == "samples":
            samples.append(axis)
        else:
            fixed[axis] = _position(path, axis, length, int(meaning))
    return fixed, channels, samples


def _position(path: Path, axis: str, length: int, number: int) -> int:
    """Return the position from 0 of a number from 1; raises `DataError` if there is none."""
    if not 1 <= number <= length:
        raise DataError(
            f"{path}: data.axes names position {number} along {axis}; there are {length}", "pages"
        )
    return number - 1


def planes_of_pages(path: Path, pages: Pages | None, axes: Axes | None) -> list[Path]:
    """Return the pages or the planes of a file; a broken file is one.

    Args:
        path: The file.
        pages: The meaning of its pages (`data.pages`).
        axes: The meaning of its axes (`data.axes`).

    Raises:
        DataError: If an axis of several positions has no meaning.
    """
    found: list[Path] = []
    for page in pages_of(path, pages):
        found += planes_in_file(page, axes, keep_broken=True).values()
    return found


def planes_apart(
    images: Mapping[str, Path], axes: Axes | None, keep_broken: bool = False
) -> dict[str, Path]:
    """Return the planes of files by name; the arguments are those of `planes_in_file`.

    Raises:
        DataError: If a plane and another image have one name ("duplicate-name"), or an axis has no
            meaning.
    """
    apart: dict[str, Path] = {}
    for name, path in images.items():
        for end, plane in planes_in_file(path, axes, keep_broken).items():
            own_name = name + end
            if own_name in apart:
                raise DataError(
                    f"{path} and {apart[own_name]}: two images of the name {own_name}; a name "
                    f"stands for one image",
                    "duplicate-name",
                )
            apart[own_name] = plane
    return apart


def distance_along_z(path: Path) -> float | None:
    """Return the distance of the planes of a TIFF or an OME-Zarr image along Z in µm.

    None if the file does not state it, or cannot be read.
    """
    try:
        if is_ome_zarr(path):
            distance, unit = open_ome_zarr(path).spacing.get("Z", (None, None))
        else:
            distance, unit = distance_in_tiff(path)
    except DataError:
        return None
    found = Geometry.measured(distance, distance, unit)
    if found is None:
        return None
    size = found.size_in("µm")
    return None if size is None else size[0]
