"""A CSV file of run lengths, as in competitions of Kaggle.

The columns are ImageId, ClassId and EncodedPixels. Pixels are numbered from 1, down the columns. An
image without objects has a row without run lengths.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from segkit.data.run_lengths import pairs_of

FILE = "masks.csv"
UNLABELLED = "void"
"""The class of pixels without a label."""


class RleRow(NamedTuple):
    """A row of the file."""

    image: str
    label: str
    pixels: str
    """The run lengths as text, or nothing."""


COLUMNS = RleRow("ImageId", "ClassId", "EncodedPixels")


def rle_rows(image: str, layers: Mapping[str, np.ndarray], default: str) -> list[RleRow]:
    """Return the rows of an image, one for each label that has pixels.

    Args:
        image: The image, as the file calls it.
        layers: The pixels of each label, (H, W) bool.
        default: The label in the row of an image without objects.
    """
    rows = []
    for label, layer in layers.items():
        if layer.any():
            pixels = " ".join(map(str, pairs_of(layer, "column")))
            rows.append(RleRow(image, label, pixels))
    return rows or [RleRow(image, default, "")]


def csv_text(rows: Iterable[RleRow]) -> str:
    """Return rows as lines of a CSV file."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()
