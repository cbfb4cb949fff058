"""Lock files."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segkit.errors import DataError
from segkit.io.atomic import is_dead, owner

STALE = 600
"""Seconds after which a lock of another machine that nobody has touched counts as that of a dead process."""


@contextmanager
def locked(path: Path) -> Iterator[Callable[[], None]]:
    """Hold the lock file at `path`, and yield what to call now and then so that other machines see that this process lives.

    A lock whose process is dead is taken over: at once on its machine, after `STALE` seconds on others. Raises
    `DataError` if another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with taking_turns(path.parent):  # or two could take over one stale lock
        _take(path)
    try:
        yield lambda: _touch(path)
    finally:
        with suppress(OSError):
            if _holder(path) == owner():  # or this process was thought dead
                path.unlink()


def _take(path: Path) -> None:
    try:
        with path.open("x") as stream:
            stream.write(owner())
    except FileExistsError:
        if not _is_stale(path):
            raise DataError(
                f"{path}: another process ({_holder(path)}) predicts this image into the same folder; wait until it has "
                f"ended. If it is none of segkit's, delete that file",
                "busy",
            ) from None
        path.unlink(missing_ok=True)
        _take(path)


def _is_stale(path: Path) -> bool:
    try:
        dead = is_dead(_holder(path))
        return dead if dead is not None else time.time() - path.stat().st_mtime > STALE
    except FileNotFoundError:
        return True


def _holder(path: Path) -> str:
    return path.read_text()


def _touch(path: Path) -> None:
    with suppress(OSError):
        os.utime(path)


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
