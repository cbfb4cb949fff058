"""Which layers can be in 8 bits: all of them if the answers stay as good, otherwise all but those that hurt most."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, Self

from segkit.errors import RunError


class Quantizer(Protocol):
    """Writes one model in 8 bits, as often as asked, each time with other layers left in float32."""

    layers: list[str]
    """The layers that can be in 8 bits, from input to output."""

    def write(self, keep: Sequence[str]) -> None:
        """Write the model with all of `layers` in 8 bits but `keep`."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None:
        """Remove the files that only the quantizer needs."""


class Step(NamedTuple):
    """One operation of a network: the names of what it takes and gives."""

    name: str
    takes: tuple[str, ...]
    gives: tuple[str, ...]


def with_feeders(steps: Sequence[Step], layers: Sequence[str], kept: Sequence[str]) -> set[str]:
    """Return the names of the steps that stay in float32 where the layers `kept` do, in a network from input to output.

    Poolings, concatenations and the like stay with the layers that they feed, if all of those stay.

    >>> steps = [Step("one", (), ("a",)), Step("pool", ("a",), ("b",)), Step("two", ("b",), ("c",))]
    >>> sorted(with_feeders(steps, ["one", "two"], ["two"]))
    ['pool', 'two']
    """
    names = set(kept)
    for step in reversed(steps):
        fed = [other.name for other in steps if set(other.takes) & set(step.gives)]
        if step.name not in layers and fed and names.issuperset(fed):
            names.add(step.name)
    return names


def find_float32_layers(
    quantizer: Quantizer,
    fall: Callable[[], float],
    error: Callable[[], float],
    most: float,
    say: Callable[[str], None],
) -> list[str]:
    """Write the model in 8 bits so that `fall()` is at most `most`; return the layers that stay in float32 for that.

    `fall` scores what was written last: by how much Dice is lower. If it is too much, `error` says how far answers are off
    with one layer alone in 8 bits, for each; the worst 1, 2, 4, ... up to half of the layers stay in float32 then.

    Raises `RunError` with the numbers if that does not help.
    """
    quantizer.write(())
    first = last = fall()
    if first <= most:
        return []
    say(
        f"all {len(quantizer.layers)} layers in 8 bits: foreground Dice falls by {first:.4f}, more than {most:g}"
    )
    errors: dict[str, float] = {}
    for layer in quantizer.layers:
        quantizer.write([other for other in quantizer.layers if other != layer])
        errors[layer] = error()
    worst = sorted(errors, key=lambda layer: -errors[layer])
    told = "; ".join(f"{layer} ({errors[layer]:.5f})" for layer in worst[:5])
    say(
        f"layers that hurt most, by the mean change of a probability if only they are in 8 bits: {told}"
    )
    kept = 1
    while kept <= len(worst) // 2:
        quantizer.write(worst[:kept])
        last = fall()
        say(f"the worst {kept} of {len(worst)} in float32: Dice falls by {last:.4f}")
        if last <= most:
            return worst[:kept]
        kept *= 2
    raise RunError(
        f"int8 is refused: foreground Dice falls by {first:.4f} with all layers in 8 bits and still by {last:.4f} with "
        f"{kept // 2} of {len(worst)} in float32; at most {most:g} is allowed. They hurt in this order: {told}. Use "
        f"float32, or allow more with --max-drop",
        "inexact-export",
    )
