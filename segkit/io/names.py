"""Names that come from elsewhere: as parts of a path, and in a table. For a terminal see `segkit.system.terminal`.

Class names, image names and paths come from runs, exports, lists and data sets that a stranger may
have made. Everything that makes a file of a name asks `file_in`, on every operating system for the
same names: what is written on one can be copied to another.
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
"""What Windows takes for a device, with any suffix."""
FORBIDDEN_ON_WINDOWS = '<>:"|?*'
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet compute a cell instead of showing it."""


def file_in(folder: Path, name: str, suffix: str = "") -> Path:
    """Return the file of a name below a folder: "monday/a" is a file in a sub-folder.

    Args:
        folder: The folder that nothing is to lead out of.
        name: The name, with forward slashes.
        suffix: What is added to it, such as ".png".

    Returns:
        FOLDER/NAME.png.

    Raises:
        DataError: If the name leads out of the folder, or is no file name on some operating system.
    """
    why = why_unsafe(name + suffix)
    if why:
        raise DataError(
            f"{shown(name)}: cannot be the name of a file ({why}); rename it", "unsafe-name"
        )
    return folder / f"{name}{suffix}"


def why_unsafe(name: str) -> str | None:
    """Return why a name with forward slashes cannot be a path below a folder, in words; None if it can.

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
    r"""Return what two names have in common that are one file on some disk: with other letter case, or other accents.

    >>> key_of("A/Übung") == key_of("a/u\u0308bung")
    True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def same_files(names: Iterable[str]) -> list[list[str]]:
    """Return the groups of different names that are one file on some disk.

    >>> same_files(["a", "B", "b", "c"])
    [['B', 'b']]
    """
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        groups.setdefault(key_of(name), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def check_file_names(names: Iterable[str]) -> None:
    """Raise `DataError` unless each name can be a file, and all of them different files on every disk."""
    names = list(names)
    for name in names:
        file_in(Path(), name, ".png")
    groups = same_files(names)
    if groups:
        raise DataError(
            f"{' and '.join(map(shown, groups[0]))}: would be one file on some disks (letter case and the way accents are "
            f"stored do not count there); rename one",
            "duplicate-name",
        )


def check_class_folders(task: Task) -> None:
    """Raise `ConfigError` if the classes of a task with a folder for each cannot be folders.

    "road/path" is the folder path in the folder road. Other tasks make no file of a class name.
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
    """Yield pairs of folders that are the same, or one in the other."""
    keys = {name: key_of(name) + "/" for name in names}
    for name, other in itertools.permutations(names, 2):
        if keys[name].startswith(keys[other]):
            yield name, other


def cell(text: str) -> str:
    """Return text for a cell of a CSV table that no spreadsheet takes for a formula: those get an apostrophe in front.

    >>> cell("=1+1"), cell("a"), cell_name("'=1+1")
    ("'=1+1", 'a', '=1+1')
    """
    quoted = text.lstrip("'").startswith(FORMULA)
    return f"'{text}" if quoted else text


def cell_name(text: str) -> str:
    """Return the text that `cell` made a cell of."""
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(FORMULA) else text
