"""Standard output and standard error that are closed (`>&-`) or no longer read (`| head -1`).

A command continues without them, since its results are files.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO

from segkit.system.terminal import shown


def open_closed_streams() -> None:
    """Connect each standard stream that is closed to the null device.

    Otherwise the next file that is opened would get the descriptor 0, 1 or 2, and messages would be
    written into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            _connect_to_null(number)
        if getattr(sys, name) is None:
            setattr(sys, name, _open_null(number))


def print_to_stderr(text: str) -> None:
    """Print a text to standard error, with control characters as escapes.

    Args:
        text: One or more lines.
    """
    try:
        print(shown(text, lines=True), file=sys.stderr, flush=True)
    except BrokenPipeError:
        discard_output(sys.stderr)


def flush() -> None:
    """Write what standard output has buffered.

    Raises:
        OSError: If it cannot be written, for example to a full disk.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output(sys.stdout)
    except OSError as problem:
        discard_output(sys.stdout)  # otherwise Python tries again when it ends, and prints an error
        problem.filename = problem.filename or "standard output"
        raise


def discard_output(stream: TextIO) -> None:
    """Connect a stream to the null device, so that everything written to it later is discarded."""
    _connect_to_null(stream.fileno())


def _connect_to_null(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null == descriptor:
        os.set_inheritable(descriptor, True)
        return
    os.dup2(null, descriptor)
    os.close(null)


def _open_null(descriptor: int) -> TextIO:
    """Return a stream of the null device, which can be read in place of standard input."""
    if descriptor == 0:
        return open(os.devnull, encoding="utf-8")  # noqa: PTH123
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123
