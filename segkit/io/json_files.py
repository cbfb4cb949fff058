"""Reads JSON files that segkit wrote."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segkit.errors import RunError, one_line


def read_object(path: Path, keys: Sequence[str], advice: str) -> dict[str, Any]:
    """Return the JSON object in a file.

    Args:
        path: The file.
        keys: The keys that the object must have.
        advice: The advice to the user if the file is damaged.

    Raises:
        RunError: If the file cannot be read, is not a JSON object, or lacks a key.
    """
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as problem:
        message = f"{path}: cannot be read ({one_line(problem)}); {advice}"
        raise RunError(message, "damaged-file") from problem
    if not isinstance(found, dict):
        raise RunError(f"{path}: holds no JSON object; {advice}", "damaged-file")
    missing = [key for key in keys if key not in found]
    if missing:
        raise RunError(f"{path}: {', '.join(missing)} is missing; {advice}", "damaged-file")
    return found
