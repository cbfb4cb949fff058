"""Run lengths of masks: of COCO, of CVAT, and of competitions of Kaggle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from segkit.errors import DataError

Order = Literal["column", "row"]
"""Whether the pixels of an image are numbered down the columns, or along the rows."""
_NUMPY_ORDERS: dict[Order, Literal["F", "C"]] = {"column": "F", "row": "C"}


def run_lengths(numbers: np.ndarray) -> dict[int, list[int]]:
    """Return COCO's run lengths of each object.

    The pixels are taken column by column. Run lengths are the numbers of pixels outside and inside
    the object in turn, beginning with those outside.

    Args:
        numbers: The number of each pixel's object, (H, W), 0 for none.

    >>> run_lengths(np.array([[0, 1, 1], [2, 1, 0]]))
    {1: [2, 3, 1], 2: [1, 1, 4]}
    """
    flat = numbers.ravel(order="F")
    starts = np.concatenate(([0], np.flatnonzero(np.diff(flat)) + 1))
    ends = np.append(starts[1:], flat.size)
    number_of_run = flat[starts]
    order = np.argsort(number_of_run, kind="stable")
    object_numbers, first = np.unique(number_of_run[order], return_index=True)
    runs = {}
    for number, own_runs in zip(object_numbers.tolist(), np.split(order, first[1:]), strict=True):
        if number == 0:
            continue
        edges = np.stack([starts[own_runs], ends[own_runs]], axis=1).ravel()
        counts = np.diff(edges, prepend=0, append=flat.size).tolist()
        if counts[-1] == 0:  # the object reaches the last pixel
            counts.pop()
        runs[number] = counts
    return runs


def compressed(counts: Sequence[int], height: int, width: int) -> dict[str, Any]:
    """Return run lengths as an RLE object with the compressed text of pycocotools."""
    from pycocotools import mask as coco_mask  # the light distribution does not install it

    runs = coco_mask.frPyObjects({"size": [height, width], "counts": list(counts)}, height, width)
    return {"size": [height, width], "counts": runs["counts"].decode("ascii")}


def pairs_of(mask: np.ndarray, order: Order) -> list[int]:
    """Return the runs of a mask as pairs of the first pixel and the number of pixels.

    Args:
        mask: (H, W) bool.
        order: How the pixels are numbered. The first pixel has the number 1.

    Returns:
        The numbers [start, length, start, length, ...].

    Source: the evaluation pages of Kaggle's competitions, such as
    https://www.kaggle.com/c/airbus-ship-detection/overview/evaluation.

    >>> pairs_of(np.array([[False, True], [True, True]]), "row")
    [2, 3]
    """
    flat = mask.ravel(order=_NUMPY_ORDERS[order]).astype(np.int8)
    edges = np.flatnonzero(np.diff(flat, prepend=0, append=0))
    starts = edges[0::2]
    lengths = edges[1::2] - starts
    return np.stack([starts + 1, lengths], axis=1).ravel().tolist()


def mask_of_pairs(pairs: np.ndarray, size: tuple[int, int], order: Order) -> np.ndarray:
    """Return the mask of runs that `pairs_of` returns.

    Args:
        pairs: The numbers [start, length, start, length, ...], (N,) int64.
        size: Height and width of the mask.
        order: How the pixels are numbered. The first pixel has the number 1.

    Returns:
        (H, W) bool.

    Raises:
        DataError: If a run is not inside the image.
    """
    pixels = size[0] * size[1]
    if pairs.size % 2:
        raise DataError(
            f"run lengths are pairs of a start and a length; found {pairs.size} numbers",
            "label-rle",
        )
    starts = pairs[0::2] - 1
    lengths = pairs[1::2]
    is_inside = (starts >= 0) & (lengths >= 1) & (lengths <= pixels) & (starts <= pixels - lengths)
    if not is_inside.all():
        wrong = int(np.argmin(is_inside))
        raise DataError(
            f"a run must lie in the pixels 1 to {pixels}; found the start {starts[wrong] + 1} and "
            f"the length {lengths[wrong]}",
            "label-rle",
        )
    changes = np.zeros(pixels + 1, np.int32)
    np.add.at(changes, starts, 1)
    np.add.at(changes, starts + lengths, -1)
    inside = np.cumsum(changes[:-1]) > 0
    return inside.reshape(size, order=_NUMPY_ORDERS[order])


def mask_of_counts(counts: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the mask of alternate run lengths along the rows, as CVAT writes them.

    Args:
        counts: Numbers of pixels outside and inside the object in turn, beginning with those
            outside, (N,) int64.
        size: Height and width of the mask.

    Returns:
        (H, W) bool.

    Raises:
        DataError: If the counts are negative or do not add up to the pixels.

    >>> mask_of_counts(np.array([1, 2, 1]), (2, 2)).tolist()
    [[False, True], [True, False]]
    """
    pixels = size[0] * size[1]
    is_possible = bool(((counts >= 0) & (counts <= pixels)).all())
    if not is_possible or int(counts.sum()) != pixels:
        raise DataError(
            f"run lengths are not negative and add up to height x width, {pixels}; found "
            f"{counts.size} numbers from {int(counts.min())} to {int(counts.max())}",
            "label-rle",
        )
    values = np.arange(counts.size) % 2 == 1
    return np.repeat(values, counts).reshape(size)
