"""One problem of a data set."""

from __future__ import annotations

from typing import Literal, NamedTuple

SHOWN = 5
"""Files that a problem names."""


class Problem(NamedTuple):
    """An error makes training wrong or impossible; a warning may be meant."""

    code: str
    level: Literal["error", "warning"]
    message: str
    files: tuple[str, ...] = ()
    """The first few."""
    number: int = 0
    """Of the files."""

    def __str__(self) -> str:
        shown = ", ".join(self.files) + (", ..." if self.number > len(self.files) else "")
        listed = f" [{self.number}: {shown}]" if self.number > 1 else ""
        return f"{self.code}: {self.message}{listed}"
