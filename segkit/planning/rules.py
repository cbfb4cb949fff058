"""Rules that choose settings from the data, each with its reason.

The rules follow nnU-Net's planner for 2D (Isensee et al., nnU-Net, Nature Methods 2021, supplement,
"rule-based parameters") where it has one. Where they differ, the reason in the config says so.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from segkit.config import Config, RunConfig
from segkit.inspection.class_problems import one_sided
from segkit.inspection.fingerprint import SampleFingerprint
from segkit.inspection.input_statistics import measure_input
from segkit.inspection.intensities import PERCENTILES
from segkit.inspection.mask_format.guess import Guess
from segkit.inspection.verdict import Verdict
from segkit.planning.choices import Choice, Plan
from segkit.planning.network_rules import choose_network
from segkit.planning.reading_reasons import explain_reading, explain_task
from segkit.task import Task

RARE = 0.01
"""Share of the labelled pixels below which a class is rare."""
LARGEST_WEIGHT = 4.0
"""Upper limit of a class weight."""
FEW_IMAGES = 60
"""Below this number of images the split was measured by benchmarks/small_data.py."""
LEAST_KNOWN = 0.1
"""Least share of known labels by which a training is prolonged."""
DEVIATIONS = 5.15
"""Standard deviations between the percentiles 0.5 and 99.5 of a normal distribution."""


def draft(
    config: Config,
    verdict: Verdict,
    facts: Sequence[SampleFingerprint],
    guess: Guess | None,
    small_batches: bool = False,
) -> Plan:
    """Choose the settings that follow from the data alone; `fit_budget` chooses the others.

    Args:
        config: The config that reads the data, either detected or the user's own.
        verdict: The task that the masks suggest.
        facts: The fingerprint of each sample.
        guess: How the masks were detected to be stored. None if the config is the user's own; its
            task is then used.
        small_batches: Whether a batch has two images, as with a time budget.

    Returns:
        The config and the reason for each chosen value.
    """
    task = config.task
    if guess:
        task = pair_by_name(verdict.task)
    facts = [add_background(fact, task) for fact in facts]
    values = config.model_dump(mode="json", exclude_defaults=True)
    values["task"] = task.model_dump(mode="json")
    reasons = explain_task(task, verdict, guess)
    reasons |= explain_reading(config.data, guess)
    choices = _choose_settings(task, facts, config.data.on_all, small_batches)
    for setting, choice in choices.items():
        _set_value(values, setting, choice.value)
        reasons[setting] = choice.reason
    return Plan(RunConfig.model_validate(values), reasons)


def _choose_settings(
    task: Task, facts: Sequence[SampleFingerprint], on_all: bool, small_batches: bool
) -> dict[str, Choice]:
    """Return the choice of each setting by its name, such as "train.crop"."""
    train = [fact for fact in facts if fact.part == "train"]
    choices: dict[str, Choice] = {}
    if not on_all and not any(fact.part == "validation" for fact in facts):
        choices["data.validation"] = _choose_validation(len(facts))
        choices["data.test"] = _choose_test(len(facts))
    choices |= _choose_augmentation(task, train)
    choices["input"] = _choose_input(train, facts)
    choices |= choose_network(facts, _object_areas(task, facts), small_batches)
    shares = _rare_classes(task, facts)
    if shares:
        choices["class_weights"] = _choose_class_weights(shares)
    crop = choices["train.crop"].value
    if any(fact.size[0] > crop[0] or fact.size[1] > crop[1] for fact in facts):
        choices["train.foreground"] = Choice(
            0.33,
            "Images are larger than the patches. A third of the patches is therefore placed so "
            "that it holds an object, as in nnU-Net.",
        )
    return choices | _choose_training()


def _set_value(values: dict[str, Any], setting: str, value: Any) -> None:
    """Set a setting such as "train.crop" or "loss" in the values of a config."""
    section, _, key = setting.partition(".")
    if key:
        values.setdefault(section, {})[key] = value
    else:
        values[section] = value


def pair_by_name(task: Task) -> Task:
    """Return the task with a flip pair for each class "left x" that has a class "right x"."""
    paired = set(itertools.chain.from_iterable(task.flip_pairs))
    pairs: list[Sequence[str]] = [*task.flip_pairs]
    for name in task.classes:
        other = _opposite_name(name)
        is_new = name < other and name not in paired
        if is_new and other in task.classes:
            pairs.append([name, other])
    return Task.model_validate({**task.model_dump(), "flip_pairs": pairs})


def _opposite_name(name: str) -> str:
    """Return a name with the word "right" in place of "left"."""
    return re.sub(r"(?i)(?<![^\W_])left(?![^\W_])", "right", name)


def add_background(fact: SampleFingerprint, task: Task) -> SampleFingerprint:
    """Return the fingerprint with a background if the task has one more class than the masks.

    Args:
        fact: The fingerprint of a sample, whose masks may have been read as layers.
        task: The task of the plan.
    """
    if len(fact.classes) == task.channels:
        return fact
    return fact._replace(
        classes=np.concatenate([[fact.nothing], fact.classes]),
        left=np.concatenate([[0], fact.left]),
        known=np.concatenate([[fact.labelled], fact.known]),
        objects=(np.zeros(0, np.int64), *fact.objects),
    )


def known_share(task: Task, facts: Sequence[SampleFingerprint]) -> float:
    """Return the share of labelled pixels that say whether they are a class, over all classes.

    It is 1 if each label is one class, also for strokes. It is about 3/8 if each image was
    annotated for three of eight classes. Then a training needs about 8/3 as many samples
    (docs/how-to/few-labels.md).

    Args:
        task: The task of the plan.
        facts: The fingerprints of the training images.

    Returns:
        From `LEAST_KNOWN` to 1; 1 if nothing is labelled.
    """
    labelled = sum(fact.labelled for fact in facts) * len(task.foreground)
    if not labelled:
        return 1.0
    known = 0
    for fact in facts:
        known += int(sum(fact.known[index] for index in task.foreground))
    return max(LEAST_KNOWN, known / labelled)


def _object_areas(task: Task, facts: Sequence[SampleFingerprint]) -> list[np.ndarray]:
    """Return the areas in pixels of all objects, one array per foreground class."""
    areas = []
    for index in task.foreground:
        areas.append(np.concatenate([fact.objects[index] for fact in facts]))
    return areas


def _choose_validation(images: int) -> Choice:
    if images == 1:
        return Choice(
            0.0,
            "There is only one image, and it is used for training. If it is large, data.blocks: "
            "512 cuts it into several samples.",
        )
    if images < FEW_IMAGES:
        return Choice(
            0.2,
            f"There are only {images} images. A fifth of them chooses the best epoch. Training on "
            f"all of so few images was neither better nor worse on average, and leaves no score. "
            f"The options --set data.test=0 --fold all/5 --on-all score every image.",
        )
    if images < 1000:
        return Choice(
            0.2,
            f"There are {images} images. A fifth of them chooses the best epoch, as in nnU-Net's "
            f"five folds.",
        )
    return Choice(
        0.1, f"There are {images} images. A tenth of them is enough to choose the best epoch."
    )


def _choose_test(images: int) -> Choice:
    if images == 1:
        return Choice(0.0, "There is no test part, because there is no other image.")
    return Choice(
        0.0,
        "There is no test part. For a score on images by which nothing was chosen, set a share or "
        "give the test part images of its own.",
    )


def _choose_augmentation(task: Task, train: Sequence[SampleFingerprint]) -> dict[str, Choice]:
    lighting = "Small changes imitate different light."
    return {
        "augment.flip_horizontal": _choose_mirroring(task, train),
        "augment.flip_vertical": Choice(
            False, "Most images have a top and a bottom. Switch this on for views from above."
        ),
        "augment.rotate": Choice(
            10.0,
            "The largest rotation in degrees. It is small, so that the top of an image stays at "
            "the top.",
        ),
        "augment.scale": _choose_scale(_object_areas(task, train)),
        "augment.brightness": Choice(0.1, lighting),
        "augment.contrast": Choice(0.1, lighting),
    }


def _choose_mirroring(task: Task, train: Sequence[SampleFingerprint]) -> Choice:
    by_name = task.sided
    by_place = one_sided(task, train)
    sided = list(dict.fromkeys([*by_name, *by_place]))
    if sided:
        names = ", ".join(sided)
        return Choice(
            False, f"Images are not mirrored, because these classes have a side: {names}."
        )
    return Choice(True, "Images are mirrored, because no class seems to have a side.")


def _choose_scale(object_areas: Sequence[np.ndarray]) -> Choice:
    ratio = _size_ratio(object_areas)
    scale = 0.1
    if ratio > 2:
        scale = 0.2
    return Choice(
        scale,
        f"This is 0.2 if the sizes of objects (square root of the area) differ by a factor above 2 "
        f"between the 10th and the 90th percentile, otherwise 0.1. Here the factor is {ratio:.1f}.",
    )


def _size_ratio(object_areas: Sequence[np.ndarray]) -> float:
    """Return the ratio of large to small objects' sides, as the median over the classes."""
    ratios = []
    for areas in object_areas:
        if areas.size:
            small, large = np.percentile(areas, (10, 90))
            ratios.append(math.sqrt(large / small))
    if not ratios:
        return 1.0
    return float(np.median(ratios))


