"""The result of detecting how masks are stored, and the tasks of classes with names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segkit.config import DataConfig
from segkit.errors import DataError
from segkit.task import Task
from segkit.task.sets import VOID_NAME


class Doubt(NamedTuple):
    """A choice between several meanings of the files, which the user should check."""

    code: str
    """Code of the warning."""
    message: str


class Guess(NamedTuple):
    """The settings that read a data set, and how they were found."""

    data: DataConfig
    task: Task
    """Classes as they are stored: layers (multilabel), or ids that exclude each other."""
    read_as: str
    """Description of the masks for the user."""
    doubts: tuple[Doubt, ...] = ()
    """The choices that were made."""
    decoded: dict[Path, np.ndarray] = {}
    """Masks that were decoded already, as they are stored."""


def binary_task(classes: Sequence[str]) -> Task:
    """Return the task of yes/no masks; the class has the last of the names, or "object"."""
    if not classes:
        return Task.binary("object")
    return Task.binary(classes[-1])


def exclusive_task(names: Sequence[str]) -> Task:
    """Return the task of classes that exclude each other; one class alone is yes or no.

    Args:
        names: The classes. Void among them is not a class.

    Raises:
        DataError: If there is only void.
    """
    classes = [name for name in names if name != VOID_NAME]
    if not classes:
        raise DataError("--classes: void alone is no class; name the classes, too", "list")
    if classes == ["background"]:
        return Task.binary("object")
    if len(classes) == 1:
        return Task.binary(classes[0])
    return Task.multiclass(classes)


def multiclass_task(ids: Sequence[int], classes: Sequence[str]) -> Task:
    """Return a task of ids with the names of the classes, or with numbered names.

    Args:
        ids: The values of the masks.
        classes: Their names; none for numbered names.

    Raises:
        DataError: If a value has no name.
    """
    if classes:
        check_count(ids, classes)
        return Task.multiclass(list(classes))
    names = [f"class_{value}" for value in ids]
    if 0 in ids:
        names[list(ids).index(0)] = "background"
    return Task.multiclass(names)


def check_count(ids: Sequence[int], classes: Sequence[str]) -> None:
    """Raise `DataError` unless there are as many names as values."""
    if len(classes) != len(ids):
        raise DataError(
            f"--classes names {len(classes)} classes; the masks have {len(ids)} values: "
            f"{list(ids)}",
            "list",
        )


def named_values(ids: Sequence[int], classes: Sequence[str]) -> dict[int, str]:
    """Return the name of each value.

    Args:
        ids: The values of the masks.
        classes: The names. There may be names for missing values of 0, 1, 2, ..., too.

    Raises:
        DataError: If the numbers of names and values differ.
    """
    values = ids
    if ids[0] == 0 and len(classes) == ids[-1] + 1:
        values = range(ids[-1] + 1)
    check_count(values, classes)
    return dict(zip(values, classes, strict=True))


def layered_guess(
    data: DataConfig, names: Sequence[str], classes: Sequence[str], words: str
) -> Guess:
    """Return a guess of one layer per class, for the chosen classes or for all.

    Args:
        data: The settings that find the files.
        names: The classes of the data set.
        classes: The chosen ones; none for all.
        words: Description of the masks.

    Raises:
        DataError: If a chosen class is not there, or if there is no class.
    """
    check_known(names, classes)
    chosen = list(classes or names)
    if len(chosen) == 1:
        return Guess(data, Task.binary(chosen[0]), words)
    return Guess(data, Task.multilabel(chosen), words)


def check_known(names: Sequence[str], classes: Sequence[str]) -> None:
    """Raise `DataError` if a chosen class is not among the names, or if there are no names."""
    if not names:
        raise DataError("the labels name no class, so there is nothing to learn", "list")
    unknown = [name for name in classes if name not in names]
    if unknown:
        raise DataError(
            f"--classes: not there: {', '.join(unknown)}; found {', '.join(names)}",
            "list",
        )


def default_names(count: int) -> list[str]:
    """Return names for layers or bands without names.

    >>> default_names(2)
    ['class_1', 'class_2']
    """
    return [f"class_{number}" for number in range(1, count + 1)]
