"""From probabilities to a mask: temperature, the decoding of the task, rules for objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segkit.config import RunConfig
from segkit.config.decode import Rule
from segkit.data.pixel_size import PixelSize, pixel_size_of
from segkit.errors import ConfigError
from segkit.inference.components import fill_holes, remove_small_objects
from segkit.inference.temperature import before_temperature
from segkit.task import Task
from segkit.task.layers import layers_of, stack_planes

ROWS = 256
"""Rows that are decoded at once, so that temporary arrays are small."""


def decode(config: RunConfig, probabilities: np.ndarray) -> np.ndarray:
    """Return the mask of an image, with the thresholds, temperature and rules of the config.

    A removed object becomes "no" in a yes/no task, and the next most probable class in an exclusive
    task. Then holes are filled. In an exclusive task only background is filled, so that no other
    class loses a pixel.

    Args:
        config: The config of the run.
        probabilities: (H, W, classes), as the network predicts them.

    Returns:
        The mask, as `Task.decode` returns it.

    Raises:
        DataError: For values outside 0 to 1.
    """
    return apply_rules(config, classify(config, probabilities), probabilities)


def at_pixel_size(config: RunConfig, known: PixelSize | None, where: str) -> RunConfig:
    """Return the config whose smallest objects are in pixels of one image.

    Args:
        config: The config of the run. Without areas in `decode.smallest` it is returned itself.
        known: The size of the image's pixels; None if it is unknown.
        where: The name of the image, for the message.

    Raises:
        ConfigError: If a smallest object is an area, and the image has no known pixel size.
    """
    if not config.decode.has_areas:
        return config
    if known is None or known.unit is None:
        missing = "the size of its pixels is unknown"
        advice = "set data.pixel_size and data.pixel_unit"
        if known is not None:
            missing = "data.pixel_size has no unit"
            advice = "set data.pixel_unit"
        raise ConfigError(
            f"{where}: is an area, and {missing}; {advice} in the run's config, or choose a number "
            f"of pixels",
            "missing-setting",
            setting="decode.smallest",
        )
    section = config.decode.in_pixels(known.size, known.unit)
    return config.model_copy(update={"decode": section})


def classify(config: RunConfig, probabilities: np.ndarray) -> np.ndarray:
    """Return the mask of probabilities (H, W, classes) before the rules for objects.

    The temperature changes no probability here. It never changes which class is the most probable,
    and for a yes/no class it is applied to the threshold instead.
    """
    task = before_temperature(config.task, config.decode.temperature)
    bands = []
    for top in range(0, probabilities.shape[0], ROWS):
        bands.append(task.decode(probabilities[top : top + ROWS]))
    return bands[0] if len(bands) == 1 else np.concatenate(bands)


def needs_probabilities(config: RunConfig) -> bool:
    """Return whether the rules for objects need the probabilities.

    They do in an exclusive task, where a removed object becomes the next most probable class.
    """
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

    Raises:
        ConfigError: For areas that `at_pixel_size` has not turned into pixels, unless
            `data.pixel_size` is set.
    """
    config = at_pixel_size(config, pixel_size_of(config.data, None), "the smallest object")
    rules = config.decode.rules(config.task)
    if not any(map(any, rules)):
        return mask
    if config.task.thresholds is None:
        if probabilities is not None:
            mask = _reassign_removed_objects(rules, mask, probabilities)
        return _fill_background(config.task, rules, mask)
    layers = []
    for layer, rule in zip(layers_of(config.task, mask), rules, strict=True):
        layers.append(_apply_rule(layer, rule))
    return stack_planes(config.task, layers)


def _removes(rule: Rule) -> bool:
    return rule.smallest > 1 or rule.keep_largest or bool(rule.area)


def _apply_rule(layer: np.ndarray, rule: Rule) -> np.ndarray:
    """Return the yes/no mask (H, W) uint8 of one class after its rule."""
    if _removes(rule):
        layer = remove_small_objects(layer, rule.smallest, rule.keep_largest)
    if rule.fill_holes:
        layer = fill_holes(layer)
    return layer.astype(np.uint8)


def _reassign_removed_objects(
    rules: Sequence[Rule], mask: np.ndarray, probabilities: np.ndarray
) -> np.ndarray:
    """Return the mask (H, W) of class ids in which every object obeys the rule of its class.

    The pixels of a removed object are denied its class, and become the most probable class that
    they are not denied. This may make or break other objects, so it is repeated until nothing
    changes. A pixel that is denied every class becomes its most probable class again.
    """
    mask = mask.copy()
    denied = np.zeros(probabilities.shape, bool)
    removing = [label for label, rule in enumerate(rules) if _removes(rule)]
    changed = True
    while changed:
        changed = False
        for label in removing:
            rule = rules[label]
            objects = mask == label
            remaining = remove_small_objects(objects, rule.smallest, rule.keep_largest)
            removed = objects & ~remaining & ~denied[..., label]
            if removed.any():
                denied[removed, label] = True
                # a denied class falls below every other one; denied classes keep their order
                penalty = 2 * denied[removed].astype(probabilities.dtype)
                mask[removed] = (probabilities[removed] - penalty).argmax(-1)
                changed = True
    return mask


def _fill_background(task: Task, rules: Sequence[Rule], mask: np.ndarray) -> np.ndarray:
    """Fill the holes of each class that has the rule, where the mask (H, W) is background."""
    background = task.background_index
    if background is None:
        return mask
    for label, rule in enumerate(rules):
        if rule.fill_holes:
            mask[fill_holes(mask == label) & (mask == background)] = label
    return mask
