"""Writes files under a temporary name and renames them; removes the files of killed writers."""

from __future__ import annotations

import errno
import os
import platform
import re
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from segkit.io.failures import name_full_disk, name_target
from segkit.io.files import special_kind

SECONDS_PER_DAY = 86400
_LEFTOVER = re.compile(r"\.[0-9a-f]{8}\.([\w-]*)\.([0-9]+)\.part(\.[^.]*)?")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` at the end.

    After an error the temporary file is removed, and `path` is unchanged.

    Args:
        path: The file to write. Its folder is created.

    Raises:
        OSError: If the file cannot be written, or `path` is a folder. The error names `path`.
    """
    with together([path]) as (temporary,):
        yield temporary


@contextmanager
def together(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield a temporary path beside each of `paths`, and rename all of them at the end, in order.

    If the last file exists, all files exist and come from one call, even if a process was killed:
    an older last file is removed before the first file is replaced. After an error while the
    temporary files are written, nothing has changed.

    Args:
        paths: The files to write. Their folders are created.

    Raises:
        OSError: If a file cannot be written, or one of `paths` is a folder. The error names the
            file in `paths`.
    """
    for path in paths:
        if path.is_dir():  # the rename would fail after the older last file is removed
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
    temporaries = [_temporary(path) for path in paths]
    try:
        yield temporaries
        if len(paths) > 1:
            paths[-1].unlink(missing_ok=True)
        for temporary, path in zip(temporaries, paths, strict=True):
            os.replace(temporary, path)
    except OSError as problem:
        if paths:
            name_full_disk(problem, paths[0].parent)
        name_target(problem, dict(zip(temporaries, paths, strict=True)))
        raise
    finally:
        for temporary in temporaries:
            with suppress(OSError):  # the first error is the one to raise
                temporary.unlink(missing_ok=True)


@contextmanager
def marked(folder: Path) -> Iterator[Path]:
    """Yield an empty hidden file in `folder`, by which others can recognise the folder.

    The file is removed at the end. `remove_leftovers` treats it as a temporary file, so touch it
    more often than daily.
    """
    path = _temporary(folder / "mark")
    path.touch()
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path, below: bool = True) -> None:
    """Remove the temporary files of killed writers from `folder`.

    These are files of dead processes on this machine, and files of other machines that are more
    than a day old.

    Args:
        folder: The folder.
        below: Whether the folders below it are searched, too.
    """
    for parent, folders, names in os.walk(folder):
        if not below:
            folders.clear()
        for name in names:
            found = _LEFTOVER.fullmatch(name)
            if found:
                _remove_if_abandoned(Path(parent, name), found[1], int(found[2]))


def _remove_if_abandoned(path: Path, machine: str, process: int) -> None:
    with suppress(OSError):  # another run may have removed it
        dead = machine == _MACHINE and not _alive(process)
        if dead or time.time() - path.stat().st_mtime > SECONDS_PER_DAY:
            path.unlink()


def _temporary(path: Path) -> Path:
    return path.with_name(f".{secrets.token_hex(4)}.{_MACHINE}.{os.getpid()}.part{path.suffix}")


def _machine() -> str:
    """Return a name of the machine and its container, within which process numbers are unique."""
    name = re.sub(r"[^A-Za-z0-9-]", "-", platform.node())[:60]
    with suppress(OSError):
        name += f"-{Path('/proc/self/ns/pid').stat().st_ino}"
    return name


_MACHINE = _machine()


def _alive(process: int) -> bool:
    import psutil  # takes longer to import than all of this module

    return psutil.pid_exists(process)


def owner() -> str:
    """Return a name of this process and its machine, for files that name their owner."""
    return f"{os.getpid()}@{_MACHINE}"


def is_dead(owner: str) -> bool | None:
    """Return whether a process is dead; None if it runs on another machine, so nobody can know.

    Args:
        owner: The name of the process, from `owner`.

    >>> is_dead(owner()), is_dead("1@elsewhere")
    (False, None)
    """
    process, _, machine = owner.partition("@")
    if machine != _MACHINE or not process.isdecimal():
        return None
    return not _alive(int(process))


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, complete or not at all.

    Temporary files of dead processes beside it are removed.
    """
    remove_leftovers(path.parent, below=False)
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def named_by_user(path: Path) -> Iterator[Path]:
    """Yield a temporary path as `atomic` does, for a file that the user has named.

    Args:
        path: A file, a link, a device or a pipe. A link stays, and its target is replaced. Devices,
            pipes and the file that standard output or error goes to are not replaced: the content
            is written into them.

    Raises:
        OSError: If the file cannot be written.
    """
    output = _standard_stream(path)
    if output is None and special_kind(path) is None:  # a file, or no file yet
        real = Path(os.path.realpath(path))
        remove_leftovers(real.parent, below=False)
        with atomic(real) as temporary:
            yield temporary
        return
    with tempfile.TemporaryDirectory() as folder:
        content = Path(folder, f"content{path.suffix}")
        yield content
        with content.open("rb") as source, output or path.open("wb") as target:
            shutil.copyfileobj(source, target)


def write_text_for_user(path: Path, text: str) -> None:
    """Write a UTF-8 text file that the user has named, see `named_by_user`; escape other bytes."""
    with named_by_user(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def is_stream(path: Path) -> bool:
    """Return whether `named_by_user` writes into this path instead of replacing it."""
    output = _standard_stream(path)
    if output is not None:
        output.close()
    return output is not None or special_kind(path) is not None


def _standard_stream(path: Path) -> BinaryIO | None:
    """Return a copy of standard output or error if `path` is the same file or device."""
    for stream in (sys.stdout, sys.stderr):
        # A stream may be closed, or replaced by an object without a file.
        with suppress(OSError, ValueError, AttributeError):
            if os.path.samestat(path.stat(), os.fstat(stream.fileno())):
                stream.flush()
                return os.fdopen(os.dup(stream.fileno()), "wb")
    return None
