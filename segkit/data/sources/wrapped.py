"""A source that changes the masks of another source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segkit.data.sources.source import Source

NOT_OF_WRAPPED = ("read_area", "size_of_areas", "source")
"""Attributes of another source that this one lacks; areas would have the masks of the other."""


class WrappedSource:
    """The samples of another source. Attributes that it lacks are those of the other source.

    Args:
        source: The other source.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.names = source.names
        self.parts = source.parts

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the other source."""
        if name.startswith("_") or name in NOT_OF_WRAPPED:
            raise AttributeError(name)
        return getattr(self.source, name)

    def files_below(self, name: str) -> list[Path]:
        """Return all files that the other source reads a sample from."""
        files: list[Path] = self.source.files(name)  # type: ignore[attr-defined]
        return files
