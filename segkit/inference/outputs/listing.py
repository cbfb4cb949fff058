"""List the files of single images that a format merges into one file."""

from __future__ import annotations

import os
from pathlib import Path


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
