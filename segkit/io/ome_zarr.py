"""Reads images in OME-Zarr, version 0.4 (in Zarr 2) and 0.5 (in Zarr 3), at full resolution."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.errors import ConfigError, DataError, one_line
from segkit.io import codecs
from segkit.io.pages import file_of
from segkit.io.pixels import Pixels
from segkit.io.plane_addresses import (
    Plane,
    axes_in_words,
    check_axes,
    image_number,
    split_plane,
)
from segkit.system.packages import need

SUFFIX = ".zarr"
EXTRA = "microscopy"
"""The extra of keras-segkit that installs zarr."""
MARKS = ("zarr.json", ".zattrs", ".zgroup", ".zarray")
"""Files of which the folder of a Zarr group or array has at least one."""
NUMBERS = "biuf"
"""The kinds of dtypes that are read."""
CODECS = (
    "Blosc",
    "Zstd",
    "GZip",
    "Gzip",
    "Zlib",
    "LZ4",
    "LZMA",
    "BZ2",
    "Bytes",
    "Crc32c",
    "Delta",
    "Sharding",
    "Shuffle",
    "Transpose",
)
"""The steps of decoding that are used, by the names of their classes; others change values."""
BLOSC_HEADER = 16
"""Bytes of the header of a Blosc frame."""
LENGTH_IN_BLOSC = slice(12, 16)
"""The bytes of the header that hold the length of the frame."""
LETTERS = {"time": "T", "channel": "C"}
"""The letters of axes by their type; axes of another type are called by their name."""


class OmeZarr(NamedTuple):
    """An open image."""

    array: Any
    """The array of zarr at full resolution."""
    axes: tuple[str, ...]
    """The letter of each axis."""
    spacing: Mapping[str, tuple[float, str]]
    """The distance of positions along axes, and its unit as the file spells it."""

    @property
    def lengths(self) -> dict[str, int]:
        """The length of each axis."""
        return dict(zip(self.axes, map(int, self.array.shape), strict=True))


def is_ome_zarr(path: Path) -> bool:
    """Return whether a path is a folder of Zarr, or the address of a plane in one."""
    if not file_of(path).name.lower().endswith(SUFFIX):
        return False
    return any((file_of(path) / mark).is_file() for mark in MARKS)


@contextmanager
def naming_zarr(path: Path) -> Iterator[None]:
    """Turn every error of zarr into a `DataError` that names the image."""
    try:
        yield
    except ConfigError as problem:  # a missing package
        raise DataError(f"{path}: {problem}", problem.code) from problem
    except DataError:
        raise
    except Exception as problem:  # codecs raise errors of every type without the image's name
        reason = one_line(problem)
        message = f"{path}: cannot be read as OME-Zarr ({reason}); copy or export it again"
        raise DataError(message) from problem


def open_ome_zarr(path: Path) -> OmeZarr:
    """Open an image.

    Args:
        path: The folder of the image, or the address of a plane in it.

    Raises:
        DataError: If it is no OME-Zarr image, such as a plate, or cannot be read, or if zarr is not
            installed.
    """
    with naming_zarr(path):
        groups = _groups_of_images(path)

        def describe() -> list[dict[str, int]]:
            return [_open_image(group, path).lengths for group in groups]

        return _open_image(groups[image_number(path, len(groups), describe)], path)


def images_of_ome_zarr(path: Path) -> list[OmeZarr]:
    """Open all images of a folder, in the order in which bioformats2raw numbers them.

    Raises:
        DataError: If one of them cannot be read, or if zarr is not installed.
    """
    with naming_zarr(path):
        return [_open_image(group, path) for group in _groups_of_images(path)]


def _open_image(group: Any, path: Path) -> OmeZarr:
    """Open the image in a group."""
    multiscale = _metadata(group)["multiscales"][0]
    axes = [_letter(axis) for axis in multiscale["axes"]]
    level = multiscale["datasets"][0]
    array = group[level["path"]]
    _check_array(array, axes, path)
    return OmeZarr(array, tuple(axes), _spacing(multiscale, level, axes))


def read_ome_zarr(path: Path) -> Pixels:
    """Return the values of a plane.

    Args:
        path: The address of the plane, or the folder of an image with one plane.

    Returns:
        (H, W), or (H, W, C).

    Raises:
        DataError: If it cannot be read, is too large, or has axes whose meaning is unknown.
    """
    image = open_ome_zarr(path)
    lengths = image.lengths
    if lengths["Y"] * lengths["X"] > codecs.most_pixels():
        raise DataError(codecs.too_large(path), "too-large")
    plane = zarr_plane(image, path)
    with naming_zarr(path):
        return Pixels(read_window(image, plane, slice(None), slice(None)))


def zarr_plane(image: OmeZarr, path: Path) -> Plane:
    """Return the plane of an address; that of an image with one plane if the path names none.

    Raises:
        DataError: If the image has axes whose meaning the address does not say.
    """
    _, plane = split_plane(path)
    if plane is None:
        plane = Plane({}, ("C",))
    check_axes(path, image.lengths, plane)
    return plane


def read_window(image: OmeZarr, plane: Plane, rows: slice, columns: slice) -> np.ndarray:
    """Return rows and columns of a plane, (h, w) or (h, w, C)."""
    window = {"Y": rows, "X": columns}
    index: list[int | slice] = []
    kept = []
    for axis in image.axes:
        if axis in plane.fixed:
            index.append(plane.fixed[axis])
        elif axis in window or axis in plane.channels:
            index.append(window.get(axis, slice(None)))
            kept.append(axis)
        else:
            index.append(0)  # an axis of length 1
    _check_complete(image.array, index)
    values = np.asarray(image.array[tuple(index)])
    channels = [axis for axis in plane.channels if axis in kept]
    turned = values.transpose([kept.index(axis) for axis in ("Y", "X", *channels)])
    if not channels:
        return turned
    height, width, *positions = turned.shape
    return turned.reshape(height, width, math.prod(positions))


def _check_complete(array: Any, index: Sequence[int | slice]) -> None:
    """Raise `ValueError` if a chunk of an index is cut off and Blosc would not notice.

    Blosc decodes what follows in memory instead of the missing bytes.
    """
    compressors = [type(compressor).__name__ for compressor in array.compressors]
    if array.metadata.zarr_format != 2 or "Blosc" not in compressors:
        return
    ranges = []
    for place, length, chunk in zip(index, array.shape, array.chunks, strict=True):
        if isinstance(place, int):
            place = slice(place, place + 1)
        start, stop, _ = place.indices(length)
        ranges.append(range(start // chunk, -(-stop // chunk)))
    folder = Path(array.store.root) / array.path
    for position in itertools.product(*ranges):
        file = folder / array.metadata.encode_chunk_key(position)
        if file.is_file():
            _check_blosc(file)


def _check_blosc(file: Path) -> None:
    """Raise `ValueError` if a file is shorter than the header of its Blosc frame says."""
    with file.open("rb") as stream:
        header = stream.read(BLOSC_HEADER)
    stated = int.from_bytes(header[LENGTH_IN_BLOSC], "little")
    if len(header) < BLOSC_HEADER or file.stat().st_size < stated:
        raise ValueError(f"the chunk {file.name} is cut off")


def _metadata(group: Any) -> Mapping[str, Any]:
    """Return the OME metadata of a group, which version 0.5 stores below "ome"."""
    attributes: Mapping[str, Any] = group.attrs.asdict()
    of_version_5 = attributes.get("ome")
    if isinstance(of_version_5, Mapping):
        return of_version_5
    return attributes


def _groups_of_images(path: Path) -> list[Any]:
    """Return the groups that are images: that of the folder itself, or the groups 0, 1, ... in it.

    Raises:
        DataError: If there is none.
    """
    zarr = need("zarr", EXTRA)
    group = zarr.open(str(file_of(path)), mode="r")
    if not hasattr(group, "members"):
        raise _no_image(path, "it is an array without the metadata of OME")
    metadata = _metadata(group)
    if metadata.get("multiscales"):
        return [group]
    if "plate" in metadata or "well" in metadata:
        raise _no_image(path, "it is a plate or a well of several images")
    groups: list[Any] = []
    if "bioformats2raw.layout" in metadata:
        while str(len(groups)) in group:
            groups.append(group[str(len(groups))])
    if not groups:
        raise _no_image(path, "it has no metadata of OME (multiscales)")
    return groups


def _no_image(path: Path, reason: str) -> DataError:
    return DataError(
        f"{path}: is no image of OME-Zarr: {reason}. Save each image in a folder of its own "
        f"whose name ends in {SUFFIX}",
        "unreadable",
    )


def _letter(axis: Any) -> str:
    """Return the letter of an axis of the metadata."""
    name = str(axis["name"])
    return LETTERS.get(str(axis.get("type")), name.upper())


def _check_array(array: Any, axes: Sequence[str], path: Path) -> None:
    lengths = dict(zip(axes, array.shape, strict=False))
    is_usual = len(set(axes)) == len(axes) == array.ndim and all(len(axis) == 1 for axis in axes)
    if not is_usual or not {"Y", "X"} <= set(axes):
        raise DataError(
            f"{path}: has the axes {axes_in_words(lengths)}; an image has y and x, and other axes "
            f"are called by one letter",
            "pages",
        )
    unknown = [name for name in _names_of_codecs(array) if name not in CODECS]
    if array.dtype.kind not in NUMBERS or unknown:
        stored = ", ".join([str(array.dtype), *unknown])
        raise DataError(
            f"{path}: is stored as {stored}; segkit reads numbers that are compressed without "
            f"loss by {', '.join(CODECS)}",
            "unreadable",
        )


def _names_of_codecs(array: Any) -> list[str]:
    """Return the names of the steps that decode an array."""
    steps = list(array.metadata.codecs) if array.metadata.zarr_format == 3 else []
    steps += [*array.compressors, *array.filters]
    for step in steps:
        steps += getattr(step, "codecs", ())  # those of the chunks in a shard
    names = [type(step).__name__.removesuffix("Codec").rstrip("_") for step in steps]
    return list(dict.fromkeys(names))


def _spacing(
    multiscale: Mapping[str, Any], level: Mapping[str, Any], axes: Sequence[str]
) -> dict[str, tuple[float, str]]:
    """Return the distance along each axis that has a unit: scales of the level and of the image."""
    transformations = [
        *level.get("coordinateTransformations", ()),
        *multiscale.get("coordinateTransformations", ()),
    ]
    scale = np.ones(len(axes))
    for transformation in transformations:
        if transformation.get("type") == "scale":
            scale *= np.array(transformation["scale"], float)
    found = {}
    for axis, stated, distance in zip(axes, multiscale["axes"], scale.tolist(), strict=True):
        unit = stated.get("unit")
        if unit and math.isfinite(distance) and distance > 0:
            found[axis] = (distance, str(unit))
    return found