def _choose_input(train: Sequence[SampleFingerprint], facts: Sequence[SampleFingerprint]) -> Choice:
    """Choose the statistics by which images are scaled, from the training images."""
    values = measure_input(train, facts).model_dump(mode="json", exclude_none=True)
    if values["dtype"] == "uint8":
        return Choice(
            values,
            "The images have 8 bits. Each band is scaled by the mean and the standard deviation of "
            "the pixels of all images. nnU-Net scales each image by its own, but then a dark image "
            "does not stay dark.",
        )
    shape = (len(PERCENTILES), values["channels"])
    median = np.median([np.broadcast_to(fact.percentiles, shape) for fact in train], axis=0)
    middle = median[PERCENTILES.index(50.0)]
    widths = median[-1] - median[0]
    values["mean"] = [round(float(value), 4) for value in middle]
    values["std"] = [_deviation_of(width) for width in widths]
    return Choice(
        values,
        f"The images are of type {values['dtype']}. The mean is the median of each band. The "
        f"standard deviation is the distance between the percentiles 0.5 and 99.5, divided by "
        f"{DEVIATIONS}. Single bright or dead pixels do not change them. nnU-Net clips CT images "
        f"at the same percentiles.",
    )


def _deviation_of(width: float) -> float:
    """Return the standard deviation of values whose outer percentiles are `width` apart."""
    deviation = round(max(float(width / DEVIATIONS), 1e-6), 4)
    return deviation or 1.0


