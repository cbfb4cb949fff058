"""What an oracle is asked: one image, its truth and an answer, as plain arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Question:
    """One image: truth 0/1, known, and probability p of each pixel and class, all (H, W, C); a
    weight for each class.

    `yes` weighs pixels (or one-against-the-rest questions) whose answer is yes, `no` those whose
    answer is no.
    """

    truth: np.ndarray
    known: np.ndarray
    p: np.ndarray
    softmax: bool
    foreground: tuple[int, ...]
    yes: tuple[float, ...]
    no: tuple[float, ...]
    exclusive: bool


def activated(logits: np.ndarray, softmax: bool) -> np.ndarray:
    """Return the probabilities of logits (..., C), in float64."""
    logits = logits.astype(np.float64)
    if not softmax:
        return 1 / (1 + np.exp(-logits))
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def answers(question: Question) -> Iterator[tuple[float, list[float]]]:
    """Yield each known answer: its weight, and the probabilities of what could be said, that of the
    truth first.

    A pixel is one answer where classes exclude each other (softmax), otherwise each channel of it
    is one, yes or no. Where several classes are possible, the answer is any of them, and the weight
    is the mean of theirs.
    """
    for row, column, channel in np.ndindex(question.p.shape):
        if not question.known[row, column, channel]:
            continue
        p, true = question.p[row, column, channel], bool(question.truth[row, column, channel])
        possible = question.truth[row, column] | ~question.known[row, column]
        if question.softmax and possible.sum() > 1:
            if channel == np.argmin(possible):  # once for the pixel, at its first excluded class
                weight = np.mean(np.array(question.yes)[possible])
                probabilities = question.p[row, column]
                yield weight, [probabilities[possible].sum(), *probabilities[~possible]]
        elif not question.softmax:
            yield (
                (question.yes[channel], [p, 1 - p]) if true else (question.no[channel], [1 - p, p])
            )
        elif true:
            yield question.yes[channel], [p, *np.delete(question.p[row, column], channel)]


def mean_over_foreground(question: Question, cost: Callable[[int], float]) -> float:
    """Return the weighted mean over foreground classes of cost(channel).

    A class weighs by its known pixels, too; if none of any class is known, the mean is 0.
    """
    total = 0.0
    weights = 0.0
    for channel in question.foreground:
        weight = question.yes[channel] * np.count_nonzero(question.known[:, :, channel])
        total += weight * cost(channel)
        weights += weight
    return total / weights if weights else 0.0
