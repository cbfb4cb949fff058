"""Which rules for objects (`DecodeConfig`) raise the Dice of a part.

First each rule is tried alone. The rules that help are then added one after the other, the best one
first, and the number of them with the highest mean Dice is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from segkit.config import DecodeConfig, RunConfig
from segkit.data.sources.source import Subset
from segkit.evaluation import counts
from segkit.evaluation.calibration import BINS, flatten_known, tally
from segkit.evaluation.evaluate import predict_samples
from segkit.evaluation.thresholds import Goal
from segkit.evaluation.tuning_statistics import classes_in
from segkit.inference.decoding import decode
from segkit.inference.tiles import Predict
from segkit.task import Task
from segkit.task.layers import any_plane

SIZES = (8, 32, 128, 512, 2048)
"""Values of `smallest` that are tried, in pixels."""
GAIN = 0.001
"""Dice that a rule must add to its class; smaller gains are noise of the part."""


class Candidate(NamedTuple):
    """One setting of the rule of one class."""

    class_index: int
    setting: str
    """Either "smallest", "keep_largest" or "fill_holes"."""
    value: Any
    """Pixels of "smallest"; True for the others."""
    gain: float = 0.0
    """Dice that the setting adds to its class."""

    def add_to(self, decode_config: DecodeConfig, task: Task) -> DecodeConfig:
        """Return a `decode` section with this setting."""
        rules = list(decode_config.rules(task))
        rules[self.class_index] = rules[self.class_index]._replace(**{self.setting: self.value})
        return decode_config.with_rules(task, rules)


class DecodeComparison(NamedTuple):
    """Scores of one part under several `decode` sections; index 0 is the config's own."""

    counts: np.ndarray
    """(1 + n, 4, C) int64, pixel counts."""
    calibration: np.ndarray
    """(5, BINS) float64, from `tally`; rules do not change probabilities."""
    images_with_prediction: np.ndarray
    """(1 + n, C) int64, images whose predicted mask shows the class."""
    image_counts: np.ndarray
    """(images, kept, 4, C) int64, pixel counts of each image under the first `kept` sections."""


def candidates(config: RunConfig, smallest_objects: np.ndarray) -> list[Candidate]:
    """Return the settings to try.

    Args:
        config: Settings that it has already are not returned.
        smallest_objects: (C,), pixels of the smallest true object per class. A larger `smallest` is
            not tried, and nothing is tried for a class with 0.
    """
    task = config.task
    rules = config.decode.rules(task)
    found = []
    for i in task.foreground:
        if smallest_objects[i] == 0:
            continue
        settings = [("smallest", size) for size in SIZES if size <= smallest_objects[i]]
        settings.append(("keep_largest", True))
        if task.can_be_nothing:
            settings.append(("fill_holes", True))
        for setting, value in settings:
            if getattr(rules[i], setting) != value:
                found.append(Candidate(i, setting, value))
    return found


def compare_decodes(
    predict: Predict,
    config: RunConfig,
    part: Subset,
    decodes: Sequence[DecodeConfig],
    progress: Callable[[str], None],
    kept: int = 1,
) -> DecodeComparison:
    """Predict a part once and score it under several `decode` sections.

    Only the pixels that a section changes are counted again.

    Args:
        predict: The network, with the temperature applied.
        config: Config with a temperature of 1.
        part: The samples.
        decodes: n sections to compare with the config's own.
        progress: Called with the name of each sample.
        kept: Number of sections, with the config's own as the first one, of which the counts of
            each image are kept.
    """
    task = config.task
    totals = np.zeros((1 + len(decodes), 4, task.channels), np.int64)
    calibration = np.zeros((5, BINS))
    images_with_prediction = np.zeros((1 + len(decodes), task.channels), np.int64)
    others = [config.model_copy(update={"decode": section}) for section in decodes]
    image_counts = []
    for sample in predict_samples(predict, config, part, progress):
        target = sample.target
        probabilities = sample.probabilities
        mask = decode(config, probabilities)
        of_image = np.repeat(counts.count(task, target, mask)[None], len(totals), axis=0)
        calibration += tally(*flatten_known(task, probabilities, sample.drawn))
        images_with_prediction[0] += classes_in(config, mask)
        for i, other in enumerate(others, start=1):
            other_mask = decode(other, probabilities)
            of_image[i] += _count_change(task, target, mask, other_mask)
            images_with_prediction[i] += classes_in(config, other_mask)
        totals += of_image
        image_counts.append(of_image[:kept].copy())
    return DecodeComparison(totals, calibration, images_with_prediction, np.stack(image_counts))


def combine(
    config: RunConfig, tried: Sequence[Candidate], totals: np.ndarray, goal: Goal
) -> list[DecodeConfig]:
    """Return `decode` sections that each add one more helpful setting, the best gain first.

    A setting helps if its class gains `GAIN` of Dice, and no class falls in Dice or in the score of
    the goal. Of the settings that remove objects of a class, only the best one is used. Of equally
    good ones it is the first, which removes the fewest objects.

    Args:
        config: The config that the settings are added to.
        tried: n settings.
        totals: (1 + n, 4, C), from `compare_decodes`.
        goal: Its score must not fall.
    """
    dice_before = counts.ratios(totals[0])["dice"]
    best: dict[tuple[int, bool], Candidate] = {}
    for candidate, total in zip(tried, totals[1:], strict=True):
        gains = counts.ratios(total)["dice"] - dice_before
        gain = float(gains[candidate.class_index])
        helps = gain >= GAIN and not _any_class_falls(totals[0], total, goal)
        if not helps:
            continue
        kind = (candidate.class_index, candidate.setting == "fill_holes")
        if kind not in best or gain > best[kind].gain:
            best[kind] = candidate._replace(gain=gain)
    steps = []
    section = config.decode
    for candidate in sorted(best.values(), key=lambda candidate: -candidate.gain):
        section = candidate.add_to(section, config.task)
        steps.append(section)
    return steps


def choose_step(config: RunConfig, totals: np.ndarray, goal: Goal) -> int:
    """Return the index of the highest mean foreground Dice.

    Entries in which a class falls below the first entry are left out. The result is 0 if no mean is
    known.

    Args:
        config: The run's config.
        totals: (1 + n, 4, C), from `compare_decodes`.
        goal: Its score must not fall either.
    """
    dice = []
    for total in totals:
        if _any_class_falls(totals[0], total, goal):
            dice.append(-1.0)
        else:
            dice.append(counts.means(config.task, total)["dice_foreground"])
    if np.isnan(dice).all():
        return 0
    return int(np.nanargmax(dice))


def _any_class_falls(before: np.ndarray, after: np.ndarray, goal: Goal) -> bool:
    old = counts.ratios(before)
    new = counts.ratios(after)
    return any((new[score] < old[score]).any() for score in ("dice", goal.score))


def _count_change(
    task: Task, target: np.ndarray, old_mask: np.ndarray, new_mask: np.ndarray
) -> np.ndarray:
    """Return the pixel counts (4, C) of the new mask minus those of the old one."""
    changed = any_plane(old_mask != new_mask)
    truth = target[changed][None]
    new_counts = counts.count(task, truth, new_mask[changed][None])
    old_counts = counts.count(task, truth, old_mask[changed][None])
    return new_counts - old_counts
