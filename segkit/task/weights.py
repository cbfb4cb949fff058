"""Weights of classes by their names."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from segkit.errors import ConfigError

LEAST, MOST = 1e-12, 1e12
"""Bounds of a weight that is not 0: float32 can compute with all of them."""


def weights_of(names: Sequence[str], given: Any) -> tuple[float, ...]:
    """Return a weight for each name, 1 where none is given.

    Args:
        names: What weights go by.
        given: A dictionary from names to weights, or None.

    Returns:
        As many weights as names, 0 or from `LEAST` to `MOST`.

    Raises:
        ConfigError: If `given` is no such dictionary.
    """
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"a dictionary from names to weights, as in {{{names[-1]!r}: 2.0}}; found {given!r}",
            setting="class_weights",
        )
    for name, weight in given.items():
        if name not in names:
            close = difflib.get_close_matches(str(name), names, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise ConfigError(
                f"names are {', '.join(names)}; found {name}{hint}",
                "unknown-name",
                setting="class_weights",
            )
        if not _is_weight(weight):
            raise ConfigError(
                f"a weight is 0, or a number from {LEAST:g} to {MOST:g}; found {weight!r} for {name}",
                setting="class_weights",
            )
    return tuple(float(given.get(name, 1.0)) for name in names)


def _is_weight(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    return bool(value == 0 or LEAST <= value <= MOST)
