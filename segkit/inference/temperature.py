"""Probabilities with a temperature, and their entropy."""

from __future__ import annotations

import math

import numpy as np

from segkit.task import Task

SMALLEST = 1e-7
"""Probabilities are cut here before a logarithm, as losses do: float32 knows no more of a saturated pixel."""


def tempered(task: Task, probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities (..., C) as if the head's logits had been divided by the temperature.

    The most probable class, and whether yes is more probable than no, stay. Source: Guo et al., On calibration of modern
    neural networks, 2017.

    >>> tempered(Task.binary(), np.array([0.8]), 2.0).round(4)  # 0.8 is odds of 4, whose root is 2
    array([0.6667], dtype=float32)
    """
    if temperature == 1.0:
        return probabilities
    return task.from_distributions(divide_logits(task.as_distributions(probabilities), temperature))


def before_temperature(task: Task, temperature: float) -> Task:
    """Return the task whose `decode` gives, of untempered probabilities, the mask that `task` gives of tempered ones.

    A yes/no class holds from odds of t / (1 - t) on, and the temperature is the root of the odds that is taken. Exclusive
    classes keep their order at every temperature.

    >>> [round(t, 6) for t in before_temperature(Task.binary(threshold=2 / 3), 2.0).thresholds]  # see `tempered`
    [0.8]
    """
    if temperature == 1.0 or task.thresholds is None:
        return task
    given = np.array(task.thresholds)
    logits = np.clip(temperature * np.log(given / (1 - given)), -700, 700)  # exp(710) is infinite
    # within what float32 tells from 0 and 1, so that a probability of 0 stays "no" and one of 1 "yes"
    thresholds = np.clip(
        1 / (1 + np.exp(-logits)), 1e-30, np.nextafter(np.float32(1), np.float32(0))
    )
    return task.model_copy(update={"thresholds": tuple(thresholds.tolist())})


def entropy(task: Task, probabilities: np.ndarray) -> np.ndarray:
    """Return the entropy of probabilities (..., C), mean over the head's questions: (...) from 0 to 1, 1 for all equal."""
    answers = np.clip(task.as_distributions(probabilities), 0, 1)
    each = -(answers * np.log(np.maximum(answers, SMALLEST))).sum(-1) / math.log(answers.shape[-1])
    return np.clip(each.mean(-1), 0, 1)


def divide_logits(distributions: np.ndarray, temperature: float) -> np.ndarray:
    """Divide the logits of distributions (..., K), which sum to 1 over K, by a temperature.

    Args:
        distributions: Probabilities (..., K).
        temperature: Above 1 brings the distributions nearer to uniform, below 1 sharpens them.

    Returns:
        Distributions (..., K).
    """
    logits = np.log(np.clip(distributions, SMALLEST, 1))
    powers = np.exp((logits - logits.max(-1, keepdims=True)) / temperature)
    return powers / powers.sum(-1, keepdims=True)
