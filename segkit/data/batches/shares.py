"""The order of samples in an epoch in which each of several data sets has a share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from segkit.data.sources.data_sets import set_of
from segkit.errors import ConfigError


def order_by_shares(
    names: Sequence[str], shares: Mapping[str, float], rng: np.random.Generator
) -> np.ndarray:
    """Return a random order in which each set has its share of the places.

    A set that has fewer samples than places repeats all of them before one of them comes again. Of
    a set with more samples, a random choice is in the order.

    Args:
        names: The names of the samples, SET/NAME.
        shares: A number above 0 for each set (`train.shares`); only their ratios matter.
        rng: The random numbers of the epoch.

    Returns:
        (N,) int64, indices of `names`, for N names.

    Raises:
        ConfigError: If a set has no sample.
    """
    members: dict[str, list[int]] = {name: [] for name in shares}
    for index, name in enumerate(names):
        members[set_of(name)].append(index)
    empty = [name for name, own in members.items() if not own]
    if empty:
        raise ConfigError(
            f"the training part has no sample of {', '.join(empty)}",
            "too-few-samples",
            setting="train.shares",
        )
    chosen = []
    for name, count in _counts(shares, len(names)).items():
        own = np.array(members[name])
        passes = -(-count // len(own))
        repeated = [rng.permutation(own) for _ in range(passes)]
        chosen.append(np.concatenate([*repeated, own[:0]])[:count])
    order: np.ndarray = rng.permutation(np.concatenate(chosen))
    return order


def _counts(shares: Mapping[str, float], places: int) -> dict[str, int]:
    """Return the number of places of each set, which add up to all of them."""
    total = sum(shares.values())
    ends = np.cumsum([share / total for share in shares.values()])
    edges = [0, *np.rint(ends * places).astype(int).tolist()]
    counts = {}
    for number, name in enumerate(shares):
        counts[name] = edges[number + 1] - edges[number]
    return counts
