"""Disks that are full, and files that a killed process left over."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from segkit.io import atomic


def on_full_disk(
    full: Callable[[Path], bool] = lambda path: True,
) -> Callable[[Sequence[Path]], AbstractContextManager[list[Path]]]:
    """Return what stands in for `atomic.together` on a disk with no room for some files.

    The temporary files of those for which `full` is true are links to /dev/full, which answers
    every writer as a full disk does.
    """
    together = atomic.together

    @contextmanager
    def opened(paths: Sequence[Path]) -> Iterator[list[Path]]:
        with together(paths) as temporaries:
            for path, temporary in zip(paths, temporaries, strict=True):
                if full(path):
                    temporary.symlink_to("/dev/full")
            yield temporaries

    return opened


class _Abandoned(Exception):
    """Ends a writing before its file is renamed."""


def leave_over(path: Path, process: int = 999_999_999) -> Path:
    """Write what a process of this machine leaves over if it is killed while it writes `path`.

    By default no process has that number.
    """
    with suppress(_Abandoned), atomic.atomic(path) as temporary:
        raise _Abandoned
    left = temporary.with_name(temporary.name.replace(f".{os.getpid()}.", f".{process}."))
    left.touch()
    return left
