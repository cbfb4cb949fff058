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
    return task.from_answers(_softened(task.as_answers(probabilities), temperature))


def entropy(task: Task, probabilities: np.ndarray) -> np.ndarray:
    """Return the entropy of probabilities (..., C), mean over the head's questions: (...) from 0 to 1, 1 for all equal."""
    answers = np.clip(task.as_answers(probabilities), 0, 1)
    each = -(answers * np.log(np.maximum(answers, SMALLEST))).sum(-1) / math.log(answers.shape[-1])
    return np.clip(each.mean(-1), 0, 1)


def _softened(answers: np.ndarray, temperature: float) -> np.ndarray:
    logits = np.log(np.clip(answers, SMALLEST, 1))
    powers = np.exp((logits - logits.max(-1, keepdims=True)) / temperature)
    return powers / powers.sum(-1, keepdims=True)
