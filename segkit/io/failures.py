"""Describes errors of reading and writing files in one sentence that says what to do."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from segkit.errors import one_line

_ADVICE = {
    errno.EACCES: "check the rights of the file and its folders",
    errno.EPERM: "check the rights of the file and its folders",
    errno.EROFS: "the disk is read-only; choose another folder",
    errno.ENOSPC: "make room on the disk, or choose another one",
    errno.EDQUOT: "make room on the disk, or choose another one",
    errno.EFBIG: "the file is larger than the disk or `ulimit -f` allows",
    errno.EISDIR: "a folder has this name; choose another name, or remove the folder",
    errno.ENOTDIR: "a part of the path is a file; choose another name, or remove the file",
    errno.EEXIST: "a file or folder has this name already; choose another name, or remove it",
    errno.ENOENT: "there is no such file or folder; check the path",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ELOOP: "the link leads to itself; name the file itself",
    errno.EIO: "the disk, or the connection to it, is damaged; use another one",
    errno.EMFILE: "too many files are open; raise `ulimit -n`",
    errno.ENFILE: "too many files are open on this machine; end other programs",
    errno.ENOMEM: "the memory is full; end other programs",
    errno.EBUSY: "another program uses it; end that program",
    errno.ETXTBSY: "another program uses it; end that program",
    errno.ESTALE: "the network disk has lost the file; try again",
}

LITTLE = 2**16
"""A disk with fewer free bytes counts as full, because not every library says why it failed."""


def sentence(problem: OSError) -> str:
    """Return a sentence that says which file could not be read or written, why, and what to do.

    >>> sentence(OSError(errno.ENOSPC, "No space left on device", "a.png"))
    'a.png: cannot be read or written (No space left on device): make room on the disk, or choose
    another one'
    """
    names = [
        os.fsdecode(name)
        for name in (problem.filename, problem.filename2)
        if isinstance(name, str | bytes)
    ]
    where = " -> ".join(dict.fromkeys(names)) or "a file"
    reason = problem.strerror or one_line(problem)
    advice = _ADVICE.get(problem.errno or 0)
    message = f"{where}: cannot be read or written ({reason})"
    if advice:
        message += f": {advice}"
    return message


def name_full_disk(problem: OSError, folder: Path) -> None:
    """Add to an error without a reason that the disk is full, if it is.

    NumPy says only how many values it could not write. Later, without the files of the attempt, the
    disk may have room again.

    Args:
        problem: The error, which is changed in place.
        folder: A folder on the disk.
    """
    if problem.errno is not None:
        return
    with suppress(OSError):  # the first error is the one to report
        if shutil.disk_usage(folder).free < LITTLE:
            problem.errno = errno.ENOSPC
            problem.strerror = os.strerror(errno.ENOSPC)


def name_target(problem: OSError, targets: Mapping[Path, Path]) -> None:
    """Replace a temporary file in an error by the file that it is written for.

    An error that names no file, such as that of a write to an open file, gets the last file.

    Args:
        problem: The error, which is changed in place.
        targets: The final path by temporary path.
    """
    by_name = {str(temporary): str(target) for temporary, target in targets.items()}
    if problem.filename in by_name:
        problem.filename = by_name[problem.filename]
    elif problem.filename is None and problem.errno is not None:
        problem.filename = list(by_name.values())[-1]
