"""Names that look alike: a letter with an accent is one character (NFC) or two (NFD, as old Macs write it)."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from segkit.errors import DataError

Value = TypeVar("Value")


def nfc(name: str) -> str:
    r"""Return a name with one character for each letter with an accent.

    >>> nfc("a\u0308") == "\xe4"
    True
    """
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def by_nfc(named: Mapping[str, Value]) -> dict[str, Value]:
    """Return values by their names in NFC; raises `DataError` if two names look alike."""
    found: dict[str, tuple[str, Value]] = {}
    for name, value in named.items():
        if (before := found.setdefault(nfc(name), (name, value)))[0] != name:
            raise DataError(
                f"{value} and {before[1]}: two files whose names look alike, with accents written in different ways (NFC and "
                f"NFD); a name stands for one image",
                "duplicate-name",
            )
    return {name: value for name, (_, value) in found.items()}


def existing(path: Path) -> Path:
    """Return the path in the form in which it exists, if only the way of writing accents differs; else the path itself."""
    if os.path.lexists(path) or str(path).isascii():
        return path
    found = Path(path.anchor)
    for part in path.parts[1 if path.anchor else 0 :]:
        found = _child(found, part)
    return found if os.path.lexists(found) else path


def _child(folder: Path, name: str) -> Path:
    if name.isascii() or os.path.lexists(folder / name):
        return folder / name
    alike = [other for other in _names(folder) if nfc(other) == nfc(name)]
    return folder / (alike[0] if len(alike) == 1 else name)


def _names(folder: Path) -> Iterable[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
