"""Standard output and standard error that are closed (`>&-`), or that nobody reads any more (`| head -1`).

The work of a command goes on without them: its results are files.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO

from segkit.system.terminal import shown


def open_closed_streams() -> None:
    """Open the standard streams that are closed to nowhere.

    Otherwise the next file that is opened gets the number 0, 1 or 2, and messages are written into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            _to_nowhere(number)
        if getattr(sys, name) is None:
            stream = open(os.devnull, "r" if number == 0 else "w", encoding="utf-8")  # noqa: SIM115, PTH123
            setattr(sys, name, stream)


def tell(text: str) -> None:
    """Print a text to standard error, if anybody reads it; control characters become visible."""
    try:
        print(shown(text, lines=True), file=sys.stderr, flush=True)
    except BrokenPipeError:
        discard_output(sys.stderr)


def flush() -> None:
    """Write out what standard output holds back. Raises `OSError` on a full disk."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output(sys.stdout)
    except OSError as problem:
        discard_output(sys.stdout)  # or Python would try, and complain, once more at its end
        problem.filename = problem.filename or "standard output"
        raise


def discard_output(stream: TextIO) -> None:
    """Send what is still written to a stream nowhere."""
    _to_nowhere(stream.fileno())


def _to_nowhere(number: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere == number:
        os.set_inheritable(number, True)
        return
    os.dup2(nowhere, number)
    os.close(nowhere)
