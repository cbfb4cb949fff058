"""Compares names whose accented letters are one character (NFC) or two (NFD, as on old Macs)."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from segkit.errors import DataError

Value = TypeVar("Value")


def nfc(name: str) -> str:
    r"""Return a name in which each letter with an accent is one character.

    >>> nfc("a\u0308") == "\xe4"
    True
    """
    if name.isascii():
        return name
    return unicodedata.normalize("NFC", name)


def by_nfc(named: Mapping[str, Value]) -> dict[str, Value]:
    """Return values by their names in NFC.

    Args:
        named: The values by name.

    Raises:
        DataError: If two names are equal in NFC ("duplicate-name").
    """
    found: dict[str, Value] = {}
    for name, value in named.items():
        key = nfc(name)
        if key in found:
            raise DataError(
                f"{value} and {found[key]}: two files whose names look alike, with accents written "
                f"in different ways (NFC and NFD); a name stands for one image",
                "duplicate-name",
            )
        found[key] = value
    return found


def existing(path: Path) -> Path:
    """Return the path that exists and differs only in the encoding of accents; else `path`."""
    if os.path.lexists(path) or str(path).isascii():
        return path
    found = Path(path.anchor)
    parts = path.parts
    if path.anchor:
        parts = parts[1:]
    for part in parts:
        found = _child(found, part)
    if not os.path.lexists(found):
        return path
    return found


def _child(folder: Path, name: str) -> Path:
    if name.isascii() or os.path.lexists(folder / name):
        return folder / name
    alike = [other for other in _names(folder) if nfc(other) == nfc(name)]
    if len(alike) != 1:
        return folder / name
    return folder / alike[0]


def _names(folder: Path) -> Iterable[str]:
    try:
        return os.listdir(folder)
    except (OSError, ValueError):  # a name with a null character is a ValueError
        return []
