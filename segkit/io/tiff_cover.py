"""Finds the mask that says where a TIFF has data: in the file itself, or beside it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from segkit.errors import DataError
from segkit.io.pages import Chosen
from segkit.io.pictures import open_tiff


def cover_of(tiff: Any, chosen: Chosen) -> Any | None:
    """Return the page with the internal mask (NewSubfileType 4) of an image; None without one."""
    keyframe = chosen.series.keyframe
    if keyframe.is_mask:
        return None
    covers = []
    for page in tiff.pages:
        if not hasattr(page, "subfiletype"):  # a frame of a stack
            continue
        same_size = (page.imagelength, page.imagewidth) == (
            keyframe.imagelength,
            keyframe.imagewidth,
        )
        if page.is_mask and not page.is_reduced and same_size:
            covers.append(page)
    if not covers:
        return None
    return covers[min(chosen.page, len(covers) - 1)]


def mask_beside(file: Path) -> Path | None:
    """Return the file FILE.msk in which GDAL stores the mask of an image; None without one."""
    beside = file.with_name(f"{file.name}.msk")
    if beside.is_file():
        return beside
    return None


@contextmanager
def opened_cover(tiff: Any, chosen: Chosen, file: Path) -> Iterator[Any | None]:
    """Yield the page with the mask of an image, in its file or beside it; None without one.

    Args:
        tiff: The open file.
        chosen: The image.
        file: The path of the file.

    Raises:
        DataError: If the mask beside the file has another size.
    """
    cover = cover_of(tiff, chosen)
    beside = mask_beside(file)
    if cover is not None or beside is None:
        yield cover
        return
    with open_tiff(beside) as other:
        page = other.pages[0]
        keyframe = chosen.series.keyframe
        size = (keyframe.imagelength, keyframe.imagewidth)
        if (page.imagelength, page.imagewidth) != size:
            raise DataError(
                f"{beside}: the mask is {page.imagewidth} x {page.imagelength}, its image {file} "
                f"is {size[1]} x {size[0]}; remove it, or write it again",
                "mask-size",
            )
        yield page
