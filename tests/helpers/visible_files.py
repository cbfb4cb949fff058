"""What is visible in a folder: temporary and lock files are hidden."""

from __future__ import annotations

from pathlib import Path


def visible(root: Path) -> dict[str, bytes]:
    """Return what a user or the next tool sees: all files but hidden ones, by their path."""
    found = (path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}
