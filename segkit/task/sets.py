"""Sets of classes: what a pixel can still be where its class is not known. NumPy only.

In an exclusive task the target of such a pixel is an id above the classes: id C + i means the i-th
set of `Task.sets`. In other tasks each channel is yes, no or `VOID`, so they need no sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from segkit.errors import ConfigError
from segkit.task.encoding import VOID

Meaning = str | tuple[str, ...]
"""What a pixel can be, in words: a class, a parent, "not CLASS", void, or several classes."""
VOID_NAME = "void"
"""The name of the set of all classes: the pixel is unlabelled."""
NOT = "not "
"""Begins the name of the set of all other classes."""
VALUES = 256
"""Number of values of a target."""
Sets = tuple[tuple[str, ...], ...]
"""Sets of classes by their names."""
Parents = Mapping[str, Sequence[str]]
"""The classes of each parent."""


def values_meant(
    meaning: Meaning, named: Mapping[str, int], parents: Parents, count: int
) -> tuple[int, ...] | None:
    """Return the mask values that a pixel can have.

    Args:
        meaning: What the pixel can be.
        named: The mask value of each name.
        parents: The classes of each parent.
        count: The number of mask values that exclude each other.

    Returns:
        The values, ascending; None if a name is unknown.
    """
    if meaning == VOID_NAME:
        return tuple(range(count))
    if not isinstance(meaning, str):
        return _union(meaning, named, parents)
    values = _union([meaning], named, parents)
    if values is None and meaning.startswith(NOT):
        excluded = _union([meaning.removeprefix(NOT)], named, parents)
        if excluded is not None:
            return tuple(value for value in range(count) if value not in excluded)
    return values


def _union(
    names: Iterable[str], named: Mapping[str, int], parents: Parents
) -> tuple[int, ...] | None:
    """Return the values of classes and parents; None for no name, or if one is unknown."""
    values: set[int] = set()
    for name in names:
        for member in _members(name, named, parents):
            if member not in named:
                return None
            values.add(named[member])
    return tuple(sorted(values)) or None


def _members(name: str, named: Mapping[str, int], parents: Parents) -> Sequence[str]:
    """Return the classes of a parent, or the name itself."""
    if name in named or name not in parents:
        return (name,)
    return parents[name]


def class_names(meanings: Iterable[Meaning]) -> list[str]:
    """Return the names in descriptions of pixels, each once, without void and the word not."""
    names: dict[str, None] = {}
    for meaning in meanings:
        for name in (meaning,) if isinstance(meaning, str) else meaning:
            names[name.removeprefix(NOT)] = None
    names.pop(VOID_NAME, None)
    return list(names)


def in_words(meaning: Meaning) -> str:
    """Return a description of a pixel as text.

    >>> in_words(("liver", "tumour"))
    'liver or tumour'
    """
    return meaning if isinstance(meaning, str) else " or ".join(meaning)


def flattened(parents: Any) -> Any:
    """Return parents whose members are classes, where a member was another parent.

    Values that are no lists of names are returned unchanged, so that the check of types finds them.
    """
    if not isinstance(parents, Mapping):
        return parents
    return {name: _flat(members, parents, (name,)) for name, members in parents.items()}


def _flat(members: Any, parents: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    if not isinstance(members, list | tuple):
        return members
    flat: list[Any] = []
    for member in members:
        if not isinstance(member, str) or member not in parents:
            flat.append(member)
            continue
        if member in path:
            raise ConfigError(
                f"a parent cannot contain itself; found {' > '.join((*path, member))}",
                setting="task.parents",
            )
        below = _flat(parents[member], parents, (*path, member))
        flat += below if isinstance(below, list) else [below]
    return list(dict.fromkeys(flat)) if all(isinstance(name, str) for name in flat) else flat


def completed(sets: Any, classes: Sequence[Any], parents: Any, pairs: Any) -> Any:
    """Return the table of sets with those of the parents and the mirrored ones.

    Args:
        sets: The sets of the user, or of a saved task. They keep their places.
        classes: The names of the classes.
        parents: The classes of each parent.
        pairs: The pairs of classes that mirroring exchanges.

    Returns:
        The sets; in each one the classes have the order of the task. Sets with wrong names are
        returned unchanged, so that the check of the task finds them.
    """
    if not isinstance(sets, list | tuple):
        return sets
    table = [_ordered(members, classes) for members in sets]
    if isinstance(parents, Mapping):
        table += [_ordered(members, classes) for members in parents.values()]
    table = _without_repeats(table)
    exchanged = _exchanged(pairs)
    for members in list(table):
        if exchanged and isinstance(members, tuple):
            mirrored = [exchanged.get(name, name) for name in members]
            table.append(_ordered(mirrored, classes))
    return _without_repeats(table)


def _ordered(members: Any, classes: Sequence[Any]) -> Any:
    """Return a set in the order of the classes; anything else unchanged."""
    if not isinstance(members, list | tuple) or not all(name in classes for name in members):
        return members
    return tuple(name for name in classes if name in members)


def _without_repeats(table: Sequence[Any]) -> list[Any]:
    """Return the sets without those that occurred before."""
    different: list[Any] = []
    for members in table:
        if members not in different:
            different.append(members)
    return different


def _exchanged(pairs: Any) -> dict[str, str]:
    """Return the partner of each class in a flip pair; none if the pairs are malformed."""
    partners: dict[str, str] = {}
    for pair in pairs or ():
        if isinstance(pair, list | tuple) and len(pair) == 2:
            first, second = pair
            partners[first] = second
            partners[second] = first
    return partners


@lru_cache(maxsize=64)
def possible_by_value(classes: tuple[str, ...], sets: Sets) -> np.ndarray:
    """Return the classes that are possible for each value of a target, (256, C) bool.

    Values without a meaning, and `VOID`, leave every class possible.
    """
    table = np.ones((VALUES, len(classes)), bool)
    table[: len(classes)] = np.eye(len(classes), dtype=bool)
    for value, members in enumerate(sets, start=len(classes)):
        table[value] = [name in members for name in classes]
    table.flags.writeable = False
    return table


@lru_cache(maxsize=64)
def known_by_value(classes: tuple[str, ...], sets: Sets) -> np.ndarray:
    """Return the classes of which each value of a target says yes or no, (256, C) bool."""
    possible = possible_by_value(classes, sets)
    is_decided = possible.sum(axis=1, keepdims=True) == 1
    known = ~possible | is_decided
    known.flags.writeable = False
    return known


@lru_cache(maxsize=64)
def plain_values(classes: tuple[str, ...], sets: Sets) -> np.ndarray | None:
    """Return the simplest value that means the same as each value of a target, (256,) uint8.

    A set of one class becomes this class, and a set of all classes becomes `VOID`. None if no set
    is one of these.
    """
    values = np.arange(VALUES, dtype=np.uint8)
    for value, members in enumerate(sets, start=len(classes)):
        if len(members) == 1:
            values[value] = classes.index(members[0])
        elif len(members) == len(classes):
            values[value] = VOID
    if np.array_equal(values, np.arange(VALUES)):
        return None
    values.flags.writeable = False
    return values


@lru_cache(maxsize=64)
def mirrored_values(
    classes: tuple[str, ...], sets: Sets, pairs: tuple[tuple[str, str], ...]
) -> np.ndarray:
    """Return the value that each value of a target becomes in a mirrored image, (256,) uint8."""
    exchanged = _exchanged(pairs)
    values = np.arange(VALUES, dtype=np.uint8)
    for value, name in enumerate(classes):
        values[value] = classes.index(exchanged.get(name, name))
    for value, members in enumerate(sets, start=len(classes)):
        mirrored = _ordered([exchanged.get(name, name) for name in members], classes)
        values[value] = len(classes) + sets.index(mirrored)
    values.flags.writeable = False
    return values


def check_sets(kind: str, sets: Sets, classes: Sequence[str], soft: bool = False) -> None:
    """Check that sets belong to an exclusive task, consist of its classes, and fit into 8 bits."""
    if sets and soft:
        raise ConfigError(
            f"in soft labels a pixel of a mask has one class or is void; found sets of classes: "
            f"{', '.join(' or '.join(members) for members in sets)}",
            "contradiction",
            setting="task.sets",
        )
    if sets and kind != "multiclass":
        raise ConfigError(
            f"only a multiclass task has sets of classes; in a {kind} task each class is yes, no "
            f"or void by itself; found {len(sets)} sets",
            "not-for-task",
            setting="task.sets",
        )
    for members in sets:
        if not members or not set(members) <= set(classes) or len(set(members)) < len(members):
            raise ConfigError(
                f"a set consists of different classes out of {list(classes)}; found "
                f"{list(members)}",
                "wrong-value",
                setting="task.sets",
            )
    room = VOID - len(classes)
    if len(sets) > room:
        raise ConfigError(
            f"beside {len(classes)} classes and {VOID} for unlabelled pixels, an 8-bit mask has "
            f"room for {room} different sets of classes; the data need {len(sets)}. Use fewer "
            f"classes, or annotate the same classes in more images",
            "wrong-value",
            setting="task.sets",
        )


def check_parents(kind: str, parents: Parents, classes: Sequence[str]) -> None:
    """Check that parents have names of their own and consist of classes."""
    if parents and kind == "binary":
        raise ConfigError(
            "a binary task has a single class, so it has no parent",
            "not-for-task",
            setting="task.parents",
        )
    for name, members in parents.items():
        if name in classes or name in (VOID_NAME, "absent", "present", "") or NOT in name[:4]:
            raise ConfigError(
                f"a parent has a name that is no class, and not void, absent or present, and that "
                f"does not begin with {NOT!r}; found {name!r}",
                setting="task.parents",
            )
        if not members or not set(members) < set(classes) or len(set(members)) < len(members):
            raise ConfigError(
                f"{name} must consist of some, but not all, of the classes {list(classes)}; found "
                f"{list(members)}",
                setting="task.parents",
            )