def _rare_classes(task: Task, facts: Sequence[SampleFingerprint]) -> dict[str, float]:
    """Return the rare foreground classes that occur, with their share of the pixels.

    The pixels are those that say whether they have the class.
    """
    rare = {}
    for index in task.foreground:
        pixels = sum(int(fact.classes[index]) for fact in facts)
        known = sum(int(fact.known[index]) for fact in facts)
        if pixels and pixels / known < RARE:
            rare[task.classes[index]] = pixels / known
    return rare


def _choose_class_weights(shares: Mapping[str, float]) -> Choice:
    """Choose the weights of rare classes from their shares of the pixels."""
    weights = {}
    descriptions = []
    for name, share in shares.items():
        weights[name] = round(min(LARGEST_WEIGHT, math.sqrt(RARE / share)), 2)
        descriptions.append(f"{name} {100 * share:.2g} %")
    return Choice(
        weights,
        f"These classes are rare: {', '.join(descriptions)} of the pixels. A weight is the square "
        f"root of 1 % divided by the share, at most {LARGEST_WEIGHT:g}.",
    )


def _choose_training() -> dict[str, Choice]:
    return {
        "loss": Choice(
            {"cross_entropy": 1.0, "dice": 1.0},
            "Cross-entropy counts every pixel alike, and Dice counts every class alike. nnU-Net "
            "uses both, too.",
        ),
        "train.learning_rate": Choice(
            0.002,
            "This is the highest rate of AdamW; it falls to 0 along a cosine. It is twice Keras' "
            "default, because short trainings with normalization remain stable at it.",
        ),
        "train.monitor": Choice(
            "dice_foreground", "The best epoch is the one with the best validation Dice."
        ),
    }
