"""What the mask values of well-known TensorFlow data sets mean: plain tables, used where a config gives no mask_values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from segkit.errors import ConfigError
from segkit.task import VOID, YES_NO, Task


class ReadyMap(NamedTuple):
    """Where a data set keeps image and mask, and what each value of the mask means: a class, "background" or "void"."""

    image_key: str
    mask_key: str
    values: Mapping[int, str]
    undecided: tuple[str, ...] = ()
    """Names that become void where the task has no such class; other classes that the task leaves out are background."""
    band: int | None = None
    """The channel of the mask that holds the values."""
    without_masks: tuple[str, ...] = ()
    """Splits whose masks were kept back by the publisher."""
    channels: tuple[str, ...] = ()
    """The classes of a multilabel mask's channels."""


# Feature names of all three: the builders in tensorflow_datasets/datasets/NAME/ (4.9.10).

# Values: README of the annotations, "Pixel Annotations: 1: Foreground 2:Background 3: Not classified". The third is a
# band along the outline, so a task may make a class of it, called border.
OXFORD_PETS = ReadyMap(
    "image", "segmentation_mask", {1: "pet", 2: "background", 3: "border"}, undecided=("border",)
)

# Ids and names: cityscapesscripts/helpers/labels.py; the others have ignoreInEval there. The builder stores labelIds, not
# trainIds. The masks of its test split are dummies ("dummy annotations (ignore regions) for the test set").
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

# The builder downloads annotations_instance.tar, not the 150 classes that its name promises: "the R(ed) channel encodes
# category ID, and the G(reen) channel encodes instance ID" (CSAILVision/placeschallenge, instancesegmentation/README.md).
# Names in the order of their ids 1 to 100: instancesegmentation/instanceInfo100_train.txt there. 0 is no such object.
PLACES_OBJECTS = """
bed, windowpane, cabinet, person, door, table, curtain, chair, car, painting, sofa, shelf, mirror, armchair, seat, fence,
desk, wardrobe, lamp, bathtub, railing, cushion, box, column, signboard, chest of drawers, counter, sink, fireplace,
refrigerator, stairs, case, pool table, pillow, screen door, bookcase, coffee table, toilet, flower, book, bench,
countertop, stove, palm, kitchen island, computer, swivel chair, boat, arcade machine, bus, towel, light, truck,
chandelier, awning, streetlight, booth, television receiver, airplane, apparel, pole, bannister, ottoman, bottle, van,
ship, fountain, washer, plaything, stool, barrel, basket, bag, minibike, oven, ball, food, step, trade name, microwave,
pot, animal, bicycle, dishwasher, screen, sculpture, hood, sconce, vase, traffic light, tray, ashcan, fan, plate, monitor,
bulletin board, radiator, glass, clock, flag
"""
SCENE_PARSE = ReadyMap(
    "image",
    "annotation",
    dict(enumerate(["background", *(name.strip() for name in PLACES_OBJECTS.split(","))])),
    undecided=("background",),
    band=0,
)

READY = {"oxford_iiit_pet": OXFORD_PETS, "cityscapes": CITYSCAPES, "scene_parse150": SCENE_PARSE}


def find_ready(name: str, metadata: Mapping[str, Any] | None) -> ReadyMap | None:
    """Return the map of the data set called `name`, or the one that `segkit convert` wrote into its metadata."""
    written = (metadata or {}).get("segkit")
    if not written:
        return READY.get(name)
    task = Task.model_validate({"kind": written["kind"], "classes": written["classes"]})
    if task.layered:
        return ReadyMap(
            "image",
            "segmentation_mask",
            {**dict(enumerate(YES_NO)), VOID: "void"},
            channels=task.classes,
        )
    names = ("background", *task.classes) if task.implies_background else task.classes
    return ReadyMap("image", "segmentation_mask", {**dict(enumerate(names)), VOID: "void"})


def task_of(ready: ReadyMap) -> Task:
    """Return the task that a ready map describes, all its classes in it."""
    if ready.channels:
        return Task.multilabel(list(ready.channels))
    names = [name for name in dict.fromkeys(ready.values.values()) if name != "void"]
    objects = [name for name in names if name != "background"]
    if len(names) == 2 and len(objects) == 1:
        return Task.binary(objects[0])
    return Task.multiclass([*(["background"] if "background" in names else []), *objects])


def values_for(ready: ReadyMap, task: Task, name: str) -> dict[int, str]:
    """Return what the values of the data set `name` mean to a task, as data.mask_values would say it.

    Raises `ConfigError` where the task has a class that the data set does not know, or leaves one out and has no
    background to put it in.
    """
    known = [value for value in dict.fromkeys(ready.values.values()) if value != "void"]
    if task.layered and task.classes == ready.channels:
        return dict(ready.values)
    wanted = {label for label in task.classes if label != task.background}
    if task.layered or ready.channels or not wanted <= set(known):
        raise ConfigError(
            _unlike(ready.channels or tuple(known), task, name),
            "mismatch",
            setting="data",
        )
    return {value: _meaning(label, ready, task, name) for value, label in ready.values.items()}


def _meaning(label: str, ready: ReadyMap, task: Task, name: str) -> str:
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
            f"{name} also has {label}, and the task has neither that class nor a background to "
            f"count it to. Add one to task.classes, or say by data.mask_values what each value "
            f"means",
            "mismatch",
            setting="data",
        )
    return task.background


def _unlike(known: tuple[str, ...], task: Task, name: str) -> str:
    shown = ", ".join(known[:25]) + (f", ... ({len(known)} classes)" if len(known) > 25 else "")
    each = "a channel a class, in this order" if task.layered else "one class a pixel"
    return (
        f"{name} has the classes {shown}, and a {task.kind} task with {each} was given "
        f"{', '.join(task.classes)}. Take its names, or say by data.mask_values what each value "
        f"means to your classes"
    )
