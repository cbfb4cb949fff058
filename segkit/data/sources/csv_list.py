"""Reads a CSV file that lists images, masks and parts."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from segkit.errors import DataError
from segkit.io.files import check_is_file

LABELLED = "labelled_classes"
"""The column with the classes that were annotated in an image."""
ALL = "all"
"""All classes, in the column of the annotated classes."""
COLUMNS = ("image", "mask", "split", LABELLED)
"""Columns that are not classes."""
SEPARATORS = ",;\t"
LARGEST_LIST = 2**30
"""Largest list, in bytes."""


class CsvRow(NamedTuple):
    """A row, with the number of its line in the file."""

    line: int
    cells: dict[str, str]


class CsvList(NamedTuple):
    """The rows of a list, and the names of its columns."""

    rows: list[CsvRow]
    columns: list[str]


def read_list(path: Path, labels: Sequence[str] = ()) -> CsvList:
    """Read a CSV list, in UTF-8, with commas, semicolons or tabs between columns.

    Args:
        path: The file. Its first line names the columns.
        labels: The classes that may have a column of their own, for messages.

    Returns:
        The rows that are not empty, and the columns. The column names image, mask, split and
        labelled_classes are in lower case; other names are as in the file.

    Raises:
        DataError: If the file cannot be read, or does not have exactly one column of images.
    """
    check_is_file(path, LARGEST_LIST)
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            head = stream.readline()
            stream.seek(0)
            separator = max(SEPARATORS, key=head.count)
            reader = csv.DictReader(stream, delimiter=separator, skipinitialspace=True)
            columns = [_column(name) for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = [CsvRow(reader.line_num, dict(cells)) for cells in reader]
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror})", "list") from problem
    except (csv.Error, UnicodeDecodeError) as problem:
        raise DataError(f"{path}: not a CSV file in UTF-8 ({problem})", "list") from problem
    if columns.count("image") != 1 or columns.count("mask") > 1:
        raise wrong_columns(path, columns, labels)
    filled = [row for row in rows if any(row.cells.get(column) for column in columns)]
    return CsvList(filled, columns)


def wrong_columns(path: Path, columns: Sequence[str], labels: Sequence[str]) -> DataError:
    """Return the error that a list does not have the columns that it needs."""
    of_classes = f" ({', '.join(labels)})" if labels else ""
    return DataError(
        f"{path}: the columns must be image, mask and, optionally, split and {LABELLED}; or one "
        f"column per "
        f"class{of_classes} instead of mask; found {', '.join(columns)}",
        "list",
    )


def _column(name: str) -> str:
    plain = name.strip()
    return plain.lower() if plain.lower() in COLUMNS else plain


def unlabelled_in(row: CsvRow, labels: Sequence[str], where: str) -> tuple[str, ...]:
    """Return the classes that were not annotated in the image of a row.

    The cell labelled_classes names those that were, separated by one of | ; and a comma.

    Args:
        row: The row.
        labels: The classes.
        where: The line, for messages.

    Returns:
        The other classes; none if the list has no such column.

    Raises:
        DataError: If the cell is empty or names something else.
    """
    if LABELLED not in row.cells:
        return ()
    cell = (row.cells[LABELLED] or "").strip()
    if cell == ALL and ALL not in labels:
        return ()
    named = [cell]
    if cell not in labels:
        named = [name.strip() for name in re.split(r"[|;,]", cell)]
    unknown = [name for name in named if name not in labels]
    if unknown:
        found = ", ".join(unknown) if cell else "an empty cell"
        raise DataError(
            f"{where}: {LABELLED} names the classes that were annotated in the image, out of "
            f"{', '.join(labels)}, separated by |, or says {ALL}; found {found}",
            "list",
        )
    return tuple(label for label in labels if label not in named)
