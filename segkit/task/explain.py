"""Sigmoid or softmax, in words: the paragraph that answers a newcomer who asks which one to use."""

from __future__ import annotations

from collections.abc import Sequence


def explain(
    kind: str,
    head: str,
    classes: Sequence[str],
    thresholds: Sequence[float] | None,
    background: str | None,
) -> str:
    """Return one paragraph: what a pixel can be in this task, the head that follows, and when it would be another."""
    names = ", ".join(classes)
    if kind == "binary":
        return (
            f"A pixel is {names} or it is not: one question, so one channel with a sigmoid, which gives the probability "
            f"of yes. It learns from binary cross-entropy and Dice, and a pixel counts as {names} from a probability of "
            f"{_numbers(thresholds)} on. Softmax over this one channel would answer 1 everywhere and learn nothing. Two "
            f"channels under softmax (Task.multiclass(['background', '{names}'])) would learn the same; one is simpler."
        )
    if kind == "multilabel":
        return (
            f"A pixel may be any set of {names} at once, or none: {len(classes)} separate questions, so each channel has "
            f"its own sigmoid and its own threshold ({_numbers(thresholds)}), and learns from binary cross-entropy and "
            f"Dice. Softmax would make the classes share one probability: where two hold, each would get a half and "
            f"could be lost. If at most one of them can hold at a pixel, say Task.multiclass instead."
        )
    rest = f" ({background} is one of them)" if background else ""
    if head == "softmax":
        return (
            f"A pixel is exactly one of {names}{rest}: one question with {len(classes)} answers, so the channels share "
            f"one probability by softmax, learn from categorical cross-entropy and Dice, and the mask is the most "
            f"probable class; there is no threshold to choose. If two of these classes can hold at one pixel, say "
            f"Task.multilabel: each gets a sigmoid."
        )
    return (
        f"A pixel is exactly one of {names}{rest}, but each class is asked for by itself against all the rest: a sigmoid "
        f"a channel, binary cross-entropy and Dice. The channels need not sum to 1; the mask is the class with the "
        f"highest answer. Softmax is the usual choice for exclusive classes; this one keeps rare classes from competing "
        f"with frequent ones."
    )


def _numbers(values: Sequence[float] | None) -> str:
    return ", ".join(f"{value:g}" for value in values or ())
