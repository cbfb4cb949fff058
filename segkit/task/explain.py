"""The paragraph of `Task.explain`: sigmoid or softmax, and why."""

from __future__ import annotations

from collections.abc import Sequence


def explain(
    kind: str,
    head: str,
    classes: Sequence[str],
    thresholds: Sequence[float] | None,
    background: str | None,
) -> str:
    """Return a paragraph on what a pixel can be, which head follows, and when to choose another.

    Args:
        kind: The kind of the task.
        head: "sigmoid" or "softmax".
        classes: The names of the classes.
        thresholds: The threshold of each class; None in a multiclass task.
        background: The class that is the background; None for none.
    """
    names = ", ".join(classes)
    numbers = ", ".join(f"{value:g}" for value in thresholds or ())
    if kind == "binary":
        return _explain_binary(names, numbers)
    if kind == "multilabel":
        return _explain_multilabel(names, numbers, len(classes))
    if background not in (None, "background"):
        names += f" (the class {background} is the background)"
    if head == "softmax":
        return _explain_softmax(names, len(classes))
    return _explain_one_against_rest(names)


def _explain_binary(name: str, threshold: str) -> str:
    return (
        f"A pixel is {name} or not. One channel with a sigmoid is enough: it gives the probability "
        f"of {name}. It learns from binary cross-entropy and Dice, and a pixel is {name} if its "
        f"probability is {threshold} or more. Softmax over this single channel would always give 1 "
        f"and learn nothing. Softmax over two channels (Task.multiclass(['background', '{name}'])) "
        f"would learn the same, but one channel is simpler."
    )


def _explain_multilabel(names: str, thresholds: str, count: int) -> str:
    return (
        f"A pixel can be any set of {names}, or none of them. These are {count} separate yes/no "
        f"decisions, so each channel has its own sigmoid and its own threshold ({thresholds}). "
        f"Each learns from binary cross-entropy and Dice. Under softmax the classes would share "
        f"one probability: where two classes overlap, each would get a half and could be lost. If "
        f"a pixel can be at most one of the classes, use Task.multiclass instead."
    )


def _explain_softmax(names: str, count: int) -> str:
    return (
        f"A pixel is exactly one of {names}. This is one decision between {count} classes, so the "
        f"channels share one probability by softmax. They learn from categorical cross-entropy "
        f"and Dice. The mask is the most probable class, so there is no threshold to choose. If a "
        f"pixel can be two of these classes at once, use Task.multilabel, which gives each class "
        f"a sigmoid."
    )


def _explain_one_against_rest(names: str) -> str:
    return (
        f"A pixel is exactly one of {names}, but each channel decides between one class and all "
        f"others. Each channel has a sigmoid and learns from binary cross-entropy and Dice. The "
        f"probabilities need not sum to 1, and the mask is the class with the highest one. "
        f"Softmax is the usual choice for exclusive classes. With sigmoids, rare classes do not "
        f"compete with frequent ones."
    )
