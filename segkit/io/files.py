"""Opens files only: reading a pipe or a device might never end."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from segkit.errors import DataError

KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def special_kind(path: Path) -> str | None:
    """Return "a pipe", "a socket" or "a device"; None for files, folders and missing paths."""
    status = _status(path)
    if status is None:
        return None
    return KINDS.get(stat.S_IFMT(status.st_mode))


def check_is_file(path: Path, most: float = float("inf")) -> None:
    """Check that a path is not a pipe, a socket, a device or a large file; it may be missing.

    Args:
        path: The path.
        most: Bytes that the file may have.

    Raises:
        DataError: If it is one ("not-a-file"), or has more bytes ("too-large").
    """
    status = _status(path)
    if status is None:
        return
    kind = KINDS.get(stat.S_IFMT(status.st_mode))
    if kind:
        message = f"{path}: is {kind}, not a file; remove it, or name the file itself"
        raise DataError(message, "not-a-file")
    if status.st_size > most:
        message = f"{path}: has {status.st_size:,} bytes; up to {most:,.0f} are read"
        raise DataError(message, "too-large")


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (OSError, ValueError):  # ValueError for a NUL in the name
        return None


def read_bytes(path: Path, most: int) -> bytes:
    """Return the content of a file.

    Args:
        path: The file.
        most: Bytes that it may have.

    Raises:
        DataError: If it is a pipe, a socket or a device, or is larger.
        OSError: If it cannot be read.
    """
    check_is_file(path, most)
    return path.read_bytes()


def read_text(path: Path, most: int) -> str:
    """Return the text of a UTF-8 file.

    Args:
        path: The file.
        most: Bytes that it may have.

    Raises:
        DataError: If it is a pipe, a socket or a device, or is larger.
        OSError: If it cannot be read.
        UnicodeDecodeError: If it is not UTF-8.
    """
    return read_bytes(path, most).decode("utf-8")


def make_folder(path: Path) -> None:
    """Make a folder and those above it if they are missing.

    A link is followed, even to a folder that does not exist yet.
    """
    Path(os.path.realpath(path)).mkdir(parents=True, exist_ok=True)
