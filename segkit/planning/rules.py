"""From what a data set is to a config that trains it, each value with its reason.

The rules follow nnU-Net's planner for 2D (Isensee et al., nnU-Net, Nature Methods 2021, supplement, "rule-based
parameters") where it has one; where they differ, the reason in the config says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from segkit.config import Config, RunConfig
from segkit.inspection.class_problems import one_sided
from segkit.inspection.fingerprint import SampleFingerprint
from segkit.inspection.input_statistics import measure_input
from segkit.inspection.intensities import PERCENTILES
from segkit.inspection.mask_format.guess import Guess
from segkit.inspection.verdict import Verdict
from segkit.planning.choices import Plan
from segkit.task import Task

LARGEST_CROP = 512
SMALLEST_FEATURES = 8
"""Rows or columns that the deepest features keep at least, pixels; 4, as in nnU-Net, below a stem, where depth is cheap."""
RARE = 0.01
PLACES = (
    "images",
    "masks",
    "image_suffix",
    "mask_suffix",
    "list_file",
    "annotations",
    "name",
    "data_dir",
    "split",
    "image_key",
    "mask_key",
)
"""Settings of `data` that say where the files are."""


def draft(
    config: Config, verdict: Verdict, facts: Sequence[SampleFingerprint], guess: Guess | None
) -> Plan:
    """Return all that follows from the data alone; `fit_budget` chooses what the machine has a say in.

    `config` reads the data, as `guess` found out; without a guess it is the user's own, and its task is their word.
    """
    task = paired_by_name(verdict.task) if guess else config.task
    facts = [_with_background(fact, task) for fact in facts]
    validation = any(fact.part == "validation" for fact in facts)
    values: dict[str, Any] = config.model_dump(mode="json", exclude_defaults=True) | {
        "task": task.model_dump(mode="json")
    }
    reasons = {
        "task.kind": str(verdict) if guess else f"as your config says; the masks say: {verdict}"
    }
    if guess:
        reasons["task.classes"] = "in the order of their values; change the names as you like"
    if task.flip_pairs:
        reasons["task.flip_pairs"] = "a mirrored image has left and right exchanged"
    reasons |= _told_reading(config, guess)
    for rule in (_split, _augment, _input, _network, _weights, _training):
        chosen = rule(task, facts, validation)
        for setting, (value, reason) in chosen.items():
            section, _, key = setting.partition(".")
            if key:
                values.setdefault(section, {})[key] = value
            else:
                values[section] = value
            reasons[setting] = reason
    return Plan(RunConfig.model_validate(values), reasons)


def _told_reading(config: Config, guess: Guess | None) -> dict[str, str]:
    """Return the reasons of the settings by which the files are read."""
    words = f"how the masks are kept: {guess.read_as}" if guess else "as your config says"
    given = config.data.model_dump(exclude_defaults=True)
    places = {
        f"data.{setting}": "where the files are, or how they pair"
        for setting in PLACES
        if setting in given
    }
    told = "what is given says which sample is in which part" if guess else "as your config says"
    own = {f"data.{part}": told for part in ("validation", "test") if part in given}
    reasons = {**places, **own, "data.source": words}
    doubts = "; ".join(text for _, text in guess.doubts) if guess else ""
    for setting in ("mask_values", "mask_colours", "mask_threshold", "mask_ids"):
        if setting in given:
            reasons[f"data.{setting}"] = doubts or (
                "what was found in the masks; change the names" if guess else words
            )
    return reasons


def paired_by_name(task: Task) -> Task:
    """Return the task with a flip pair for every "left x" that has its "right x"."""
    pairs = [
        (name, other)
        for name in task.classes
        if (other := _mirrored(name)) != name and other in task.classes
    ]
    sided = {name for pair in task.flip_pairs for name in pair}
    new = [[name, other] for name, other in pairs if name < other and name not in sided]
    return Task.model_validate({**task.model_dump(), "flip_pairs": [*task.flip_pairs, *new]})


def _mirrored(name: str) -> str:
    return re.sub(r"(?i)(?<![^\W_])left(?![^\W_])", "right", name)


def _with_background(fact: SampleFingerprint, task: Task) -> SampleFingerprint:
    """Layers that turned out to exclude each other have a background before them, where no layer is."""
    if len(fact.classes) == task.channels:
        return fact
    return fact._replace(
        classes=np.concatenate([[fact.nothing], fact.classes]),
        left=np.concatenate([[0], fact.left]),
        objects=(np.zeros(0, np.int64), *fact.objects),
    )


Chosen = dict[str, tuple[Any, str]]


def _split(task: Task, facts: Sequence[SampleFingerprint], validation: bool) -> Chosen:
    if validation:
        return {}
    if len(facts) == 1:
        return {
            "data.validation": (
                0.0,
                "the only image trains; of a large one data.blocks: 512 makes several samples",
            ),
            "data.test": (0.0, "none; there is no other image"),
        }
    share = 0.2 if len(facts) < 1000 else 0.1
    reason = (
        f"{len(facts)} images: a fifth chooses the best epoch, as in nnU-Net's five folds"
        if share == 0.2
        else f"{len(facts)} images: a tenth is enough to choose the best epoch"
    )
    return {
        "data.validation": (share, reason),
        "data.test": (
            0.0,
            "none; give it a share, or images of its own, for a score that nothing was chosen by",
        ),
    }


def _augment(task: Task, facts: Sequence[SampleFingerprint], validation: bool) -> Chosen:
    train = [fact for fact in facts if fact.part == "train"]
    sided = list(dict.fromkeys([*task.sided, *one_sided(task, train)]))
    flip = (
        "off, because these classes have a side: " + ", ".join(sided)
        if sided
        else "on: no class seems to have a side"
    )
    spread = _spread(task, train)
    scale = 0.2 if spread > 2 else 0.1
    return {
        "augment.flip_horizontal": (not sided, flip),
        "augment.flip_vertical": (
            False,
            "off: most images have an above and a below; switch it on for views from above",
        ),
        "augment.rotate": (10.0, "degrees; small, so that an above stays above"),
        "augment.scale": (
            scale,
            f"object sizes (square root of area) spread {spread:.1f} times from the 10th to the 90th percentile",
        ),
        "augment.brightness": (0.1, "mild changes of light"),
        "augment.contrast": (0.1, "mild changes of light"),
    }


def _spread(task: Task, facts: Sequence[SampleFingerprint]) -> float:
    """Return how much larger large objects are than small ones, in length; the median over the classes."""
    spreads = []
    for index in task.foreground:
        areas = np.concatenate([fact.objects[index] for fact in facts])
        if areas.size:
            low, high = np.percentile(areas, (10, 90))
            spreads.append(math.sqrt(high / low))
    return float(np.median(spreads)) if spreads else 1.0


def _input(task: Task, facts: Sequence[SampleFingerprint], validation: bool) -> Chosen:
    train = [fact for fact in facts if fact.part == "train"]
    given = measure_input(train, facts).model_dump(mode="json")
    if given["dtype"] == "uint8":
        reason = (
            "8 bits: mean and deviation of all pixels, band by band; of the whole data set and not of each image, as nnU-Net "
            "does, so that a dark image stays dark"
        )
        return {"input": (given, reason)}
    bands = given["channels"]
    median = np.median(
        [np.broadcast_to(fact.percentiles, (len(PERCENTILES), bands)) for fact in train], axis=0
    )
    given["mean"] = [round(float(v), 4) for v in median[2]]
    given["std"] = [round(max(float(v), 1e-6), 4) or 1.0 for v in (median[-1] - median[0]) / 5.15]
    reason = (
        f"{given['dtype']}: median, and the 0.5 to 99.5 percentiles taken for 5.15 deviations, so that single bright or dead "
        f"pixels do not set the scale (nnU-Net clips CT at the same percentiles)"
    )
    return {"input": (given, reason)}


def _network(task: Task, facts: Sequence[SampleFingerprint], validation: bool) -> Chosen:
    sizes = np.median([fact.size for fact in facts], axis=0)
    crop, limit = _crop(task, facts), _largest_crop(task, facts)
    depth = depth_for(crop, 1)
    wide = (
        ", to hold twice the side of the largest class's usual objects"
        if limit > LARGEST_CROP
        else ""
    )
    words = (
        "the median image"
        if max(sizes) <= limit
        else f"the median image, at most {limit} a side{wide}"
    )
    return {
        "train.crop": (
            crop,
            f"{words}: context helps as much as memory allows (nnU-Net starts from the median shape, too)",
        ),
        "model.depth": (depth, _told_depth(crop, depth)),
        "model.width": (32, "channels at full resolution, doubled at each level, as in nnU-Net"),
        "model.widest": (512, "nnU-Net's limit in 2D"),
        "model.normalization": (
            "batch",
            "part of the convolutions in prediction, up to twice as fast as nnU-Net's instance; scores were level",
        ),
    }


def _crop(task: Task, facts: Sequence[SampleFingerprint]) -> list[int]:
    limit = _largest_crop(task, facts)
    return [int(min(limit, size)) for size in np.median([fact.size for fact in facts], axis=0)]


def _largest_crop(task: Task, facts: Sequence[SampleFingerprint]) -> int:
    """Return `LARGEST_CROP`; up to twice that, in steps of 32, if half of a class's objects are wider than half of it."""
    areas = [np.concatenate([fact.objects[index] for fact in facts]) for index in task.foreground]
    sides = [2 * math.sqrt(np.median(each)) for each in areas if each.size]
    return 32 * math.ceil(min(2 * LARGEST_CROP, max([LARGEST_CROP, *sides])) / 32)


