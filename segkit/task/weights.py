"""Weights of classes by their names."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from segkit.errors import ConfigError

LEAST = 1e-12
MOST = 1e12
"""Bounds of a weight that is not 0; float32 can compute with all weights between them."""


def weights_of(names: Sequence[str], weights: Any) -> tuple[float, ...]:
    """Return a weight for each name.

    Args:
        names: The names that may have a weight.
        weights: A dictionary from names to weights, or None. Names without one have weight 1.

    Returns:
        As many weights as names, 0 or from `LEAST` to `MOST`.

    Raises:
        ConfigError: If `weights` is no such dictionary.
    """
    if weights is None:
        return (1.0,) * len(names)
    if not isinstance(weights, Mapping):
        raise ConfigError(
            f"must be a dictionary from names to weights, as in {{{names[-1]!r}: 2.0}}; found "
            f"{weights!r}",
            setting="class_weights",
        )
    for name, weight in weights.items():
        _check_name(name, names)
        if not _is_weight(weight):
            raise ConfigError(
                f"a weight is 0, or a number from {LEAST:g} to {MOST:g}; found {weight!r} for "
                f"{name}",
                setting="class_weights",
            )
    return tuple(float(weights.get(name, 1.0)) for name in names)


def _check_name(name: Any, names: Sequence[str]) -> None:
    """Raise `ConfigError` if a name may not have a weight."""
    if name in names:
        return
    hint = ""
    close = difflib.get_close_matches(str(name), names, n=1)
    if close:
        hint = f" (did you mean {close[0]!r}?)"
    raise ConfigError(
        f"names are {', '.join(names)}; found {name}{hint}",
        "unknown-name",
        setting="class_weights",
    )


def _is_weight(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    return bool(value == 0 or LEAST <= value <= MOST)
