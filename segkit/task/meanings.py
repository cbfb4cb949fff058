"""Descriptions of what a pixel can be, such as "not tumour", as values of a mask."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from segkit.errors import ConfigError
from segkit.task.encoding import VOID
from segkit.task.readable import validated
from segkit.task.sets import Meaning, values_meant
from segkit.task.task import Task


def meant(task: Task, meaning: Meaning) -> tuple[int, ...] | None:
    """Return the mask values that a pixel can have which is described in words.

    Args:
        task: The task of the mask.
        meaning: A name of `Task.named_values`, a parent, "not NAME", "void", or several names.

    Returns:
        The values of classes, or 0 and 1, ascending; None if a name is unknown.

    >>> meant(Task.multiclass(["background", "liver", "tumour"]), "not tumour")
    (0, 1)
    """
    return values_meant(meaning, task.named_values, task.parents, _count(task))


def value_of(task: Task, values: Sequence[int]) -> int:
    """Return the mask value of a pixel that can still have some of several values.

    Args:
        task: The task of the mask.
        values: One value or more, ascending, as `meant` returns them.

    Returns:
        The value itself if it is the only one, VOID if all are possible, otherwise that of a set.

    Raises:
        ConfigError: If the task does not have the set.
    """
    if len(values) == 1:
        return values[0]
    if len(values) == _count(task):
        return VOID
    members = tuple(task.classes[value] for value in values)
    if members not in task.sets:
        raise ConfigError(
            f"the task lacks the set of {', '.join(members)}; `with_sets` adds it",
            "missing-setting",
            setting="task.sets",
        )
    return task.channels + task.sets.index(members)


def with_sets(task: Task, more: Iterable[Iterable[str]]) -> Task:
    """Return a task that has some sets of classes, too; those of the task keep their values.

    Sets of one class and of all classes need no value of their own, so they are left out.

    Args:
        task: The task. A task that is not exclusive has no sets and is returned unchanged.
        more: The classes of each set.

    Raises:
        ConfigError: If there are too many sets for an 8-bit mask.
    """
    new: list[tuple[str, ...]] = []
    for members in more:
        named = set(members)
        ordered = tuple(name for name in task.classes if name in named)
        if 1 < len(ordered) < task.channels and ordered not in task.sets:
            new.append(ordered)
    if not new or not task.exclusive:
        return task
    return validated(Task, {**task.model_dump(), "sets": [*task.sets, *new]}, "task")


def _count(task: Task) -> int:
    """Return the number of values of a mask that exclude each other."""
    return task.channels if task.stores_ids else 2
