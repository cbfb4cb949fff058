"""Which layers can be in 8 bits.

All of them are, if the Dice stays as good. Otherwise the layers that cost most accuracy stay in
float32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, Self

from segkit.errors import RunError


class Quantizer(Protocol):
    """Writes one model in 8 bits, repeatedly, each time with other layers in float32."""

    layers: list[str]
    """Descriptions of the layers that can be in 8 bits, from input to output."""

    def write(self, keep: Sequence[str]) -> None:
        """Write the model with all of `layers` in 8 bits except those in `keep`."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None:
        """Remove the files that only the quantizer needs."""


class Step(NamedTuple):
    """One operation of a network, with the names of its tensors."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def with_feeders(steps: Sequence[Step], layers: Sequence[str], keep: Sequence[str]) -> set[str]:
    """Return the names of all steps that stay in float32.

    A step without weights (pooling, concatenation) stays in float32 if every step it feeds does.

    Args:
        steps: The network, from input to output.
        layers: Names of the steps with weights.
        keep: Names of the layers that stay in float32.

    >>> steps = [Step("one", (), ("a",)), Step("pool", ("a",), ("b",)), Step("two", ("b",), ("c",))]
    >>> sorted(with_feeders(steps, ["one", "two"], ["two"]))
    ['pool', 'two']
    """
    names = set(keep)
    for step in reversed(steps):
        if step.name in layers:
            continue
        fed = [other.name for other in steps if set(other.inputs) & set(step.outputs)]
        if fed and names.issuperset(fed):
            names.add(step.name)
    return names


def find_float32_layers(
    quantizer: Quantizer,
    dice_drop: Callable[[], float],
    error: Callable[[], float],
    max_drop: float,
    message: Callable[[str], None],
) -> list[str]:
    """Write a model in 8 bits whose Dice drops by at most `max_drop`.

    If the drop is too large, the error of each layer alone in 8 bits is measured. Then the worst 1,
    2, 4, ... layers, at most half of them, stay in float32.

    Args:
        quantizer: Writes the model.
        dice_drop: Measures the drop in foreground Dice of the model that was written last.
        error: Measures the mean change of its probabilities.
        max_drop: Largest drop that is allowed.
        message: Receives lines for the user.

    Returns:
        The layers that stay in float32 in the model that was written last.

    Raises:
        RunError: If the drop is too large even with half of the layers in float32.
    """
    quantizer.write(())
    drop = dice_drop()
    if drop <= max_drop:
        return []
    message(f"all layers in 8 bits: foreground Dice drops by {drop:.4f}, more than {max_drop:g}")
    worst, ranking = _rank_layers(quantizer, error)
    message(f"mean change of a probability with only this layer in 8 bits: {ranking}")
    attempts = [f"{drop:.4f} with all layers in 8 bits"]
    for number in _powers_of_two(len(worst) // 2):
        quantizer.write(worst[:number])
        drop = dice_drop()
        attempts.append(f"{drop:.4f} with the worst {number} of {len(worst)} in float32")
        message(f"foreground Dice drops by {attempts[-1]}")
        if drop <= max_drop:
            return worst[:number]
    raise _refusal(attempts, ranking, max_drop)


def _powers_of_two(most: int) -> list[int]:
    """Return 1, 2, 4, ... up to `most`."""
    return [2**i for i in range(most.bit_length())]


def _refusal(attempts: Sequence[str], ranking: str, max_drop: float) -> RunError:
    return RunError(
        f"int8 is refused: foreground Dice drops by {', by '.join(attempts)}; at most "
        f"{max_drop:g} is allowed. Layers with the largest errors: {ranking}. Use --precision "
        "float32, or allow more with --max-drop",
        "inexact-export",
    )


def _rank_layers(quantizer: Quantizer, error: Callable[[], float]) -> tuple[list[str], str]:
    """Return the layers, the largest error in 8 bits first, and a text on the first five."""
    errors = {}
    for layer in quantizer.layers:
        quantizer.write([other for other in quantizer.layers if other != layer])
        errors[layer] = error()
    worst = sorted(errors, key=lambda layer: -errors[layer])
    ranking = "; ".join(f"{layer} ({errors[layer]:.5f})" for layer in worst[:5])
    return worst, ranking
