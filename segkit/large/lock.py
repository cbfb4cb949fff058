"""One process at a time works on a large image: a lock file beside its work folder says which."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segkit.errors import DataError
from segkit.files import is_dead, owner
from segkit.outputs.parts import taking_turns

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
                f"ended. If it is none of segkit's, delete that file"
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
