"""Chooses the page of a file that is read, and names pages."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image

from segkit.errors import DataError
from segkit.io.files import special_kind
from segkit.io.pictures import open_picture, open_tiff
from segkit.io.plane_addresses import (
    Plane,
    axes_in_words,
    check_axes,
    split_plane,
    unknown_axes,
)
from segkit.io.slide_addresses import split_level
from segkit.io.tiff_series import full_resolution, lengths_of_series

Pages = Literal["samples", "channels", "first"]
"""The meaning of the pages of a file.

They are images of their own, or the bands of one image, or only the first page is the image.
"""
MOST_PAGES = 2**16
"""Pages that a TIFF may have; a small file may hold a list of millions."""
ADDRESS = re.compile(
    r"(?P<file>.+\.(?:tiff?|gif|webp|png))#(?P<page>[0-9]{1,9})", re.IGNORECASE | re.DOTALL
)
SLICE = re.compile(r"(?P<file>.+)#slice_(?P<number>[0-9]{1,9})", re.DOTALL)
"""The address of a slice of a scan; see `segkit.io.scans.slices`."""
FRAME = re.compile(
    r"(?P<file>.+)#frame_(?P<number>[0-9]{1,9})(?:_every_(?P<step>[0-9]{1,9}))?", re.DOTALL
)
"""The address of a frame of a film; see `segkit.io.films.frames`."""


class Chosen(NamedTuple):
    """The image that is read of a TIFF."""

    series: Any
    """The series of pages at full resolution."""
    fixed: dict[int, int]
    """The index along each axis of the series of which one position is read."""
    bands: tuple[int, ...]
    """The axes of the bands; the last one varies fastest."""
    page: int
    """The number of the page in its stack, from 0."""

    @property
    def places(self) -> list[str]:
        """The axes of the series as letters of tifffile."""
        return list(self.series.axes)

    def as_image(self, array: np.ndarray) -> np.ndarray:
        """Return pixels without the fixed axes as (H, W), or as (H, W, C) if there are bands."""
        if not self.bands:
            return array
        kept = [axis for axis in range(len(self.places)) if axis not in self.fixed]
        flat = [kept.index(axis) for axis in kept if axis not in self.bands]
        bands = [kept.index(axis) for axis in self.bands]
        turned = array.transpose([*flat, *bands])
        height, width, *positions = turned.shape
        return turned.reshape(height, width, math.prod(positions))


def page_path(path: Path, page: int) -> Path:
    """Return the address of a page, which is counted from 0.

    >>> page_path(Path("a/b.tif"), 2).name
    'b.tif#003'
    """
    return path.with_name(page_name(path.name, page))


def split_page(path: Path) -> tuple[Path, int | None]:
    """Return the file and the page (from 0) of an address; the page of other paths is None.

    >>> split_page(Path("b.tif#003"))[1], split_page(Path("b.tif"))[1]
    (2, None)
    """
    if "#" not in path.name:
        return path, None
    file, plane = split_plane(path)
    if plane is None:
        file, _ = split_level(path)
    if file != path:
        return file, None
    found = ADDRESS.fullmatch(path.name)
    if found is None or int(found["page"]) < 1 or path.exists():
        return path, None
    return path.with_name(found["file"]), int(found["page"]) - 1


def file_of(path: Path) -> Path:
    """Return the file of a path, or of the address of a page, plane, slice of a scan or frame."""
    for address in (SLICE, FRAME):
        found = address.fullmatch(path.name)
        if found and not path.exists():
            return path.with_name(found["file"])
    return split_page(path)[0]


def check_pages(pages: Iterable[Any]) -> None:
    """Check that a list of pages ends.

    Args:
        pages: The pages of tifffile, which would follow a circle for ever.

    Raises:
        ValueError: If a page comes twice, or there are more than `MOST_PAGES`.
    """
    offsets: set[int] = set()
    for page in pages:
        if len(offsets) == MOST_PAGES:
            raise ValueError(f"it has more than {MOST_PAGES} pages")
        if page.offset in offsets:
            raise ValueError("its list of pages runs in a circle")
        offsets.add(page.offset)


def choose_page(
    tiff: Any, path: Path, page: int | None, pages: Pages | None, channels: int | None
) -> Chosen:
    """Choose the image that is read of an open TIFF.

    Args:
        tiff: The open file.
        path: The path, for messages.
        page: The page of a stack, from 0; None if the path names none.
        pages: The meaning of the pages of a stack (`data.pages`); None if the user names none.
        channels: The number of channels that a model takes. As many pages of one band are its
            bands.

    Raises:
        DataError: If the meaning of several pages is unknown, or there are further axes.
    """
    check_pages(tiff.pages)
    series = full_resolution(tiff, path, pages)
    _, plane = split_plane(path)
    if plane is not None:
        return _choose_plane(series, path, plane)
    extra = [axis for axis, name in enumerate(series.axes) if name not in "YX"]
    if not {"Y", "X"} <= set(series.axes) or len(series.axes) != len(extra) + 2:
        raise _refused_axes(series, path)
    bands = _axes_of_bands(series, extra)
    if len(bands) > 1:
        raise _refused_axes(series, path)
    stack = [axis for axis in extra if axis not in bands]
    count = int(np.prod([series.shape[axis] for axis in stack]))
    if count == 1 and len(stack) == 1 and not bands:
        return Chosen(series, {}, (stack[0],), 0)
    if count > 1 and _are_bands(stack, bands, page, pages, count == channels):
        return Chosen(series, {}, (stack[0],), 0)
    if page is None and count > 1 and pages != "first":
        raise _question(series, path, count, pages)
    number = page or 0
    if number >= count:
        raise DataError(f"{path}: has {count} page(s)", "pages")
    return Chosen(series, _position(series, stack, number), tuple(bands), number)


def _choose_plane(series: Any, path: Path, plane: Plane) -> Chosen:
    """Return the plane of an address."""
    check_axes(path, lengths_of_series(series), plane)
    axes = list(series.axes)
    fixed = {axes.index(axis): position for axis, position in plane.fixed.items() if axis in axes}
    channels = [axis for axis in (*plane.channels, "S") if axis in axes]
    return Chosen(series, fixed, tuple(axes.index(axis) for axis in channels), 0)


def _position(series: Any, stack: list[int], page: int) -> dict[int, int]:
    """Return the index of a page along each axis of a stack."""
    if not stack:
        return {}
    lengths = [series.shape[axis] for axis in stack]
    indices = np.unravel_index(page, lengths)
    return {axis: int(index) for axis, index in zip(stack, indices, strict=True)}


def _axes_of_bands(series: Any, extra: list[int]) -> list[int]:
    """Return the axes of samples, or else those of channels."""
    samples = [axis for axis in extra if series.axes[axis] == "S"]
    if samples:
        return samples
    return [axis for axis in extra if series.axes[axis] == "C"]


def _are_bands(
    stack: list[int], bands: list[int], page: int | None, pages: Pages | None, as_many: bool
) -> bool:
    """Return whether the pages are the bands of one image."""
    if page is not None or bands or len(stack) > 1:
        return False
    return pages == "channels" or (pages is None and as_many)


def _question(series: Any, path: Path, count: int, pages: Pages | None) -> DataError:
    """Return the error that asks for the meaning of pages."""
    shape = str(series.shape)
    if series.kind in ("imagej", "ome") and pages is None:
        lengths = dict(zip(series.axes, series.shape, strict=True))
        return unknown_axes(path, lengths, ". data.pages gives all pages one meaning")
    if pages == "channels":
        return DataError(
            f"{path}: has {count} pages {shape}, which cannot all be bands of one image; "
            f"data.pages is samples or first here",
            "pages",
        )
    return DataError(
        f"{path}: has {count} pages {shape}, and they can mean different things. Set data.pages: "
        f"samples if each is an image of its own, channels if they are the bands of one image, or "
        f"first to read only the first",
        "pages",
    )


def _refused_axes(series: Any, path: Path) -> DataError:
    lengths = dict(zip(series.axes, series.shape, strict=True))
    return DataError(
        f"{path}: has the axes {axes_in_words(lengths)}; segkit reads flat images with or without "
        f"bands. Set data.axes to say what each further axis means",
        "channels",
    )


def count_pages(path: Path) -> int:
    """Return how many images a TIFF, GIF, WebP or PNG file holds; 1 if it cannot be read."""
    if special_kind(path):
        return 1
    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            return _pages_of_tiff(path)
        with open_picture(path) as picture:
            return frames(picture)
    except Exception:  # reading the image raises the error for the user
        return 1


def page_name(name: str, page: int) -> str:
    """Return the name of a page, which is counted from 0, of an image.

    >>> page_name("monday/stack", 2)
    'monday/stack#003'
    """
    return f"{name}#{page + 1:03d}"


def pages_apart(images: Mapping[str, Path], pages: Pages | None) -> dict[str, Path]:
    """Return images by name; if pages are samples, each page of a stack is an image.

    Args:
        images: The files by name.
        pages: The meaning of the pages of a file (`data.pages`).

    Returns:
        The files, or addresses of their pages, by name.

    Raises:
        DataError: If a page and another image have one name ("duplicate-name").
    """
    apart: dict[str, Path] = {}
    for name, path in images.items():
        found = pages_of(path, pages)
        for number, page in enumerate(found):
            own_name = name
            if len(found) > 1:
                own_name = page_name(name, number)
            if own_name in apart:
                raise DataError(
                    f"{path} and {apart[own_name]}: two images of the name {own_name}; a name "
                    f"stands for one image",
                    "duplicate-name",
                )
            apart[own_name] = page
    return apart


def pages_of(path: Path, pages: Pages | None) -> list[Path]:
    """Return the addresses of a file's pages if they are samples, or the file itself."""
    if pages != "samples":
        return [path]
    count = count_pages(path)
    if count == 1:
        return [path]
    return [page_path(path, page) for page in range(count)]


