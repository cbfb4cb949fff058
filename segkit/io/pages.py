"""Files of several pages: which of them is read, and how a page is named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image

from segkit.errors import DataError
from segkit.io.files import special_kind
from segkit.io.pictures import open_picture, open_tiff

Pages = Literal["samples", "channels", "first"]
"""What the pages of a file are: images of their own, the bands of one image, or the first is the image."""
MOST_PAGES = 2**16
"""Pages of a TIFF; a small file may hold a list of millions."""
ADDRESS = re.compile(
    r"(?P<file>.+\.(?:tiff?|gif|webp|png))#(?P<page>[0-9]{1,9})", re.IGNORECASE | re.DOTALL
)
GENERIC = ("generic", "shaped", "uniform")
"""Kinds of series of which nothing says that the first one is the image."""


class Chosen(NamedTuple):
    """What is read of a TIFF: a series of pages at full resolution, and where in its array the image lies."""

    series: Any
    fixed: dict[int, int]
    """The index along each axis that is not read whole."""
    bands: int | None
    """The axis of the bands."""
    page: int

    @property
    def places(self) -> list[str]:
        """The axes of the array: one letter each."""
        return list(self.series.axes)


def page_path(path: Path, page: int) -> Path:
    """Return how the page of a file is addressed, counted from 0.

    >>> page_path(Path("a/b.tif"), 2).name
    'b.tif#003'
    """
    return path.with_name(page_name(path.name, page))


def split_page(path: Path) -> tuple[Path, int | None]:
    """Return the file and the page (from 0) that a path means; no page if it is the path of a file.

    >>> split_page(Path("b.tif#003"))[1], split_page(Path("b.tif"))[1]
    (2, None)
    """
    found = ADDRESS.fullmatch(path.name) if "#" in path.name else None
    if found is None or int(found["page"]) < 1 or path.exists():
        return path, None
    return path.with_name(found["file"]), int(found["page"]) - 1


def file_of(path: Path) -> Path:
    """Return the file that a path or a page's address means."""
    return split_page(path)[0]


def check_pages(pages: Iterable[Any]) -> None:
    """Raise `ValueError` for a list of pages that bites its own tail, which tifffile may follow for ever, or a huge one."""
    seen: set[int] = set()
    for page in pages:
        if len(seen) == MOST_PAGES:
            raise ValueError(f"it has more than {MOST_PAGES} pages")
        if page.offset in seen:
            raise ValueError("its list of pages runs in a circle")
        seen.add(page.offset)


def choose_page(
    tiff: Any, path: Path, page: int | None, pages: Pages | None, channels: int | None
) -> Chosen:
    """Return what is read of an open TIFF.

    Args:
        tiff: The open file.
        path: The path for messages.
        page: The page of a stack, from 0; None if the path names none.
        pages: What the pages of a stack are, if the user says so.
        channels: How many a model takes; as many pages of one band are its bands.

    Raises:
        DataError: If there are several pages of which nothing says what they are, or other axes
            than rows, columns and bands.
    """
    check_pages(tiff.pages)
    series = _full_resolution(tiff, path, pages)
    extra = [i for i, axis in enumerate(series.axes) if axis not in "YX"]
    if not {"Y", "X"} <= set(series.axes) or len(series.axes) != len(extra) + 2:
        raise _refused_axes(series, path)
    samples = [i for i in extra if series.axes[i] == "S"]
    bands = samples or [i for i in extra if series.axes[i] == "C"]
    stack = [i for i in extra if i not in bands]
    if len(bands) > 1:
        raise _refused_axes(series, path)
    count = int(np.prod([series.shape[i] for i in stack]))
    if count == 1 and len(stack) == 1 and not bands:
        return Chosen(series, {}, stack[0], 0)
    if count > 1 and _are_bands(stack, bands, page, pages, count == channels):
        return Chosen(series, {}, stack[0], 0)
    if page is None and count > 1 and pages != "first":
        raise _question(series, path, count, pages)
    if (page or 0) >= count:
        raise DataError(f"{path}: has {count} page(s)", "pages")
    place = np.unravel_index(page or 0, [series.shape[i] for i in stack]) if stack else ()
    fixed = {axis: int(index) for axis, index in zip(stack, place, strict=True)}
    return Chosen(series, fixed, bands[0] if bands else None, page or 0)


def _are_bands(
    stack: list[int], bands: list[int], page: int | None, pages: Pages | None, as_many: bool
) -> bool:
    """Return whether the pages are the bands of one image."""
    if page is not None or bands or len(stack) > 1:
        return False
    return pages == "channels" or (pages is None and as_many)


