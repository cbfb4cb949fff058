"""From a network's probabilities to a mask: temperature, the task's own decoding, rules for objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segkit.config import RunConfig
from segkit.config.decode import Rule
from segkit.inference.components import filled, kept
from segkit.inference.temperature import tempered
from segkit.task import Task
from segkit.task.layers import layers_of, stack_planes


def decode(config: RunConfig, probabilities: np.ndarray) -> np.ndarray:
    """Return the mask of probabilities (H, W, classes) as `Task.decode` gives it, in the way that `config.decode` says.

    What a rule removes goes to no in a yes/no task; in an exclusive one to the next most probable class. Then holes are
    filled: in an exclusive task with what was background in them, so that no other class loses a pixel.
    """
    probabilities = tempered(config.task, probabilities, config.decode.temperature)
    mask = config.task.decode(probabilities)
    rules = config.decode.rules(config.task)
    if not any(map(any, rules)):
        return mask
    if config.task.thresholds is None:
        return _fill_background(config.task, rules, _without_objects(rules, probabilities))
    layers = layers_of(config.task, mask)
    return stack_planes(config.task, [_ruled(layer, rule) for layer, rule in zip(layers, rules, strict=True)])


def _ruled(layer: np.ndarray, rule: Rule) -> np.ndarray:
    if rule.smallest > 1 or rule.keep_largest:
        layer = kept(layer, rule.smallest, rule.keep_largest)
    return (filled(layer) if rule.fill_holes else layer).astype(np.uint8)


def _without_objects(rules: Sequence[Rule], probabilities: np.ndarray) -> np.ndarray:
    """Return the mask (H, W) of ids in which every object keeps its class's rule.

    Pixels of an object that does not are denied its class, and what they become may make or break other objects; so it
    goes on until nothing changes. A pixel that is denied every class keeps its first one.
    """
    left, mask = probabilities, probabilities.argmax(-1)
    ruled = [i for i, rule in enumerate(rules) if rule.smallest > 1 or rule.keep_largest]
    changed = True
    while changed:
        changed = False
        for i in ruled:
            removed = (mask == i) & ~kept(mask == i, rules[i].smallest, rules[i].keep_largest) & (left[..., i] >= 0)
            if removed.any():
                left = left.copy() if left is probabilities else left
                left[removed, i] -= 2  # below every class that is not denied, in the order as before among the others
                mask[removed] = left[removed].argmax(-1)
                changed = True
    return mask.astype(np.uint8)


def _fill_background(task: Task, rules: Sequence[Rule], mask: np.ndarray) -> np.ndarray:
    for i, rule in enumerate(rules):
        if rule.fill_holes and task.background_index is not None:
            mask[filled(mask == i) & (mask == task.background_index)] = i
    return mask
