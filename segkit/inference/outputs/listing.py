"""List and read the files of single images that a format merges into one file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from segkit.errors import DataError
from segkit.io.files import read_bytes

LARGEST_PART = 2**31
"""Bytes of the file of one image."""


def list_parts(folder: Path, suffix: str) -> dict[str, Path]:
    """Return the files under a folder whose names end with `suffix`, sorted by name.

    Names are the paths below the folder without the suffix. Hidden files are left out.
    """
    parts = {}
    for parent, _, file_names in os.walk(folder):
        for file_name in file_names:
            if file_name.endswith(suffix) and not file_name.startswith("."):
                path = Path(parent, file_name)
                parts[path.relative_to(folder).as_posix().removesuffix(suffix)] = path
    return dict(sorted(parts.items()))


def read_listing(path: Path, kind: type) -> Any:
    """Return the content of the JSON file of one image.

    Args:
        path: The file.
        kind: The type of its content, `dict` or `list`.

    Raises:
        DataError: If it is no such file.
    """
    try:
        content = json.loads(read_bytes(path, LARGEST_PART))
    except (ValueError, RecursionError) as problem:
        raise part_problem(path, str(problem)) from None
    if not isinstance(content, kind):
        raise part_problem(path, "it has another content")
    return content


def part_problem(path: Path, why: str, code: str = "failed") -> DataError:
    """Return the error for a file that is not that of one image."""
    return DataError(
        f"{path}: is not the file of an image that predict writes there ({why}); delete it and "
        f"predict its image again",
        code,
    )
