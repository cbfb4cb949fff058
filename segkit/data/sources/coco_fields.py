"""Checks the lists and fields of a COCO JSON file, and describes their values in messages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segkit.data.sources.label_values import short_repr
from segkit.errors import DataError
from segkit.io.files import read_bytes

Id = int | str
LARGEST = 2**32
"""Largest file, in bytes; the largest file of COCO itself has half a billion."""


def read_coco_json(path: Path) -> dict[str, Any]:
    """Read a file that has the three lists of a COCO file.

    Args:
        path: The file.

    Returns:
        The content. "images", "annotations" and "categories" are lists of unchecked entries.

    Raises:
        DataError: If the file cannot be read, is not JSON, or lacks one of the lists.
    """
    try:
        content = json.loads(read_bytes(path, LARGEST))
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror})", "coco-file") from problem
    except json.JSONDecodeError as problem:
        raise DataError(f"{path}: {_why_not_json(problem)}", "coco-file") from problem
    except (ValueError, RecursionError) as problem:  # such as a number of thousands of digits
        raise DataError(f"{path}: not a COCO JSON file ({problem})", "coco-file") from problem
    if not isinstance(content, dict):
        raise DataError(
            f"{path}: a COCO file is an object of images, annotations and categories; found "
            f"{short_repr(content)}. A file of results lists no images: use the file with the "
            f"ground truth",
            "coco-file",
        )
    for key in ("images", "annotations", "categories"):
        if type(content.get(key)) is list:
            continue
        found = f"there is no '{key}'"
        if key in content:
            found = f"'{key}' is {short_repr(content[key])}"
        raise DataError(
            f"{path}: a COCO file has the lists images, annotations and categories; {found}",
            "coco-file",
        )
    return content


def _why_not_json(problem: json.JSONDecodeError) -> str:
    place = f"line {problem.lineno}, column {problem.colno}"
    if problem.pos >= len(problem.doc.rstrip()) or problem.msg.startswith("Unterminated string"):
        return f"is cut off or empty ({place}); copy or export it again"
    return f"not JSON ({problem.msg} at {place}); data.annotations names the COCO JSON file"


def identify(entry: Any, kind: str, where: str, path: Path) -> tuple[Id, str]:
    """Read the id of an entry.

    Args:
        entry: The entry.
        kind: "image", "annotation" or "category".
        where: How messages call the entry while its id is not known.
        path: The file.

    Returns:
        The id, and how messages call the entry by it.

    Raises:
        DataError: If the entry is not an object with an id.
    """
    if type(entry) is not dict:
        raise DataError(
            f"{where}: must be an object with an id; found {short_repr(entry)}", "coco-entry"
        )
    number: Id = entry_field(entry, "id", (int, str), "a whole number or text", where)
    return number, f"{path}: {kind} {short_repr(number)}"


def entry_field(
    entry: Mapping[str, Any], key: str, kinds: tuple[type, ...], description: str, where: str
) -> Any:
    """Read a field of an entry.

    Args:
        entry: The entry.
        key: Name of the field.
        kinds: The allowed types.
        description: The allowed values, for messages.
        where: How messages call the entry.

    Returns:
        The value.

    Raises:
        DataError: If the field is missing, or has another type.
    """
    if key not in entry:
        raise DataError(f"{where}: has no '{key}'", "coco-entry")
    if type(entry[key]) not in kinds:  # isinstance would take true and false for numbers
        raise DataError(
            f"{where}: '{key}' must be {description}; found {short_repr(entry[key])}", "coco-entry"
        )
    return entry[key]


def duplicate_id(where: str) -> DataError:
    """Return the error that two entries have the same id."""
    return DataError(f"{where}: another entry has the same id; ids must differ", "coco-duplicate")
