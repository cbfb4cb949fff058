"""Probabilities at a temperature, and their entropy."""

from __future__ import annotations

import math

import numpy as np

from segkit.task import Task

SMALLEST = 1e-7
"""Probabilities are clipped here before a logarithm, as losses do: a saturated float32 pixel holds
no more information."""
LARGEST_LOGIT = 700
"""Logits of thresholds are clipped here: exp(710) is infinite in float64."""
SMALLEST_THRESHOLD = 1e-30
LARGEST_THRESHOLD = np.nextafter(np.float32(1), np.float32(0))
"""Thresholds stay within this range, so that 0 stays "no" and 1 stays "yes"."""


def tempered(task: Task, probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return the probabilities of a head whose logits are divided by the temperature.

    The order of the classes does not change, nor does the side of 0.5 on which a probability lies.

    Args:
        task: The task, which says which probabilities form a distribution.
        probabilities: (..., C), from 0 to 1.
        temperature: More than 1 softens, less than 1 sharpens.

    Returns:
        (..., C) float32; at a temperature of 1 the probabilities themselves.

    Source: Guo et al., On calibration of modern neural networks, 2017
    (https://arxiv.org/abs/1706.04599).

    >>> tempered(Task.binary(), np.array([0.8]), 2.0).round(4)  # odds of 4 become odds of 2
    array([0.6667], dtype=float32)
    """
    if temperature == 1.0:
        return probabilities
    return task.from_distributions(divide_logits(task.as_distributions(probabilities), temperature))


def before_temperature(task: Task, temperature: float) -> Task:
    """Return the task that decodes raw probabilities as `task` decodes tempered ones.

    A temperature T turns odds o into o ** (1 / T). So a threshold t, whose odds are t / (1 - t),
    becomes the threshold with the odds (t / (1 - t)) ** T. Exclusive classes keep their order at
    every temperature, so their task does not change.

    >>> task = before_temperature(Task.binary(threshold=2 / 3), 2.0)  # see `tempered`
    >>> [round(threshold, 6) for threshold in task.thresholds]
    [0.8]
    """
    if temperature == 1.0 or task.thresholds is None:
        return task
    thresholds = np.array(task.thresholds)
    logits = temperature * np.log(thresholds / (1 - thresholds))
    raw = 1 / (1 + np.exp(-np.clip(logits, -LARGEST_LOGIT, LARGEST_LOGIT)))
    raw = np.clip(raw, SMALLEST_THRESHOLD, LARGEST_THRESHOLD)
    return task.model_copy(update={"thresholds": tuple(raw.tolist())})


def entropy(task: Task, probabilities: np.ndarray) -> np.ndarray:
    """Return the entropy of each pixel's probabilities, divided by its maximum.

    A softmax head gives one distribution per pixel, a sigmoid head one per class; the result is the
    mean over the distributions.

    Args:
        task: The task.
        probabilities: (..., C), from 0 to 1.

    Returns:
        (...), from 0 (certain) to 1 (all classes equally probable).
    """
    distributions = np.clip(task.as_distributions(probabilities), 0, 1)
    surprise = np.log(np.maximum(distributions, SMALLEST))
    entropies = -(distributions * surprise).sum(-1) / math.log(distributions.shape[-1])
    return np.clip(entropies.mean(-1), 0, 1)


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
