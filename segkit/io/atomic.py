"""Files written under a temporary name and then renamed, and what killed writers left behind."""

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

from segkit.io.failures import name_target
from segkit.io.files import special_kind

_LEFTOVER = re.compile(r"\.[0-9a-f]{8}\.([\w-]*)\.([0-9]+)\.part(\.[^.]*)?")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` at the end; after an error nothing is left."""
    with together([path]) as (temporary,):
        yield temporary


@contextmanager
def together(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield a temporary path beside each of `paths`, and rename all of them at the end, the last one last.

    Where the last file stands, all stand and belong together, whenever the process is killed: an older last file goes
    before the first is replaced. After an error while the temporary files are written nothing has changed.
    """
    for path in paths:
        if path.is_dir():  # found out at its renaming, it would cost the older last file
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
        name_target(problem, dict(zip(temporaries, paths, strict=True)))
        raise
    finally:
        for temporary in temporaries:
            with suppress(OSError):  # the error that led here is the one to tell
                temporary.unlink(missing_ok=True)


@contextmanager
def marked(folder: Path) -> Iterator[Path]:
    """Yield an empty hidden file in `folder` by which others see that theirs is the same folder; it goes at the end.

    `remove_leftovers` takes it for a temporary file: touch it more often than daily.
    """
    path = _temporary(folder / "mark")
    path.touch()
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path, below: bool = True) -> None:
    """Remove what killed writers left in `folder` and below: temporary files of dead processes of this machine, and those
    of others that are a day old.
    """
    for parent, folders, names in os.walk(folder):
        folders[:] = folders if below else []
        for name in names:
            found = _LEFTOVER.fullmatch(name)
            if found:
                path = Path(parent, name)
                with suppress(OSError):  # another run may have removed it
                    dead = found[1] == _MACHINE and not _alive(int(found[2]))
                    if dead or time.time() - path.stat().st_mtime > 86400:
                        path.unlink()


def _temporary(path: Path) -> Path:
    return path.with_name(f".{secrets.token_hex(4)}.{_MACHINE}.{os.getpid()}.part{path.suffix}")


def _machine() -> str:
    """Name the machine, and the container on it: process numbers mean something only there."""
    name = re.sub(r"[^A-Za-z0-9-]", "-", platform.node())[:60]
    with suppress(OSError):
        name += f"-{Path('/proc/self/ns/pid').stat().st_ino}"
    return name


_MACHINE = _machine()


def _alive(process: int) -> bool:
    import psutil  # takes longer to import than all of this module

    return psutil.pid_exists(process)


def owner() -> str:
    """Name this process and its machine, for files that tell others whose they are."""
    return f"{os.getpid()}@{_MACHINE}"


def is_dead(owner: str) -> bool | None:
    """Return whether the process that `owner` named is dead; None if nobody here can know: it is another machine's.

    >>> is_dead(owner()), is_dead("1@elsewhere")
    (False, None)
    """
    process, _, machine = owner.partition("@")
    return not _alive(int(process)) if machine == _MACHINE and process.isdecimal() else None


def write_text(path: Path, text: str) -> None:
    """Write a text file so that it is there whole or not at all. What dead processes left beside it goes."""
    remove_leftovers(path.parent, below=False)
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@contextmanager
def named_by_user(path: Path) -> Iterator[Path]:
    """Yield a temporary path as `atomic` does, for a file that the user has named: `path` may be a link, a device or a pipe.

    A link stays, and what it leads to is replaced. A device, a pipe and what standard output goes to are written to.
    """
    output = _standard_stream(path)
    if output is None and special_kind(path) is None:  # a file, or one to come
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
    """Write a text file that the user has named, see `named_by_user`. Bytes of names that are not UTF-8 are escaped."""
    with named_by_user(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def is_stream(path: Path) -> bool:
    """Return whether `named_by_user` would write to a device, a pipe, or what standard output goes to."""
    output = _standard_stream(path)
    if output is not None:
        output.close()
    return output is not None or special_kind(path) is not None


def _standard_stream(path: Path) -> BinaryIO | None:
    """Return standard output or error if `path` is what it writes to, such as /dev/stdout or the file that it goes to."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(
            OSError, ValueError, AttributeError
        ):  # a stream may be closed, or none of the system's
            if os.path.samestat(path.stat(), os.fstat(stream.fileno())):
                stream.flush()
                return os.fdopen(os.dup(stream.fileno()), "wb")
    return None
