"""Chooses the image that is read of a TIFF: no thumbnail, and of several images the one meant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from segkit.errors import DataError
from segkit.io.plane_addresses import image_number, split_plane

if TYPE_CHECKING:
    from segkit.io.pages import Pages

GENERIC = ("generic", "shaped", "uniform")
"""Kinds of tifffile's series that do not say that the first series is the image."""
OME = "ome"
"""The kind of tifffile's series of which each is an image."""


def whole_series(tiff: Any) -> list[Any]:
    """Return the series that are no thumbnail, pyramid level or internal mask; at least one."""
    whole = []
    for series in tiff.series:
        keyframe = series.keyframe
        if series.axes and not keyframe.is_reduced and not keyframe.is_mask:
            whole.append(series)
    return whole or [tiff.series[0]]


def lengths_of_series(series: Any) -> dict[str, int]:
    """Return the length of each axis of a series by its letter."""
    return dict(zip(series.axes, map(int, series.shape), strict=True))


def full_resolution(tiff: Any, path: Path, pages: Pages | None) -> Any:
    """Return the series of the image itself, not of a thumbnail, pyramid level or internal mask.

    Args:
        tiff: The open file.
        path: The file, or an address in it, which names one of the images of an OME-TIFF.
        pages: The meaning of the pages (`data.pages`).

    Raises:
        DataError: If there are several images, and nothing says which is meant.
    """
    whole = whole_series(tiff)
    largest = max(whole, key=_area)
    if len(whole) == 1:
        return whole[0]
    is_plane = split_plane(path)[1] is not None
    if pages == "first" and not is_plane:
        return whole[0]
    if largest.kind == OME:
        return whole[image_number(path, len(whole), lambda: list(map(lengths_of_series, whole)))]
    if largest.kind not in GENERIC:
        return whole[0]
    if all(other is largest or _is_smaller_copy(other, largest) for other in whole):
        return largest
    sizes = ", ".join(f"{s.shape} {s.dtype}" for s in whole[:4])
    raise DataError(
        f"{path}: holds {len(whole)} images of different kinds ({sizes}), and nothing says which "
        f"is meant. Save the right one in a file of its own, or set data.pages: first",
        "pages",
    )


def _area(series: Any) -> int:
    return int(series.keyframe.imagelength) * int(series.keyframe.imagewidth)


def _is_smaller_copy(one: Any, other: Any) -> bool:
    """Return whether an image has the proportions of another, and at most half its width."""
    height = one.keyframe.imagelength
    width = one.keyframe.imagewidth
    scale = other.keyframe.imagewidth / max(1, width)
    return bool(scale >= 2 and abs(other.keyframe.imagelength / scale - height) <= 1)
