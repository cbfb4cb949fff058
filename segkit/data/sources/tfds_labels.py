"""Meanings of the mask values of well-known TensorFlow data sets.

These tables are used where a config sets no `data.mask_values`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from segkit.errors import ConfigError
from segkit.task import VOID, YES_NO, Task

MOST_NAMES = 25
"""Class names that a message lists at most."""


class ReadyMap(NamedTuple):
    """The features of a data set, and what each value of its mask means."""

    image_key: str
    mask_key: str
    values: Mapping[int, str]
    """The name of a class, "background" or "void" for each value."""
    undecided: tuple[str, ...] = ()
    """Classes that become void in a task without them; other missing classes become background."""
    band: int | None = None
    """The channel of the mask that stores the values."""
    without_masks: tuple[str, ...] = ()
    """Splits whose masks the publisher did not release."""
    channels: tuple[str, ...] = ()
    """The classes of the mask's channels, if the mask is multilabel."""


# The names of the features come from the builders in tensorflow_datasets/datasets/NAME/ (4.9.10).

# Source of the values: README of the annotations, "Pixel Annotations: 1: Foreground 2:Background
# 3: Not classified". Value 3 is a band along the outline, so a task may have a class "border".
OXFORD_PETS = ReadyMap(
    "image", "segmentation_mask", {1: "pet", 2: "background", 3: "border"}, undecided=("border",)
)

# Source of ids and names: cityscapesscripts/helpers/labels.py, where all other ids have
# ignoreInEval. The builder stores labelIds, not trainIds. The masks of its test split are dummies
# ("dummy annotations (ignore regions) for the test set").
CITYSCAPES_CLASSES = {
    7: "road",
    8: "sidewalk",
    11: "building",
    12: "wall",
    13: "fence",
    17: "pole",
    19: "traffic light",
    20: "traffic sign",
    21: "vegetation",
    22: "terrain",
    23: "sky",
    24: "person",
    25: "rider",
    26: "car",
    27: "truck",
    28: "bus",
    31: "train",
    32: "motorcycle",
    33: "bicycle",
}
CITYSCAPES = ReadyMap(
    "image_left",
    "segmentation_label",
    {value: CITYSCAPES_CLASSES.get(value, "void") for value in range(34)},
    without_masks=("test",),
)

# The builder downloads annotations_instance.tar with 100 classes, although its name promises 150:
# "the R(ed) channel encodes category ID, and the G(reen) channel encodes instance ID"
# (CSAILVision/placeschallenge, instancesegmentation/README.md). The names are in the order of their
# ids 1 to 100 (instancesegmentation/instanceInfo100_train.txt there). 0 is none of these objects.
PLACES_OBJECTS = """
bed, windowpane, cabinet, person, door, table, curtain, chair, car, painting, sofa, shelf, mirror,
armchair, seat, fence, desk, wardrobe, lamp, bathtub, railing, cushion, box, column, signboard,
chest of drawers, counter, sink, fireplace, refrigerator, stairs, case, pool table, pillow,
screen door, bookcase, coffee table, toilet, flower, book, bench, countertop, stove, palm,
kitchen island, computer, swivel chair, boat, arcade machine, bus, towel, light, truck, chandelier,
awning, streetlight, booth, television receiver, airplane, apparel, pole, bannister, ottoman,
bottle, van, ship, fountain, washer, plaything, stool, barrel, basket, bag, minibike, oven, ball,
food, step, trade name, microwave, pot, animal, bicycle, dishwasher, screen, sculpture, hood,
sconce, vase, traffic light, tray, ashcan, fan, plate, monitor, bulletin board, radiator, glass,
clock, flag
"""
PLACES_NAMES = [name.strip() for name in PLACES_OBJECTS.split(",")]
SCENE_PARSE = ReadyMap(
    "image",
    "annotation",
    dict(enumerate(["background", *PLACES_NAMES])),
    undecided=("background",),
    band=0,
)

READY = {"oxford_iiit_pet": OXFORD_PETS, "cityscapes": CITYSCAPES, "scene_parse150": SCENE_PARSE}


def find_ready(name: str, metadata: Mapping[str, Any] | None) -> ReadyMap | None:
    """Find the ready map of a data set.

    Args:
        name: Name of the data set.
        metadata: Its metadata. `segkit convert` writes kind and classes of the task there.

    Returns:
        The map that follows from the metadata, or the one known for this name; None without either.
    """
    written = (metadata or {}).get("segkit")
    if not written:
        return READY.get(name)
    task = Task.model_validate({"kind": written["kind"], "classes": written["classes"]})
    names: Sequence[str] = task.classes
    channels: tuple[str, ...] = ()
    if task.layered:
        names = YES_NO
        channels = task.classes
    elif task.implies_background:
        names = ("background", *task.classes)
    values = {**dict(enumerate(names)), VOID: "void"}
    return ReadyMap("image", "segmentation_mask", values, channels=channels)


def task_of(ready: ReadyMap) -> Task:
    """Return the task with all classes of a ready map."""
    if ready.channels:
        return Task.multilabel(list(ready.channels))
    names = [name for name in dict.fromkeys(ready.values.values()) if name != "void"]
    objects = [name for name in names if name != "background"]
    if len(names) == 2 and len(objects) == 1:
        return Task.binary(objects[0])
    if "background" in names:
        return Task.multiclass(["background", *objects])
    return Task.multiclass(objects)


def values_for(ready: ReadyMap, task: Task, name: str) -> dict[int, str]:
    """Translate a ready map to the classes of a task.

    Args:
        ready: The ready map of the data set.
        task: The task that reads the masks.
        name: Name of the data set, for messages.

    Returns:
        What each value means to the task, in the form of `data.mask_values`.

    Raises:
        ConfigError: If the task has a class that the data set does not know, or if it lacks a class
            and has no background to which the class could count.
    """
    known = [value for value in dict.fromkeys(ready.values.values()) if value != "void"]
    if task.layered and task.classes == ready.channels:
        return dict(ready.values)
    needed = {label for label in task.classes if label != task.background}
    if task.layered or ready.channels or not needed <= set(known):
        raise ConfigError(
            _describe_mismatch(ready.channels or tuple(known), task, name),
            "mismatch",
            setting="data",
        )
    return {value: _meaning(label, ready, task, name) for value, label in ready.values.items()}


def _meaning(label: str, ready: ReadyMap, task: Task, name: str) -> str:
    """Return the task's class for a class of the data set: its own name, background or void."""
    if label in task.classes or label == "void":
        return label
    if label == "background" and task.background is not None:
        return task.background
    if label in ready.undecided and not (label == "background" and task.implies_background):
        return "void"
    if task.implies_background:
        return "background"
    if task.background is None:
        raise ConfigError(
            f"{name} also has the class {label}, but the task has neither that class nor a "
            f"background. Add one of them to task.classes, or set data.mask_values to the meaning "
            f"of each value",
            "mismatch",
            setting="data",
        )
    return task.background


def _describe_mismatch(known: tuple[str, ...], task: Task, name: str) -> str:
    listed = ", ".join(known[:MOST_NAMES])
    if len(known) > MOST_NAMES:
        listed += f", ... ({len(known)} classes)"
    layout = "one class per pixel"
    if task.layered:
        layout = "one channel per class, in this order"
    return (
        f"{name} has the classes {listed}. The task is {task.kind} ({layout}), with the classes "
        f"{', '.join(task.classes)}. Use the names of the data set, or set data.mask_values to "
        f"the meaning of each value"
    )
