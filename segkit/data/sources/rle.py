"""Images with a CSV file of run lengths, as in competitions of Kaggle.

Each row has an image, the run lengths of an object as "start length start length ...", and possibly
a class. Starts count from 1. Most competitions number the pixels down the columns, and some along
the rows. The file does not say which, so `data.run_lengths.order` must. Source: the evaluation
pages, such as https://www.kaggle.com/c/severstal-steel-defect-detection/overview/evaluation.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segkit.config import DataConfig
from segkit.config.label_files import RunLengthsConfig
from segkit.config.sets import annotated
from segkit.data.rasterise import Bitmap, Size
from segkit.data.run_lengths import Order, mask_of_pairs
from segkit.data.sources.label_images import Images, folder_of_images, label_file_of
from segkit.data.sources.label_source import (
    Content,
    LabelledImage,
    Labels,
    LabelSource,
    Region,
    divide,
)
from segkit.data.sources.label_values import read_lines, short_repr
from segkit.data.sources.pair_names import parts_by_folder
from segkit.errors import ConfigError, DataError
from segkit.task import Task

IMAGE_COLUMNS = ("imageid", "image", "imageid_classid", "image_label", "img", "filename", "id")
PIXEL_COLUMNS = ("encodedpixels", "rle", "rle_mask", "segmentation", "annotation", "mask")
LABEL_COLUMNS = ("classid", "class", "label", "category", "organ")
"""Usual names of the columns, in lower case. The first one that exists is taken."""
IMAGE_AND_LABEL = ("imageid_classid", "image_label")
"""Columns that contain the image and the class, with an underscore between them."""
NOTHING = ("", "-1", "nan")
"""What stands in place of run lengths for an image without objects."""
LONGEST_FIELD = 2**31 - 1
"""Longest field of a CSV file, in characters."""


class _Columns(NamedTuple):
    image: str
    pixels: str
    label: str | None


class _Row(NamedTuple):
    """A row that was read: the line in the file, the label, and the run lengths as text."""

    line: int
    label: str
    pixels: str


def open_rle(data: DataConfig, task: Task) -> LabelSource:
    """Open the rle source of a config's `data` section.

    Args:
        data: The section. `images` is the folder of images, `annotations` the CSV file, and
            `run_lengths` names its columns and the order of the pixels.
        task: The task whose masks are made. Without a column of classes, the label of all run
            lengths is the class of a binary task, or the only one of `labelled_classes`.

    Raises:
        ConfigError: If a setting is missing or does not fit.
        DataError: If the file lacks a column, or if images are missing.
    """
    labels = find_rle(data)
    only = annotated([task.classes[index] for index in task.foreground], data)
    if len(only) == 1:
        order = order_of(data.run_lengths)
        labels = replace(labels, content=partial(read_rle, order=order, default=only[0]))
    return LabelSource(labels, task, data)


def order_of(settings: RunLengthsConfig | None) -> Order:
    """Return `data.run_lengths.order`; raises `ConfigError` if it is not set."""
    if settings is None or settings.order is None:
        raise ConfigError(
            "the file does not say whether pixels are numbered down the columns (column, as in "
            "most competitions of Kaggle) or along the rows (row); name the order",
            "missing-setting",
            setting="data.run_lengths.order",
        )
    return settings.order


def find_rle(data: DataConfig) -> Labels:
    """Find the images of a CSV file of run lengths.

    Args:
        data: The section.

    Raises:
        ConfigError: If a setting is missing.
        DataError: If the file lacks a column.
    """
    images = Images(folder_of_images(data.images, "rle"))
    path = label_file_of(data.annotations, "rle", "the CSV file of run lengths")
    order = order_of(data.run_lengths)
    rows: dict[str, list[_Row]] = {}
    absent: dict[str, None] = {}
    for reference, row in _rows(path, data.run_lengths or RunLengthsConfig()):
        name = _image_of(reference, images, f"{path}, line {row.line}")
        if name is None:
            absent[reference] = None
        else:
            rows.setdefault(name, []).append(row)
    names, left_out = divide(list(images.by_name), rows, data, "leave_out")
    found = {}
    for name in names:
        found[name] = LabelledImage(images.by_name[name], path, rows.get(name), name in rows)
    return Labels(
        tool="rle",
        images=found,
        content=partial(read_rle, order=order, default=""),
        parts=parts_by_folder(found),
        unlabelled=left_out,
        absent=list(absent),
    )


def _image_of(reference: str, images: Images, where: str) -> str | None:
    """Return the name of an image that a row names with or without its suffix."""
    if reference in images.by_name:
        return reference
    return images.find(reference, where)


def _rows(path: Path, settings: RunLengthsConfig) -> Iterator[tuple[str, _Row]]:
    """Yield the image of each row, and the row."""
    with _long_fields():
        try:
            reader = csv.DictReader(read_lines(path))
            columns = _columns(reader.fieldnames or (), settings, path)
            for cells in reader:
                reference = (cells.get(columns.image) or "").strip()
                label = (cells.get(columns.label) or "").strip() if columns.label else ""
                if columns.image.lower() in IMAGE_AND_LABEL:
                    reference, _, label = reference.rpartition("_")
                pixels = (cells.get(columns.pixels) or "").strip()
                if reference:
                    yield reference, _Row(reader.line_num, label, pixels)
        except csv.Error as problem:
            raise DataError(f"{path}: not a CSV file ({problem})", "label-file") from problem


@contextmanager
def _long_fields() -> Iterator[None]:
    """Allow fields of more than 131,072 characters, which Python's csv module refuses."""
    before = csv.field_size_limit(LONGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _columns(names: Sequence[str], settings: RunLengthsConfig, path: Path) -> _Columns:
    image = _column(names, settings.image, IMAGE_COLUMNS, "image", path)
    pixels = _column(names, settings.pixels, PIXEL_COLUMNS, "pixels", path)
    if settings.label is None and not any(name.lower() in LABEL_COLUMNS for name in names):
        return _Columns(image, pixels, None)
    return _Columns(image, pixels, _column(names, settings.label, LABEL_COLUMNS, "label", path))


def _column(
    names: Sequence[str], chosen: str | None, usual: Sequence[str], key: str, path: Path
) -> str:
    """Return the name of a column, as the settings or the usual names say."""
    if chosen is not None and chosen in names:
        return chosen
    by_lower = {name.lower(): name for name in names}
    found = [by_lower[name] for name in usual if name in by_lower]
    if chosen is None and found:
        return found[0]
    code = "missing-setting"
    if chosen is not None:
        code = "unknown-name"
    raise ConfigError(
        f"{path}: name one of the columns {', '.join(names)}; found {chosen or 'none'}",
        code,
        setting=f"data.run_lengths.{key}",
    )


def read_rle(labelled: LabelledImage, order: Order, default: str) -> Content:
    """Read the run lengths of an image.

    Args:
        labelled: The image, with its rows as `entry`.
        order: How the pixels are numbered.
        default: The label of rows without one.
    """
    regions = []
    for row in labelled.entry:
        if row.pixels.lower() not in NOTHING:
            make = partial(_bitmap, row.pixels, order)
            regions.append(Region(row.label or default, "run lengths", f"line {row.line}", make))
    return Content(regions)


def _bitmap(text: str, order: Order, size: Size) -> Bitmap:
    try:
        pairs = np.array([int(word) for word in text.split()], np.int64)
    except (ValueError, OverflowError) as problem:
        raise DataError(
            f"run lengths are whole numbers; found {short_repr(text)}", "label-rle"
        ) from problem
    return Bitmap(0, 0, mask_of_pairs(pairs, size, order))


def is_rle(lines: Sequence[str]) -> bool:
    """Return whether the lines of a CSV file have a column of run lengths."""
    names = next(csv.reader(lines[:1]), [])
    lower = {name.strip().lower() for name in names}
    is_with_image = any(name in lower for name in IMAGE_COLUMNS)
    return is_with_image and any(name in lower for name in PIXEL_COLUMNS[:3])
