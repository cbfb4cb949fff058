"""From a network's probabilities to a mask: temperature, the task's own decoding, rules for objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segkit.config import RunConfig
from segkit.config.decode import Rule
from segkit.inference.components import fill_holes, remove_small_objects
from segkit.inference.temperature import before_temperature
from segkit.task import Task
from segkit.task.layers import layers_of, stack_planes

ROWS = 256
"""Rows that are decoded at once, so that no array of the size of all probabilities is needed beside them."""


def decode(config: RunConfig, probabilities: np.ndarray) -> np.ndarray:
    """Return the mask of an image as `config.decode` says.

    What a rule removes becomes "no" in a yes/no task. In an exclusive task it becomes the next most probable class. Then
    holes are filled. In an exclusive task only background is filled, so that no other class loses a pixel.

    Args:
        config: The config of the run.
        probabilities: (H, W, classes), as the network gives them.

    Returns:
        The mask, as `Task.decode` returns it.

    Raises:
        DataError: For values outside 0 to 1.
    """
    return apply_rules(config, classify(config, probabilities), probabilities)


def classify(config: RunConfig, probabilities: np.ndarray) -> np.ndarray:
    """Return the mask of probabilities (H, W, classes) before the rules for objects.

    The temperature changes no probability here: it never changes which class is the most probable, and it moves the
    threshold of a yes/no class.
    """
    task = before_temperature(config.task, config.decode.temperature)
    bands = []
    for top in range(0, probabilities.shape[0], ROWS):
        bands.append(task.decode(probabilities[top : top + ROWS]))
    return bands[0] if len(bands) == 1 else np.concatenate(bands)


def needs_probabilities(config: RunConfig) -> bool:
    """Return whether the rules for objects need the probabilities: where a removed object becomes another class."""
    if config.task.thresholds is not None:
        return False
    return any(_removes(rule) for rule in config.decode.rules(config.task))


def apply_rules(
    config: RunConfig, mask: np.ndarray, probabilities: np.ndarray | None = None
) -> np.ndarray:
    """Return a mask of `classify` with the rules for objects applied.

    Args:
        config: The config of the run.
        mask: The mask of the whole image.
        probabilities: (H, W, classes). They may be None unless `needs_probabilities(config)`.

    Returns:
        The mask. It may be `mask` itself.
    """
    rules = config.decode.rules(config.task)
    if not any(map(any, rules)):
        return mask
    if config.task.thresholds is None:
        if probabilities is not None:
            mask = _without_objects(rules, mask, probabilities)
        return _fill_background(config.task, rules, mask)
    layers = layers_of(config.task, mask)
    return stack_planes(
        config.task, [_ruled(layer, rule) for layer, rule in zip(layers, rules, strict=True)]
    )


def _removes(rule: Rule) -> bool:
    return rule.smallest > 1 or rule.keep_largest


def _ruled(layer: np.ndarray, rule: Rule) -> np.ndarray:
    if _removes(rule):
        layer = remove_small_objects(layer, rule.smallest, rule.keep_largest)
    if rule.fill_holes:
        layer = fill_holes(layer)
    return layer.astype(np.uint8)


def _without_objects(
    rules: Sequence[Rule], mask: np.ndarray, probabilities: np.ndarray
) -> np.ndarray:
    """Return the mask (H, W) of ids in which every object keeps its class's rule.

    Pixels of an object that does not are denied its class, and what they become may make or break other objects; so it
    goes on until nothing changes. A pixel that is denied every class keeps its first one.
    """
    mask = mask.copy()
    denied = np.zeros(probabilities.shape, bool)
    ruled = [label for label, rule in enumerate(rules) if _removes(rule)]
    changed = True
    while changed:
        changed = False
        for label in ruled:
            held = mask == label
            removed = (
                held
                & ~remove_small_objects(held, rules[label].smallest, rules[label].keep_largest)
                & ~denied[..., label]
            )
            if removed.any():
                denied[removed, label] = True
                # below every class that is not denied, and in the same order among the others
                left = probabilities[removed] - 2 * denied[removed].astype(probabilities.dtype)
                mask[removed] = left.argmax(-1)
                changed = True
    return mask


def _fill_background(task: Task, rules: Sequence[Rule], mask: np.ndarray) -> np.ndarray:
    background = task.background_index
    for label, rule in enumerate(rules):
        if rule.fill_holes and background is not None:
            mask[fill_holes(mask == label) & (mask == background)] = label
    return mask
