"""Shares of several data sets in an epoch (`train.shares`)."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segkit import ConfigError
from segkit.config import Config
from segkit.data.batches.shares import order_by_shares
from tests.helpers.errors import fails


@given(
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=4),
    shares=st.lists(st.floats(0.05, 5), min_size=4, max_size=4),
    seed=st.integers(0, 5),
)
def test_each_set_has_its_share_and_repeats_its_samples_evenly(
    sizes: list[int], shares: list[float], seed: int
) -> None:
    names = [f"s{number}/{i}" for number, size in enumerate(sizes) for i in range(size)]
    wanted = {f"s{number}": shares[number] for number in range(len(sizes))}
    order = order_by_shares(names, wanted, np.random.default_rng(seed))
    assert len(order) == len(names)
    times = Counter(order.tolist())
    total = sum(wanted.values())
    for name, share in wanted.items():
        own = [times[i] for i, text in enumerate(names) if text.startswith(f"{name}/")]
        assert abs(sum(own) - share / total * len(names)) <= 1
        assert max(own) - min(own) <= 1
    again = order_by_shares(names, wanted, np.random.default_rng(seed))
    np.testing.assert_array_equal(order, again)


def test_a_set_without_training_samples_has_no_share() -> None:
    with fails(ConfigError, "too-few-samples", "b", setting="train.shares"):
        order_by_shares(["a/1"], {"a": 1.0, "b": 1.0}, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("sets", "shares"),
    [(None, {"a": 1.0}), ({"a": {}}, {"b": 1.0}), ({"a": {}, "b": {}}, {"a": 1.0})],
)
def test_each_set_needs_a_share(sets: Any, shares: dict[str, float]) -> None:
    task = {"kind": "binary", "classes": ["liver"]}
    values = {"task": task, "data": {"sets": sets}, "train": {"shares": shares}}
    with fails(ConfigError, "contradiction", *(sets or ["none"]), setting="train.shares"):
        Config.model_validate(values)


def test_a_share_is_above_0() -> None:
    task = {"kind": "binary", "classes": ["liver"]}
    values = {"task": task, "data": {"sets": {"a": {}}}, "train": {"shares": {"a": 0}}}
    with pytest.raises(Exception, match="shares"):
        Config.model_validate(values)
