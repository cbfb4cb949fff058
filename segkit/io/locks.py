"""Lock files."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from filelock import FileLock, Timeout

from segkit.errors import DataError, RunError
from segkit.io.atomic import is_dead, owner

STALE = 600
"""Seconds after which a lock of another machine that nobody has touched counts as that of a dead process."""


_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""What a disk answers that cannot lock files."""


@contextmanager
def alone(path: Path, doing: str) -> Iterator[None]:
    """Hold the lock file at `path`, whose folder is there. The lock ends with the process, and its file with the lock.

    Raises `RunError` if another process holds it; `doing` says what that one does. On a disk that cannot lock files
    nothing is held.
    """
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout as problem:
        raise RunError(
            f"{path}: another process {doing}; wait until it has ended", "busy"
        ) from problem
    except OSError as problem:
        if problem.errno not in _NO_LOCKS:
            raise
    try:
        yield
    finally:
        if lock.is_locked:
            with suppress(OSError):  # Windows removes no file that is open
                path.unlink()
        lock.release()


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
            _sign(path, stream)
    except FileExistsError:
        if not _is_stale(path):
            raise DataError(
                f"{path}: another process ({_holder(path)}) predicts this image into the same folder; wait until it has "
                f"ended. If it is none of segkit's, delete that file",
                "busy",
            ) from None
        path.unlink(missing_ok=True)
        _take(path)


def _sign(path: Path, stream: TextIO) -> None:
    try:
        stream.write(owner())
        stream.flush()
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _is_stale(path: Path) -> bool:
    """Return whether nobody holds the lock. An empty file was left by a full disk, or by a kill before it was signed."""
    try:
        holder = _holder(path)
        if not holder:
            return True
        dead = is_dead(holder)
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
