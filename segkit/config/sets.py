"""The sets of classes that a section `data` needs, so that the task has a mask value for each."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from segkit.config.data import DataConfig
from segkit.config.data_sets import set_configs
from segkit.config.soft_labels import annotator_configs
from segkit.task import Task
from segkit.task.layers import sets_left_open
from segkit.task.meanings import meant, with_sets
from segkit.task.soft import as_soft

MOST_IN_PAIRS = 10
"""Most classes whose boxes may overlap in pairs; pixels in boxes of more classes are VOID."""


def task_for(task: Task, data: DataConfig) -> Task:
    """Return a task that has all sets of classes which the settings of `data` name.

    Names that the task does not have are left out here; opening the data reports them.

    Args:
        task: The task of the masks.
        data: How the masks are read.
    """
    for section in (*set_configs(data).values(), *annotator_configs(data).values()):
        task = task_for(task, section)
    stored = stored_sets(task, data)
    task = with_sets(task, stored)
    unlabelled = [name for name in unlabelled_of(task, data) if name in task.classes]
    task = with_sets(task, sets_left_open(task, unlabelled, stored))
    return as_soft(task) if data.are_soft else task


def unlabelled_of(task: Task, data: DataConfig) -> tuple[str, ...]:
    """Return the classes that were not annotated in any sample.

    Args:
        task: The task of the masks.
        data: How the masks are read. Its names are not checked.
    """
    names = list(data.unlabelled or ())
    if data.labelled_classes is not None:
        labels = [task.classes[index] for index in task.foreground]
        names += [name for name in labels if name not in data.labelled_classes]
    return tuple(dict.fromkeys(names))


def for_new_masks(task: Task, data: DataConfig, images: Path, masks: Path) -> DataConfig:
    """Return settings that read other images and masks than those of the training.

    Such masks may contain classes that were not annotated for the training, which is no error.

    Args:
        task: The task of the masks.
        data: How the masks of the training are read.
        images: The folder of the images.
        masks: The folder of the masks.
    """
    settings = data.model_dump()
    settings |= {"images": images, "masks": masks, "list_file": None, "sets": None}
    settings["annotators"] = None
    settings |= {"labelled_classes": None, "labelled_area": None}
    settings["unlabelled"] = dict.fromkeys(unlabelled_of(task, data), "void") or None
    return DataConfig.model_validate(settings)


def annotated(labels: Sequence[str], data: DataConfig) -> list[str]:
    """Return those of some classes that `data.labelled_classes` allows; all if it is not set."""
    if data.labelled_classes is None:
        return list(labels)
    return [name for name in labels if name in data.labelled_classes]


def stored_sets(task: Task, data: DataConfig) -> list[list[str]]:
    """Return the sets of classes that values and colours of mask files, and boxes, mean.

    Args:
        task: The task of the masks; only one that stores class ids has sets.
        data: How the masks are read.
    """
    sets: list[list[str]] = []
    if not task.stores_ids:
        return sets
    for mapping in (data.mask_values, data.mask_colours):
        for meaning in (mapping or {}).values():
            values = meant(task, meaning) or ()
            sets.append([task.classes[value] for value in values])
    if data.boxes == "bounds":
        sets += _sets_in_boxes(task)
    return sets


def _sets_in_boxes(task: Task) -> list[list[str]]:
    """Return the sets of pixels inside one box, and inside boxes of two classes."""
    if task.background is None:
        return []
    names = [task.classes[index] for index in task.foreground]
    together: list[tuple[str, ...]] = [(name,) for name in names]
    if len(names) <= MOST_IN_PAIRS:
        together += itertools.combinations(names, 2)
    return [[task.background, *chosen] for chosen in together]