def _pages_of_tiff(path: Path) -> int:
    with open_tiff(path) as tiff:
        check_pages(tiff.pages)
        series = full_resolution(tiff, path, "samples")
        not_stacked = "YXC"
        if "S" in series.axes:
            not_stacked = "YXS"
        count = 1
        for axis, length in zip(series.axes, series.shape, strict=True):
            if axis not in not_stacked:
                count *= length
    return count


def frames(picture: Image.Image) -> int:
    """Return how many pictures a GIF, WebP or PNG holds; the previews in a JPEG do not count."""
    if picture.format not in ("GIF", "WEBP", "PNG"):
        return 1
    return int(getattr(picture, "n_frames", 1))


def choose_frame(picture: Image.Image, path: Path, page: int | None, pages: Pages | None) -> None:
    """Go to the frame of an opened picture that is read.

    Args:
        picture: The picture.
        path: The path, for messages.
        page: The number of the frame, from 0; None if the path names none.
        pages: The meaning of the frames (`data.pages`); None if the user names none.

    Raises:
        DataError: If there is no such frame, or several and nothing says which one is meant.
    """
    if page:
        if page >= frames(picture):
            raise DataError(f"{path}: has {frames(picture)} page(s)", "pages")
        picture.seek(page)
    elif page is None and pages != "first" and frames(picture) > 1:
        raise DataError(
            f"{path}: is animated: it has {frames(picture)} pictures, and nothing says which is "
            f"meant. Set data.pages: samples if each is an image of its own, or first to read only "
            f"the first",
            "pages",
        )
