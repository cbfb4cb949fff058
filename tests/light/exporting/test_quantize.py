"""Which layers stay in float32, for simulated networks with a known cost in Dice per layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from hypothesis import given
from hypothesis import strategies as st

from segkit import RunError
from segkit.exporting.sensitivity import Step, find_float32_layers, with_feeders
from tests.helpers.errors import fails, holds


class Costly:
    """A network whose Dice falls by the sum of what its 8-bit layers cost."""

    def __init__(self, costs: Sequence[float]) -> None:
        self.costs = {f"layer {i}": cost for i, cost in enumerate(costs)}
        self.layers = list(self.costs)
        self.written: list[tuple[str, ...]] = []

    def write(self, keep: Sequence[str]) -> None:
        self.written.append(tuple(keep))

    def fall(self) -> float:
        return sum(cost for layer, cost in self.costs.items() if layer not in self.written[-1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


def find_layers(network: Costly, most: float) -> tuple[list[str], list[str]]:
    messages: list[str] = []
    return find_float32_layers(network, network.fall, network.fall, most, messages.append), messages


def test_all_layers_are_in_8_bits_if_the_drop_is_small() -> None:
    network = Costly([0.0005] * 4)
    assert find_layers(network, 0.002) == ([], [])
    assert network.written == [()]


def test_the_layers_with_the_largest_errors_stay_in_float32_and_are_named() -> None:
    network = Costly([0.0001, 0.03, 0.0, 0.01, 0.0, 0.0])
    kept, messages = find_layers(network, 0.002)
    assert kept == ["layer 1", "layer 3"]
    assert network.written[-1] == ("layer 1", "layer 3")
    assert all(holds(messages[0], value) for value in ("0.0401", 0.002))
    assert holds(messages[1], "layer 1 (0.03000); layer 3 (0.01000)")
    assert all(holds(messages[2], value) for value in ("1 of 6", "0.0101"))


def test_a_network_whose_dice_drops_with_half_of_its_layers_is_refused_with_numbers() -> None:
    network = Costly([0.01] * 6)
    with fails(RunError, "inexact-export", "0.0600", "0.0400", "2 of 6", 0.002):
        find_layers(network, 0.002)


@given(st.lists(st.floats(0, 0.01), min_size=1, max_size=12), st.floats(0, 0.02))
def test_the_accepted_model_was_written_last_and_is_within_the_limit(
    costs: list[float], most: float
) -> None:
    network = Costly(costs)
    try:
        kept, _ = find_layers(network, most)
    except RunError:
        assert sum(costs) > most
        return
    assert network.written[-1] == tuple(kept)
    assert network.fall() <= most
    assert len(kept) <= len(costs) // 2


def test_poolings_and_concatenations_stay_with_the_layers_they_feed() -> None:
    """A U-Net of one level: its skip connection feeds the concatenation and the pooling."""
    steps = [
        Step("in", ("image",), ("a",)),
        Step("pool", ("a",), ("b",)),
        Step("deep", ("b",), ("c",)),
        Step("up", ("c",), ("d",)),
        Step("concat", ("a", "d"), ("e",)),
        Step("out", ("e",), ("f",)),
    ]
    layers = ["in", "deep", "out"]
    assert with_feeders(steps, layers, ["out"]) == {"out", "concat", "up"}
    assert with_feeders(steps, layers, ["deep"]) == {"deep", "pool"}
    assert with_feeders(steps, layers, []) == set()
    assert with_feeders(steps, layers, layers) == {step.name for step in steps}
