"""Lock files: at most one process at a time works on a file or a folder.

`lock_or_fail` and `wait_for_lock` use filelock. The operating system ends such a lock with its
process, however that ends. `renewable_lock` also works on disks that cannot lock files.
"""

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
"""Seconds without renewal after which the process of a lock on another machine counts as dead."""

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Error numbers of a disk that cannot lock files."""


@contextmanager
def lock_or_fail(path: Path, activity: str) -> Iterator[None]:
    """Hold a lock file, or raise an error at once if another process holds it.

    On a disk that cannot lock files, the work goes on without a lock.

    Args:
        path: The lock file. Its folder must exist. The file is removed at the end.
        activity: What a process that holds the lock does, for the message: "trains into runs/a".

    Raises:
        RunError: If another process holds the lock ("busy").
        OSError: If the file cannot be created.
    """
    try:
        lock = _acquire(path, timeout=0)
    except Timeout as problem:
        raise RunError(
            f"{path}: another process {activity}; wait until it has ended", "busy"
        ) from problem
    try:
        yield
    finally:
        _release(lock, path)


@contextmanager
def wait_for_lock(path: Path) -> Iterator[None]:
    """Hold a lock file, after waiting for as long as another process holds it.

    On a disk that cannot lock files, the work goes on without a lock.

    Args:
        path: The lock file. Its folder must exist. The file is removed at the end.

    Raises:
        OSError: If the file cannot be created.
    """
    lock = _acquire(path, timeout=-1)
    try:
        yield
    finally:
        _release(lock, path)


def _acquire(path: Path, timeout: float) -> FileLock:
    """Return a held lock, or one not held if the disk has no locks; -1 waits without a limit."""
    lock = FileLock(path, timeout=timeout, fallback_to_soft=False)
    try:
        lock.acquire()
    except OSError as problem:
        if problem.errno not in _NO_LOCKS:
            raise
    return lock


def _release(lock: FileLock, path: Path) -> None:
    """Remove the lock file and end the lock. A process that waits for it creates a new file."""
    with suppress(OSError):  # Windows does not remove an open file
        path.unlink()
    lock.release()


# filelock cannot replace this lock. Its locks of the operating system fail, or hold on one machine
# only, on many network disks, and there two machines would write one mask. Its lock by the
# existence of a file blocks for ever after the death of a process on another machine, or of one
# that was killed before it wrote its name.
@contextmanager
def renewable_lock(path: Path) -> Iterator[Callable[[], None]]:
    """Hold a lock file that names its process, on every disk and across machines.

    The lock of a dead process is taken over: at once on its own machine, and on other machines when
    nobody has renewed it for `STALE` seconds.

    Args:
        path: The lock file. Its folder is created. The file is removed at the end.

    Yields:
        A function that renews the lock. Call it more often than every `STALE` seconds.

    Raises:
        DataError: If another process holds the lock ("busy").
        OSError: If the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with wait_for_lock(
        path.with_name(f"{path.name}.turn")
    ):  # or two could take over one stale lock
        _create(path)
    try:
        yield lambda: _renew(path)
    finally:
        with suppress(OSError):
            if _holder(path) == owner():  # another process may have taken over a stale lock
                path.unlink()


def _create(path: Path) -> None:
    try:
        with path.open("x") as stream:
            _sign(path, stream)
    except FileExistsError:
        if not _is_stale(path):
            raise DataError(
                f"{path}: another process ({_holder(path)}) predicts this image into the same "
                f"folder; wait until it has ended. If no segkit process is running, delete "
                f"the file",
                "busy",
            ) from None
        path.unlink(missing_ok=True)
        _create(path)


def _sign(path: Path, stream: TextIO) -> None:
    try:
        stream.write(owner())
        stream.flush()
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _is_stale(path: Path) -> bool:
    """Return whether no process holds the lock; the file is empty after an early kill."""
    try:
        holder = _holder(path)
        if not holder:
            return True
        dead = is_dead(holder)
        if dead is None:
            return time.time() - path.stat().st_mtime > STALE
        return dead
    except FileNotFoundError:
        return True


def _holder(path: Path) -> str:
    return path.read_text()


def _renew(path: Path) -> None:
    with suppress(OSError):
        os.utime(path)
