"""Instances: a TIFF with the object number of each pixel, and a CSV table of the objects."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segkit.errors import DataError
from segkit.inference.outputs.listing import list_parts
from segkit.inference.outputs.prediction import Output, PredictedImage, beside
from segkit.io import codecs
from segkit.io.atomic import atomic
from segkit.io.masks import mask_paths
from segkit.io.names import cell, cell_name, file_in
from segkit.io.tiff_files import save_tiff
from segkit.task import Task
from segkit.task.layers import as_planes, planes_of

FIRST = ("image", "number", "class", "left", "top", "width", "height", "area", "score")
PHYSICAL = ("physical_area", "physical_unit")
"""Empty where the size of the pixels is unknown."""
COLUMNS = (*FIRST, *PHYSICAL, "x", "y")
"""The columns that every table has; those of the bands of the image follow."""
OLDER = (FIRST, (*FIRST, *PHYSICAL))
"""The columns of tables of older versions."""
NAMES = ("image", "class")
"""Columns of names, which might look like a formula or a number."""


def columns_of(bands: int) -> tuple[str, ...]:
    """Return the columns of the table of an image with this number of bands.

    >>> columns_of(2)[-3:]
    ('y', 'mean_intensity_1', 'mean_intensity_2')
    """
    return (*COLUMNS, *(f"mean_intensity_{band}" for band in range(1, bands + 1)))


class Instances(Output):
    """Writes DIR-instances/NAME.tif and NAME.csv, and DIR-instances.csv of all images.

    In a multilabel task the TIFFs are CLASS/NAME.tif.
    """

    ending = "-instances"

    def __init__(self, task: Task, masks: Path) -> None:
        super().__init__(task, masks)
        self.table = beside(masks, "-instances.csv")

    def paths(self, name: str) -> list[Path]:
        numbers = mask_paths(self.task, self.folder, name, ".tif")
        return [*numbers, file_in(self.folder, name, ".csv")]

    def write(self, predicted: PredictedImage, paths: Sequence[Path]) -> None:
        numbers, objects = predicted.objects
        dtype = np.uint16 if len(objects) <= np.iinfo(np.uint16).max else np.uint32
        tags = predicted.location.tags if predicted.location else ()
        *plane_paths, table = paths
        for path, plane in zip(plane_paths, planes_of(numbers), strict=True):
            save_tiff(path, plane.astype(dtype), tags, pixel_mm=predicted.pixel_mm)
        columns = columns_of(as_planes(predicted.image).shape[-1])
        with table.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([columns, *rows_of(predicted)])

    def merge(self) -> None:
        parts = list_parts(self.folder, ".csv").values()
        most_bands = max((_read_bands(path) for path in parts), default=0)
        columns = columns_of(most_bands)
        with (
            atomic(self.table) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as stream,
        ):
            writer = csv.DictWriter(stream, columns, restval="")
            writer.writeheader()
            for path in parts:
                writer.writerows(_read_rows(path))


def _read_bands(path: Path) -> int:
    """Return the number of bands in the table of an image.

    Raises:
        DataError: If `Instances` did not write the table.
    """
    with codecs.naming(path), path.open(encoding="utf-8", newline="") as stream:
        columns = tuple(next(csv.reader(stream), ()))
    bands = max(0, len(columns) - len(COLUMNS))
    if columns not in (*OLDER, columns_of(bands)):
        raise _no_table(path)
    return bands


def _read_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table by column. Raises `DataError` for a row of another length."""
    with codecs.naming(path), path.open(encoding="utf-8", newline="") as stream:
        columns, *rows = csv.reader(stream)
    if any(len(row) != len(columns) for row in rows):
        raise _no_table(path)
    found = []
    for row in rows:
        cells = dict(zip(columns, row, strict=True))
        found.append({column: _safe(column, text) for column, text in cells.items()})
    return found


def _no_table(path: Path) -> DataError:
    return DataError(f"{path}: is no table of objects; delete it, and predict its image again")


def _safe(column: str, text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula, whether or not it was so already."""
    if column not in NAMES and _is_number(text):
        return text  # also a negative one
    return cell(cell_name(text))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def rows_of(predicted: PredictedImage) -> list[list[object]]:
    """Return one row of `columns_of` for each object.

    Box, centre and area are in pixels, and the score is from 0 to 1. The physical area is empty if
    the size of the pixels is unknown. The mean intensities have six digits.
    """
    image = cell(predicted.name)
    _, objects = predicted.objects
    intensities = mean_intensities(predicted)
    rows: list[list[object]] = []
    for found in objects:
        label = cell(predicted.task.classes[found.label])
        measures = predicted.measures_of(found)
        physical = [measures.get(column, "") for column in PHYSICAL]
        means = [float(f"{mean:.6g}") for mean in intensities[found.number]]
        row = [image, found.number, label, *found.box, found.area, found.score]
        rows.append([*row, *physical, *found.centre, *means])
    return rows


def mean_intensities(predicted: PredictedImage) -> np.ndarray:
    """Return the mean of each band of the image over the pixels of each object.

    Args:
        predicted: The image.

    Returns:
        (objects + 1, bands) float64, by the number of the object. The values are those of the file,
        as the network takes them. The row 0 has no meaning.
    """
    numbers, objects = predicted.objects
    bands = np.moveaxis(as_planes(predicted.image), -1, 0)
    pixels = np.zeros(len(objects) + 1)
    sums = np.zeros((len(objects) + 1, len(bands)))
    for plane in planes_of(numbers):
        flat = plane.ravel()
        pixels += np.bincount(flat, minlength=len(pixels))
        for index, band in enumerate(bands):
            sums[:, index] += np.bincount(flat, band.ravel(), len(pixels))
    return sums / np.maximum(pixels, 1)[:, None]
