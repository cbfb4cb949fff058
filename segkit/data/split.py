"""Which samples train, which choose the best epoch, which test: by a hash of the name, so that it never changes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from segkit.errors import ConfigError


def fraction(name: str) -> float:
    """Return a number in [0, 1) that depends on the name alone.

    >>> fraction("a") == fraction("a"), 0 <= fraction("b") < 1
    (True, True)
    """
    return (
        int.from_bytes(
            hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=6).digest(), "big"
        )
        / 2**48
    )


def split(names: Sequence[str], validation: float, test: float) -> dict[str, list[str]]:
    """Return the names of "train", "validation" and "test" in the order given.

    A name stays in its part when others are added or removed. A part that is asked for (share above 0) and would be
    empty takes the name with the smallest fraction of the largest part; too few names for that raise `ConfigError`.
    """
    shares = {"test": test, "validation": validation, "train": 1.0}
    if len(names) < sum(share > 0 for share in shares.values()):
        raise ConfigError(
            f"{len(names)} sample(s) cannot be split into train, validation and test. Add more, train on all of them "
            f"(data.validation: 0, data.test: 0), or make samples of the regions of large images (data.blocks: 512)",
            "too-few-samples",
            setting="data",
        )
    parts: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for name in names:
        where = fraction(name)
        parts[
            "test" if where < test else "validation" if where < test + validation else "train"
        ].append(name)
    for part, share in shares.items():
        if share > 0 and not parts[part]:
            largest = max(parts.values(), key=len)
            moved = min(largest, key=fraction)
            largest.remove(moved)
            parts[part].append(moved)
    return parts


def fold(names: Sequence[str], number: str) -> dict[str, list[str]]:
    """Return "validation", the fold "k/n" of the names, and "train", the rest; sizes of folds differ by one at most.

    Names are dealt out in the order of their hash, so each is in exactly one of the n folds.

    >>> fold("abc", "1/2")
    {'train': ['b'], 'validation': ['a', 'c']}
    """
    k, n = (int(part) for part in number.split("/"))
    if len(names) < n:
        raise ConfigError(
            f"{n} folds need {n} samples or more outside the test part; found {len(names)}",
            "too-few-samples",
            setting="data.fold",
        )
    theirs = set(sorted(names, key=fraction)[k - 1 :: n])
    return {
        "train": [name for name in names if name not in theirs],
        "validation": [name for name in names if name in theirs],
    }
