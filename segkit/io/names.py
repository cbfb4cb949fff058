"""Checks names that others chose before they become parts of a path or cells of a table.

Class names, image names and paths come from runs, exports, lists and data sets that a stranger may
have made. Every function that makes a file of a name uses `file_in`. It accepts the same names on
every operating system, so that files can be copied from one to another. For names on a terminal see
`segkit.system.terminal`.
"""

from __future__ import annotations

import itertools
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from segkit.errors import ConfigError, DataError
from segkit.system.terminal import has_controls, shown
from segkit.task import Task

_NO_FOLDER = "each class of a multilabel task has a folder of masks;"
RESERVED = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\..*)?", re.IGNORECASE | re.DOTALL
)
"""Names that are devices on Windows, with any suffix."""
FORBIDDEN_ON_WINDOWS = '<>:"|?*'
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""The first characters of a cell that a spreadsheet computes instead of showing it."""


def file_in(folder: Path, name: str, suffix: str = "") -> Path:
    """Return the file of a name below a folder; "monday/a" is a file in a sub-folder.

    Args:
        folder: The folder that the file must be in.
        name: The name, with forward slashes.
        suffix: The suffix, such as ".png".

    Returns:
        FOLDER/NAME.png.

    Raises:
        DataError: If the name leads out of the folder, or an operating system does not allow it.
    """
    why = why_unsafe(name + suffix)
    if why:
        message = f"{shown(name)}: cannot be the name of a file ({why}); rename it"
        raise DataError(message, "unsafe-name")
    return folder / f"{name}{suffix}"


def why_unsafe(name: str) -> str | None:
    """Return why a name with forward slashes cannot be a path below a folder; None if it can.

    >>> why_unsafe("monday/a.png"), why_unsafe("../a.png"), why_unsafe("con.png")
    (None, "it leads out of its folder by '..'", "Windows reserves 'con.png'")
    """
    if has_controls(name):
        return "it holds control characters, or letters that are not UTF-8"
    for part in name.split("/"):
        why = _why_part_unsafe(part)
        if why:
            return why
    return None


def _why_part_unsafe(part: str) -> str | None:
    if "\\" in part or re.match("[A-Za-z]:", part):
        return "it holds a backslash or a drive letter"
    if part == "":
        return "it begins or ends with a slash, or has two in a row"
    if part in (".", ".."):
        return f"it leads out of its folder by {part!r}"
    if part.startswith("."):
        return "a part of it begins with a dot, so that the file would be hidden"
    if part.endswith((".", " ")):
        return "a part of it ends with a dot or a space, which Windows removes"
    if RESERVED.fullmatch(part):
        return f"Windows reserves {part!r}"
    if os.name == "nt" and any(character in FORBIDDEN_ON_WINDOWS for character in part):
        return f"Windows allows none of {FORBIDDEN_ON_WINDOWS}"
    return None


def key_of(name: str) -> str:
    r"""Return a key that is equal for two names that are one file on some disks.

    Such names differ in letter case, or in the encoding of accents.

    >>> key_of("A/Übung") == key_of("a/u\u0308bung")
    True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def same_files(names: Iterable[str]) -> list[list[str]]:
    """Return the groups of different names that are one file on some disks.

    >>> same_files(["a", "B", "b", "c"])
    [['B', 'b']]
    """
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(key_of(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def check_file_names(names: Iterable[str]) -> None:
    """Check that names can be different files on every disk.

    Raises:
        DataError: If a name cannot be a file ("unsafe-name"), or two would be one
            ("duplicate-name").
    """
    names = list(names)
    for name in names:
        file_in(Path(), name, ".png")
    groups = same_files(names)
    if groups:
        raise DataError(
            f"{' and '.join(map(shown, groups[0]))}: would be one file on some disks, which ignore "
            f"letter case and the encoding of accents; rename one",
            "duplicate-name",
        )


def check_class_folders(task: Task) -> None:
    """Check that the classes of a multilabel task can be folders; other tasks have no such folders.

    The class "road/path" is the folder "path" in the folder "road".

    Raises:
        ConfigError: If a class cannot be a folder ("unsafe-name"), or two would be one or one in
            the other ("duplicate-name").
    """
    if not task.layered:
        return
    for name in task.classes:
        why = why_unsafe(name)
        if why:
            raise ConfigError(
                f"{_NO_FOLDER} {shown(name)} cannot be one ({why})",
                "unsafe-name",
                setting="task.classes",
            )
    for name, other in _nested(task.classes):
        raise ConfigError(
            f"{_NO_FOLDER} {name} and {other} would be one on some disks, or one in the other",
            "duplicate-name",
            setting="task.classes",
        )


def _nested(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield pairs of folders that are the same, or of which one is in the other."""
    keys = {name: key_of(name) + "/" for name in names}
    for name, other in itertools.permutations(names, 2):
        if keys[name].startswith(keys[other]):
            yield name, other


def cell(text: str) -> str:
    """Return text for a cell of a CSV table; an apostrophe protects what looks like a formula.

    >>> cell("=1+1"), cell("a"), cell_name("'=1+1")
    ("'=1+1", 'a', '=1+1')
    """
    if text.lstrip("'").startswith(FORMULA):
        return f"'{text}"
    return text


def cell_name(text: str) -> str:
    """Return the text of a cell that `cell` made."""
    if text.startswith("'") and text.lstrip("'").startswith(FORMULA):
        return text[1:]
    return text
