"""Writes folders complete or not at all: under a temporary name, which is changed at the end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from segkit.errors import RunError
from segkit.io.locks import lock_or_fail

_PART = ".whole.part"
_OLD = ".whole.old"
_LOCK = ".whole.lock"


@contextmanager
def whole_folder(out: Path, replace: bool = False) -> Iterator[Path]:
    """Yield a new folder beside `out` that becomes `out` at the end.

    After an error the new folder is removed. The unfinished folder of a killed process is removed
    first.

    Args:
        out: The folder to make. It must not exist, or be empty.
        replace: Whether an existing folder is replaced.

    Raises:
        RunError: If another process writes the same folder, or if `out` is not empty at the end.
        OSError: If something cannot be written; it names the file below `out`.
    """
    part = _beside(out, _PART)
    out.parent.mkdir(parents=True, exist_ok=True)
    with lock_or_fail(_beside(out, _LOCK), f"writes {out}"):
        _put_back(out)
        _remove(part)
        try:
            part.mkdir()
            yield part
            if replace and out.exists():
                os.replace(out, _beside(out, _OLD))
            _take_place(part, out)
        except OSError as problem:
            if isinstance(problem.filename, str):
                problem.filename = problem.filename.replace(str(part), str(out))
            raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
            _put_back(out)


def put_back(folder: Path) -> None:
    """Restore the folders below `folder` that `whole_folder` was replacing when it was killed."""
    for old in folder.glob(f".*{_OLD}"):
        out = old.with_name(old.name[1 : -len(_OLD)])
        with suppress(RunError, OSError), lock_or_fail(_beside(out, _LOCK), f"writes {out}"):
            _put_back(out)


def _put_back(out: Path) -> None:
    """Rename the older folder back if there is no new one; otherwise remove it."""
    old = _beside(out, _OLD)
    if old.exists() and not out.exists():
        os.replace(old, out)
    _remove(old)


def _take_place(part: Path, out: Path) -> None:
    try:
        if out.exists():
            out.rmdir()
        os.replace(part, out)
    except OSError as problem:
        if out.is_dir() and any(out.iterdir()):
            message = f"{out}: is not empty any more; choose a new folder"
            raise RunError(message, "exists-already") from problem
        raise


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _beside(out: Path, ending: str) -> Path:
    return out.with_name(f".{out.name}{ending}")
