"""Divides files with several images or further named axes into planes, as `data.axes` says."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from segkit.errors import DataError
from segkit.io import codecs
from segkit.io.geometry import Geometry
from segkit.io.pages import (
    MOST_PAGES,
    Pages,
    check_pages,
    pages_of,
)
from segkit.io.physical_size import distance_in_tiff
from segkit.io.pictures import open_tiff
from segkit.io.plane_addresses import (
    IMAGE_AXIS,
    Axes,
    Plane,
    image_number,
    not_flat,
    plane_name,
    plane_path,
    several_images,
    split_plane,
    unknown_axes,
)
from segkit.io.stack_files import axes_in_stack_file, images_in_stack_file, is_stack_file
from segkit.io.tiff_series import OME, full_resolution, lengths_of_series, whole_series

ORDER = "TZ"
"""The order of axes in names and in channels: these first, then others by letter, then C."""
FLAT = "YXS"
"""The axes of a flat image: rows, columns, and samples such as red, green and blue."""


def axes_of(path: Path) -> dict[str, int]:
    """Return the length of each axis of an image by its letter.

    Args:
        path: The file of one image, or the address of a plane. Formats other than TIFF, OME-Zarr,
            CZI, LIF and ND2 have no named axes, and the result is empty.

    Raises:
        DataError: If the file cannot be read, or holds several images and the path names none.
    """
    images = images_in(split_plane(path)[0])
    if not images:
        return {}
    return images[image_number(path, len(images), lambda: images)]


def images_in(path: Path) -> list[dict[str, int]]:
    """Return the length of each axis of each image of a file.

    Args:
        path: The file. Formats without named axes have no such images.

    Raises:
        DataError: If the file cannot be read.
    """
    if is_stack_file(path):
        return [dict(image.lengths) for image in images_in_stack_file(path)]
    if not codecs.is_tiff(path):
        return []
    with codecs.naming(path), open_tiff(path) as tiff:
        check_pages(tiff.pages)
        whole = whole_series(tiff)
        if len(whole) > 1 and whole[0].kind == OME:
            return [lengths_of_series(series) for series in whole]
        return [lengths_of_series(full_resolution(tiff, path, None))]


def planes_in_file(path: Path, axes: Axes | None, keep_broken: bool = False) -> dict[str, Path]:
    """Return the planes of a file.

    Args:
        path: The file.
        axes: The meaning of the axes (`data.axes`); None divides nothing.
        keep_broken: Whether a file that cannot be read is a single plane, whose reading raises the
            error.

    Returns:
        The address of each plane by the end of its name: "" for that of a file with one plane, else
        "/T001_Z003", or "/P002/T001_Z003" in a file of several images.

    Raises:
        DataError: If an axis of several positions has no meaning, or no position of that number, or
            if the file cannot be read.
    """
    if axes is None:
        return {"": path}
    try:
        images = images_in(path)
    except DataError:
        if not keep_broken:
            raise
        return {"": path}
    if not images:
        return {"": path}
    if len(images) == 1:
        return _planes_of_image(path, images[0], axes, {})
    numbers, is_named = _chosen_images(path, images, axes)
    found: dict[str, Path] = {}
    for number in numbers:
        if IMAGE_AXIS in images[number]:
            raise several_images(path, images)
        image = {IMAGE_AXIS: number}
        image_end = plane_name("", image) if is_named else ""
        for end, plane in _planes_of_image(path, images[number], axes, image).items():
            found[image_end + end] = plane
    return found


def _chosen_images(
    path: Path, images: list[dict[str, int]], axes: Axes
) -> tuple[Sequence[int], bool]:
    """Return which images of a file are read, and whether their names hold their numbers."""
    meaning = axes.get(IMAGE_AXIS)
    if meaning is None:
        raise several_images(path, images)
    if meaning == "samples":
        return range(len(images)), True
    if meaning == "channels":
        raise DataError(
            f"{path}: holds {len(images)} images, which are no channels of each other; "
            f"{IMAGE_AXIS} is samples, or the number of an image, in data.axes",
            "pages",
        )
    return [_position(path, IMAGE_AXIS, len(images), int(meaning))], False


def _planes_of_image(
    path: Path, lengths: Mapping[str, int], axes: Axes, image: Mapping[str, int]
) -> dict[str, Path]:
    """Return the planes of one image by the end of their names.

    Args:
        path: The file.
        lengths: The length of each axis of the image.
        axes: The meaning of the axes.
        image: The position of the image in its file along `IMAGE_AXIS`; empty for the only one.
    """
    if not {"Y", "X"} <= set(lengths):
        raise not_flat(path, lengths)
    further = {axis: lengths[axis] for axis in _ordered(lengths) if axis not in FLAT}
    fixed, channels, samples = _sorted_out(path, lengths, further, axes)
    if not image and not fixed and not samples and channels in ([], ["C"]):
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
        plane = Plane({**image, **ordered}, tuple(channels))
        found[plane_name("", sample)] = plane_path(path, plane)
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
    """Return the distance of the planes of an image along Z in µm.

    Args:
        path: The address of a plane, or a file of one image.

    Returns:
        The distance; None if the file does not state it, or cannot be read.
    """
    try:
        if is_stack_file(path):
            distance, unit = axes_in_stack_file(path).spacing.get("Z", (None, None))
        else:
            distance, unit = distance_in_tiff(path)
    except DataError:
        return None
    found = Geometry.measured(distance, distance, unit)
    if found is None:
        return None
    size = found.size_in("µm")
    return None if size is None else size[0]