def depth_for(crop: Sequence[int], stem: int) -> int:
    """Return how often the crop can be halved after a stem with `SMALLEST_FEATURES` left (4 below a stem); at least once.

    >>> depth_for((512, 512), 1), depth_for((217, 181), 4)
    (6, 3)
    """
    least = SMALLEST_FEATURES if stem == 1 else 4
    return max(1, min(6, int(math.log2(max(1.0, min(crop) / stem / least)))))


def _told_depth(crop: Sequence[int], depth: int) -> str:
    return (
        f"halved while the smaller edge keeps {SMALLEST_FEATURES} or more: here {min(crop) // 2**depth} (nnU-Net stops at 4; "
        f"at full resolution the last level is dear and adds little)"
    )


def _weights(task: Task, facts: Sequence[SampleFingerprint], validation: bool) -> Chosen:
    labelled = sum(fact.labelled for fact in facts)
    pixels = {task.classes[i]: sum(int(fact.classes[i]) for fact in facts) for i in task.foreground}
    shares = {name: count / labelled for name, count in pixels.items() if count}
    rare = {name: share for name, share in shares.items() if share < RARE}
    chosen: Chosen = {}
    if rare:
        weights = {
            name: round(min(4.0, math.sqrt(RARE / share)), 2) for name, share in rare.items()
        }
        told = ", ".join(f"{name} {100 * share:.2g} %" for name, share in rare.items())
        chosen["class_weights"] = (
            weights,
            f"rare: {told} of the pixels; square root of 1 % over the share, at most 4",
        )
    crop = _crop(task, facts)
    if any(fact.size[0] > crop[0] or fact.size[1] > crop[1] for fact in facts):
        chosen["train.foreground"] = (
            0.33,
            "a third of the patches hold an object, as in nnU-Net: images exceed the patch",
        )
    chosen["loss"] = (
        {"cross_entropy": 1.0, "dice": 1.0},
        "each pixel counts in the first, each class in the second; nnU-Net's choice, too",
    )
    return chosen


def _training(task: Task, facts: Sequence[SampleFingerprint], validation: bool) -> Chosen:
    return {
        "train.learning_rate": (
            0.002,
            "AdamW; twice Keras' default, as short trainings with normalisation bear it; falls to 0 along a cosine",
        ),
        "train.monitor": ("dice_foreground", "the best epoch is that of the best validation Dice"),
    }
