"""One problem of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning"]
SHOWN = 5
"""Number of files that a problem names."""


@dataclass(frozen=True)
class Problem:
    """An error makes training wrong or impossible; a warning may be intended."""

    code: str
    level: Level
    message: str
    files: tuple[str, ...] = ()
    """The first `SHOWN` files."""
    number: int = 0
    """Number of all files."""

    def __str__(self) -> str:
        text = f"{self.code}: {self.message}"
        if self.number <= 1:
            return text
        shown = ", ".join(self.files)
        if self.number > len(self.files):
            shown += ", ..."
        return f"{text} [{self.number}: {shown}]"


def problem_of(level: Level, code: str, message: str, files: Sequence[str] = ()) -> Problem:
    """Return a problem that names the first of its files and the number of all."""
    return Problem(code, level, message, tuple(files[:SHOWN]), len(files))
