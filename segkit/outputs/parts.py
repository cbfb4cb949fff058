"""Files that many runs make one of: the parts in a folder, and turns at merging them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


@contextmanager
def taking_turns(folder: Path) -> Iterator[None]:
    """Let one process at a time in, by a lock on FOLDER/.merging that dies with it: the last one in sees all parts.

    Where files cannot be locked (Windows, some network disks) nobody waits.
    """
    path = folder / ".merging"
    lock = path.open("w")
    try:
        while not _is(_locked(lock.fileno()), path):  # the one before has removed its file
            lock.close()
            lock = path.open("w")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        lock.close()


def _locked(file: int) -> int:
    with suppress(ImportError, OSError):  # better two merge at once than none
        import fcntl

        fcntl.lockf(file, fcntl.LOCK_EX)
    return file


def _is(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
