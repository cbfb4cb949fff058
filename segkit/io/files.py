"""What is opened is a file: a pipe would be waited for, a device read, for ever. And folders that are made."""

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
    """Return what a path is that is no file and no folder, such as "a pipe"; None for others, and if it is not there."""
    found = _status(path)
    return KINDS.get(stat.S_IFMT(found.st_mode)) if found else None


def check_is_file(path: Path, most: float = float("inf")) -> None:
    """Raise `DataError` if a path is a pipe, a socket or a device, or has more than `most` bytes.

    What is not there is left to the one who opens it.
    """
    found = _status(path)
    if found is None:
        return
    kind = KINDS.get(stat.S_IFMT(found.st_mode))
    if kind:
        raise DataError(
            f"{path}: is {kind}, not a file; remove it, or name the file itself", "not-a-file"
        )
    if found.st_size > most:
        raise DataError(
            f"{path}: has {found.st_size:,} bytes; up to {most:,.0f} are read", "too-large"
        )


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None


def read_bytes(path: Path, most: int) -> bytes:
    """Return the content of a file.

    Args:
        path: The file.
        most: Bytes that it may have.

    Raises:
        DataError: If it is a pipe, a socket or a device, or larger.
        OSError: If it cannot be read.
    """
    check_is_file(path, most)
    return path.read_bytes()


def read_text(path: Path, most: int) -> str:
    """Return the text of a UTF-8 file as `read_bytes` does; raises `UnicodeDecodeError` if it is none."""
    return read_bytes(path, most).decode("utf-8")


def make_folder(path: Path) -> None:
    """Make a folder and those above it, unless it is there; a link is followed, even to a folder that is not there yet."""
    Path(os.path.realpath(path)).mkdir(parents=True, exist_ok=True)
