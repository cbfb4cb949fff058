"""Reads one position of a stack in a TIFF, without the other pages of the stack."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from segkit.errors import DataError
from segkit.io.pages import Chosen, file_of


def is_in_place(series: Any) -> bool:
    """Return whether a file holds the pixels of a series in the order in which memory does."""
    return series.dataoffset is not None and bool(series.keyframe.is_memmappable)


def read_in_place(series: Any, path: Path, index: tuple[int | slice, ...]) -> np.ndarray:
    """Return stored pixels at an index of a series that is in place.

    A mapping that stays open would count as resident memory, so each call opens its own.
    """
    dtype = series.dtype.newbyteorder(series.parent.byteorder)
    mapped = np.memmap(path, dtype, "r", int(series.dataoffset), tuple(series.shape))
    return mapped[index].astype(series.dtype)


def index_of(chosen: Chosen, window: dict[str, slice]) -> tuple[int | slice, ...]:
    """Return the index of the chosen image in the array of its series.

    Args:
        chosen: The chosen image.
        window: The rows "Y" and columns "X" of the index; all of them if missing.
    """
    index: list[int | slice] = []
    for axis, name in enumerate(chosen.places):
        if axis in chosen.fixed:
            index.append(chosen.fixed[axis])
        else:
            index.append(window.get(name, slice(None)))
    return tuple(index)


def check_held(series: Any, pages: Iterable[Any], path: Path) -> None:
    """Check that a file holds pages of a series; tifffile would read others as zeros.

    Args:
        series: The series.
        pages: The pages; None for those that the file does not hold.
        path: The path of the image, for the message.

    Raises:
        DataError: If pages are missing.
    """
    if series.dataoffset is None and any(page is None for page in pages):
        raise DataError(
            f"{path}: its metadata name planes that the file does not hold; they may be in other "
            f"files, or were not recorded. Save the whole image as one file",
            "pages",
        )


def stored_array(chosen: Chosen, path: Path) -> np.ndarray:
    """Return the samples of the chosen image, with the axes of its series that are not fixed.

    Only its own pages are read, unless the file stores them in an unusual way.

    Args:
        chosen: The image.
        path: Its address.

    Raises:
        DataError: If the file does not hold all of its pages.
    """
    series = chosen.series
    index = index_of(chosen, {})
    if not chosen.fixed:
        check_held(series, series.pages, path)
        return np.asarray(series.asarray())
    axes_of_pages = len(series.shape) - len(series.keyframe.shape)
    lengths = series.shape[:axes_of_pages]
    has_page_for_each = len(series.pages) == int(np.prod(lengths))
    if has_page_for_each and series.shape[axes_of_pages:] == series.keyframe.shape:
        numbers = np.arange(len(series.pages)).reshape(lengths)[index[:axes_of_pages]]
        pages = [series.pages[number] for number in np.ravel(numbers).tolist()]
        check_held(series, pages, path)
        if None not in pages:
            return _stacked(pages, np.shape(numbers), index[axes_of_pages:])
    if is_in_place(series):
        return read_in_place(series, file_of(path), index)
    check_held(series, series.pages, path)
    return np.asarray(series.asarray()[index])


def _stacked(
    pages: list[Any], shape: tuple[int, ...], within: tuple[int | slice, ...]
) -> np.ndarray:
    """Return an index of each page, as an array whose first axes have the given shape."""
    arrays = [np.asarray(page.asarray())[within] for page in pages]
    if len(arrays) == 1:
        return arrays[0].reshape(*shape, *arrays[0].shape)
    stacked = np.stack(arrays)
    return stacked.reshape(*shape, *stacked.shape[1:])
