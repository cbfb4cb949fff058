"""Files that many runs make one of: the parts in a folder, and turns at merging them."""

from __future__ import annotations

import os
from pathlib import Path


def list_parts(folder: Path, suffix: str) -> dict[str, Path]:
    """Return the files under `folder` that end in `suffix` by name, the path below it without suffix, sorted."""
    found = {}
    for parent, _, names in os.walk(folder):
        for file in names:
            if file.endswith(suffix) and not file.startswith("."):
                path = Path(parent, file)
                found[path.relative_to(folder).as_posix().removesuffix(suffix)] = path
    return dict(sorted(found.items()))
