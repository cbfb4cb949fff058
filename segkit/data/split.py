"""Assigns sample names to train, validation and test by a hash, so that it never changes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

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


def split(names: Sequence[str], validation: float, test: float) -> dict[str, list[str]]:
    """Divide names into "train", "validation" and "test" by their `fraction`.

    The order of the names is preserved. A name stays in its part when other names are added or
    removed. The one exception: a part with a share above 0 that would be empty takes the name with
    the smallest fraction from the largest part.

    Args:
        names: Unique names.
        validation: Share of the names for validation, in [0, 1).
        test: Share of the names for test, in [0, 1).

    Returns:
        The names of each part.

    Raises:
        ConfigError: If there are fewer names than parts with a share above 0.
    """
    shares = {"test": test, "validation": validation, "train": 1.0}
    needed = [part for part, share in shares.items() if share > 0]
    if len(names) < len(needed):
        raise ConfigError(
            f"{len(names)} sample(s) cannot be split into train, validation and test. Add samples, "
            f"train on all of them (data.validation: 0, data.test: 0), "
            f"or cut large images into several samples (data.blocks: 512)",
            "too-few-samples",
            setting="data",
        )
    parts: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for name in names:
        position = fraction(name)
        if position < test:
            parts["test"].append(name)
        elif position < test + validation:
            parts["validation"].append(name)
        else:
            parts["train"].append(name)
    _fill_empty(needed, parts)
    return parts


def _fill_empty(needed: Sequence[str], parts: dict[str, list[str]]) -> None:
    """Move a name from the largest part into each needed part that is empty."""
    for part in needed:
        if not parts[part]:
            largest = max(parts.values(), key=len)
            moved = min(largest, key=fraction)
            largest.remove(moved)
            parts[part].append(moved)


def fold(names: Sequence[str], number: str) -> dict[str, list[str]]:
    """Divide names into the fold "k/n" for validation and the other n - 1 folds for training.

    The names, sorted by their `fraction`, are assigned to the n folds in turn. Each name is in
    exactly one fold, and the sizes of two folds differ by at most one.

    Args:
        names: Unique names.
        number: Fold k of n, counted from 1, such as "2/5".

    Returns:
        "train" and "validation", each in the order of `names`.

    Raises:
        ConfigError: If there are fewer names than folds.

    >>> fold("abc", "1/2")
    {'train': ['b'], 'validation': ['a', 'c']}
    """
    k, n = (int(part) for part in number.split("/"))
    if len(names) < n:
        raise ConfigError(
            f"{n} folds need at least {n} samples outside the test part; found {len(names)}",
            "too-few-samples",
            setting="data.fold",
        )
    in_fold = set(sorted(names, key=fraction)[k - 1 :: n])
    return {
        "train": [name for name in names if name not in in_fold],
        "validation": [name for name in names if name in in_fold],
    }
