"""Assigns samples to train, validation and test by a hash, so that the parts never change.

A unit is a set of samples that stay together: a group, or a single sample.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from segkit.errors import ConfigError

HASH_BYTES = 6


def fraction(name: str) -> float:
    """Map a name to a number in [0, 1) that depends on the name alone: a BLAKE2b hash.

    >>> fraction("a") == fraction("a"), 0 <= fraction("b") < 1
    (True, True)
    """
    encoded = name.encode(errors="surrogateescape")
    digest = hashlib.blake2b(encoded, digest_size=HASH_BYTES).digest()
    return int.from_bytes(digest, "big") / 2 ** (8 * HASH_BYTES)


def split(
    names: Sequence[str],
    validation: float,
    test: float,
    units: Mapping[str, str] | None = None,
) -> dict[str, list[str]]:
    """Divide names into "train", "validation" and "test" by the `fraction` of their units.

    The order of the names is preserved. A unit stays in its part when other names are added or
    removed. The one exception: a part with a share above 0 that would be empty takes the unit with
    the smallest fraction from the part with the most units.

    Args:
        names: Unique names.
        validation: Share of the units for validation, in [0, 1).
        test: Share of the units for test, in [0, 1).
        units: The unit of each name. A unit is never divided. Without it each name is one.

    Returns:
        The names of each part.

    Raises:
        ConfigError: If there are fewer units than parts with a share above 0.
    """
    members = _members(names, units)
    shares = {"test": test, "validation": validation, "train": 1.0}
    needed = [part for part, share in shares.items() if share > 0]
    _check_enough(_count(names, members), len(members), len(needed))
    parts: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for unit in members:
        position = fraction(unit)
        if position < test:
            parts["test"].append(unit)
        elif position < test + validation:
            parts["validation"].append(unit)
        else:
            parts["train"].append(unit)
    _fill_empty(needed, parts)
    return {part: _in_order(names, members, chosen) for part, chosen in parts.items()}


def _check_enough(described: str, units: int, parts: int) -> None:
    """Raise `ConfigError` if there are fewer units than parts."""
    if units < parts:
        raise ConfigError(
            f"{described} cannot be split into {parts} parts. Add samples, train on all of them "
            f"(data.validation: 0, data.test: 0), or cut large images into several samples "
            f"(data.blocks: 512)",
            "too-few-samples",
            setting="data",
        )


def _members(names: Sequence[str], units: Mapping[str, str] | None) -> dict[str, list[str]]:
    """Return the names of each unit."""
    members: dict[str, list[str]] = {}
    for name in names:
        unit = units[name] if units else name
        members.setdefault(unit, []).append(name)
    return members


def _count(names: Sequence[str], members: Mapping[str, Sequence[str]]) -> str:
    """Return the number of samples, and that of their units if it is smaller."""
    count = f"{len(names)} sample(s)"
    if len(members) < len(names):
        count += f" of {len(members)} group(s) (data.groups, data.keep_together)"
    return count


def _in_order(
    names: Sequence[str], members: Mapping[str, Sequence[str]], chosen: Sequence[str]
) -> list[str]:
    """Return the names of the chosen units in the order of `names`."""
    inside: set[str] = set()
    for unit in chosen:
        inside.update(members[unit])
    return [name for name in names if name in inside]


def _fill_empty(needed: Sequence[str], parts: dict[str, list[str]]) -> None:
    """Move a unit from the largest part into each needed part that is empty."""
    for part in needed:
        if not parts[part]:
            largest = max(parts.values(), key=len)
            moved = min(largest, key=fraction)
            largest.remove(moved)
            parts[part].append(moved)


def folds(
    names: Sequence[str], count: int, units: Mapping[str, str] | None = None
) -> list[list[str]]:
    """Divide names into folds of about equal size.

    The units, from the largest to the smallest and among equal ones by their `fraction`, are
    assigned one by one to the fold with the fewest samples. Units of one name each are thus
    assigned to the folds in turn, and the sizes of two folds differ by at most one.

    Args:
        names: Unique names.
        count: Number of folds.
        units: The unit of each name. A unit is never divided. Without it each name is one.

    Returns:
        The names of each fold, in the order of `names`.

    Raises:
        ConfigError: If there are fewer units than folds.

    >>> folds(["a", "b", "c"], 2)
    [['a', 'c'], ['b']]
    """
    members = _members(names, units)
    if len(members) < count:
        raise ConfigError(
            f"{count} folds need at least {count} samples outside the test part, or as many "
            f"groups; found {_count(names, members)}",
            "too-few-samples",
            setting="data.fold",
        )
    chosen: list[list[str]] = [[] for _ in range(count)]
    sizes = [0] * count
    for unit in sorted(members, key=lambda unit: (-len(members[unit]), fraction(unit))):
        smallest = sizes.index(min(sizes))
        chosen[smallest].append(unit)
        sizes[smallest] += len(members[unit])
    return [_in_order(names, members, units_of_fold) for units_of_fold in chosen]


def fold(
    names: Sequence[str], number: str, units: Mapping[str, str] | None = None
) -> dict[str, list[str]]:
    """Divide names into the fold "k/n" for validation and the other n - 1 folds for training.

    Args:
        names: Unique names.
        number: Fold k of n, counted from 1, such as "2/5".
        units: The unit of each name; see `folds`.

    Returns:
        "train" and "validation", each in the order of `names`.

    Raises:
        ConfigError: If there are fewer units than folds.

    >>> fold("abc", "1/2")
    {'train': ['b'], 'validation': ['a', 'c']}
    """
    k, n = (int(part) for part in number.split("/"))
    validation = folds(names, n, units)[k - 1]
    inside = set(validation)
    return {
        "train": [name for name in names if name not in inside],
        "validation": validation,
    }
