"""What is visible in a folder: temporary and lock files are hidden."""

from __future__ import annotations

from pathlib import Path


def visible(root: Path) -> dict[str, bytes]:
    """Return what a user or the next tool sees: all files but hidden ones and those in hidden
    folders, by their path.
    """
    found = {}
    for path in root.rglob("*"):
        parts = path.relative_to(root).parts
        if path.is_file() and not any(part.startswith(".") for part in parts):
            found["/".join(parts)] = path.read_bytes()
    return found