def _full_resolution(tiff: Any, path: Path, pages: Pages | None) -> Any:
    """Return the series of the image itself, not of a thumbnail, a level of a pyramid, or a mask of transparency."""
    whole = [
        s for s in tiff.series if s.axes and not s.keyframe.is_reduced and not s.keyframe.is_mask
    ]
    if not whole:
        return tiff.series[0]
    largest = max(whole, key=_area)
    if len(whole) == 1 or largest.kind not in GENERIC or pages == "first":
        return whole[0]
    if all(other is largest or _is_smaller_copy(other, largest) for other in whole):
        return largest
    sizes = ", ".join(f"{s.shape} {s.dtype}" for s in whole[:4])
    raise DataError(
        f"{path}: holds {len(whole)} images of different kinds ({sizes}), and nothing says which is meant. Save the one "
        f"that is meant in a file of its own, or set data.pages: first",
        "pages",
    )


def _area(series: Any) -> int:
    return int(series.keyframe.imagelength) * int(series.keyframe.imagewidth)


def _is_smaller_copy(one: Any, other: Any) -> bool:
    """Return whether an image has the shape of another, to the rounding of a pixel, and at most half its width."""
    height = one.keyframe.imagelength
    width = one.keyframe.imagewidth
    scale = other.keyframe.imagewidth / max(1, width)
    return bool(scale >= 2 and abs(other.keyframe.imagelength / scale - height) <= 1)


def _question(series: Any, path: Path, count: int, pages: Pages | None) -> DataError:
    said = f" with the axes {series.axes}" if series.kind in ("imagej", "ome") else ""
    if pages == "channels":
        return DataError(
            f"{path}: has {count} pages {series.shape}{said}, which cannot all be bands of one image; data.pages is "
            f"samples or first here",
            "pages",
        )
    return DataError(
        f"{path}: has {count} pages {series.shape}{said}, and they can mean different things. Set data.pages: samples if "
        f"each is an image of its own, channels if they are the bands of one image, or first to read the first alone",
        "pages",
    )


def _refused_axes(series: Any, path: Path) -> DataError:
    return DataError(
        f"{path}: has axes {series.axes} {series.shape}; segkit reads flat images with or without bands",
        "channels",
    )


def count_pages(path: Path) -> int:
    """Return how many images of their own a TIFF, GIF, WebP or PNG file holds; 1 if it cannot be read."""
    if special_kind(path):
        return 1
    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            return _pages_of_tiff(path)
        with open_picture(path) as picture:
            return frames(picture)
    except Exception:  # whoever reads the image says what is wrong with it
        return 1


def page_name(name: str, page: int) -> str:
    """Return the name of a page, counted from 0, of the image that has this name.

    >>> page_name("monday/stack", 2)
    'monday/stack#003'
    """
    return f"{name}#{page + 1:03d}"


def pages_apart(images: Mapping[str, Path], pages: Pages | None) -> dict[str, Path]:
    """Return images by name with each page of a stack as an image of its own, if pages are samples.

    Raises `DataError` if a page and another image have one name.
    """
    apart: dict[str, Path] = {}
    for name, path in images.items():
        found = pages_of(path, pages)
        named = [name] if len(found) == 1 else [page_name(name, page) for page in range(len(found))]
        for own_name, page in zip(named, found, strict=True):
            if own_name in apart:
                raise DataError(
                    f"{path} and {apart[own_name]}: two images of the name {own_name}; a name stands for one image",
                    "duplicate-name",
                )
            apart[own_name] = page
    return apart


def pages_of(path: Path, pages: Pages | None) -> list[Path]:
    """Return the addresses of a file's pages if they are samples, or the file itself."""
    count = count_pages(path) if pages == "samples" else 1
    return [path] if count == 1 else [page_path(path, page) for page in range(count)]


def _pages_of_tiff(path: Path) -> int:
    with open_tiff(path) as tiff:
        check_pages(tiff.pages)
        series = _full_resolution(tiff, path, "samples")
        bands = "S" if "S" in series.axes else "C"
        stack = [
            n
            for axis, n in zip(series.axes, series.shape, strict=True)
            if axis not in ("Y", "X", bands)
        ]
    return int(np.prod(stack)) if stack else 1


def frames(picture: Image.Image) -> int:
    """Return how many pictures a GIF, WebP or PNG holds; what cameras keep beside a JPEG does not count."""
    return int(getattr(picture, "n_frames", 1)) if picture.format in ("GIF", "WEBP", "PNG") else 1


def choose_frame(picture: Image.Image, path: Path, page: int | None, pages: Pages | None) -> None:
    """Turn an opened picture to the frame that is read; raises `DataError` for several of which nothing says it."""
    if page:
        if page >= frames(picture):
            raise DataError(f"{path}: has {frames(picture)} page(s)", "pages")
        picture.seek(page)
    elif page is None and pages != "first" and frames(picture) > 1:
        raise DataError(
            f"{path}: moves: it has {frames(picture)} pictures, and nothing says which is meant. Set data.pages: samples if "
            f"each is an image of its own, or first to read the first alone",
            "pages",
        )
