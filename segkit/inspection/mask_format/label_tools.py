"""How to read the files of labelling tools: their shapes, and the classes of these."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from segkit import catalog
from segkit.config import DataConfig
from segkit.data.sources import roboflow, voc
from segkit.data.sources.coco_json import category_names
from segkit.data.sources.label_meanings import OTHERS, SKIP, USUAL
from segkit.data.sources.label_source import Labels
from segkit.data.sources.labelling_tools import classes_of_cvat
from segkit.errors import DataError
from segkit.inspection.mask_format.guess import Doubt, Guess, check_known, layered_guess
from segkit.inspection.mask_format.label_places import Place
from segkit.task import Task

MOST_NAMED = 12
"""Labels that are listed with their number of shapes."""
WITHOUT_NAME = "object"
"""The class of shapes without a label."""
Callback = Callable[[], None]


class Census(NamedTuple):
    """The labels and the kinds of the shapes of a data set."""

    labels: Counter[str]
    kinds: Counter[str]
    images: int


def detect_labels(
    data: DataConfig, place: Place, classes: Sequence[str], progress: Callback
) -> Guess:
    """Return how to read the files of a labelling tool; their labels are the classes.

    Args:
        data: The settings of the user.
        place: Where the files are.
        classes: The labels to use; all of them if none are named.
        progress: Called after each image.

    Raises:
        ConfigError: If a setting is missing that says what the files mean.
        DataError: If the files cannot be read, or lack one of the classes.
    """
    data = data.model_copy(update=place.settings)
    if place.source == "voc":
        return _detect_voc(data, place.images, classes)
    if place.source in ("coco", "roboflow"):
        words = "COCO annotations"
        if place.source == "roboflow":
            words = "COCO annotations of Roboflow"
        names = [name for name in _categories(place) if name != data.area_label]
        return layered_guess(data, names, classes, words)
    labels: Labels = catalog.load_part(catalog.LABELS, place.source)(data)
    counts = count_labels(labels, progress)
    names = _class_names(labels, counts, data)
    words = describe_labels(labels, counts)
    meanings = dict(data.labels or {})
    if "" in counts.labels and WITHOUT_NAME in names:
        meanings.setdefault("", WITHOUT_NAME)
    if classes and set(names) - set(classes):
        meanings.setdefault(OTHERS, SKIP)
    if meanings:
        data = data.model_copy(update={"labels": meanings})
    if labels.outside_is_void and data.outside_shapes != "background":
        return _exclusive(data, names, classes, words)
    return layered_guess(data, names, classes, words)


def _categories(place: Place) -> list[str]:
    if place.source == "coco" and place.annotations is not None:
        return category_names(place.annotations)
    names: dict[str, None] = {}
    for folder in roboflow.folders_of(place.images).values():
        names.update(dict.fromkeys(category_names(folder / roboflow.FILE)))
    return list(names)


def count_labels(labels: Labels, progress: Callback = lambda: None) -> Census:
    """Count the shapes of a data set by label and by kind. Files that cannot be read do not count.

    Args:
        labels: The images and their labels.
        progress: Called after each image.
    """
    counts = Census(Counter(), Counter(), len(labels.images))
    for image in labels.images.values():
        regions = []
        if image.is_labelled:
            try:
                regions = list(labels.content(image).regions)
            except DataError:  # it is reported when the image is read
                regions = []
        counts.labels.update(region.label for region in regions)
        counts.kinds.update(region.kind for region in regions)
        progress()
    return counts


def _class_names(labels: Labels, counts: Census, data: DataConfig) -> list[str]:
    """Return the classes of the shapes: declared ones in the tool's order, then others by name."""
    meanings = {**USUAL, **labels.usual, **(data.labels or {})}
    found: dict[str, None] = {}
    for label in [*labels.classes, *sorted(set(counts.labels) - set(labels.classes))]:
        if not counts.labels[label]:
            continue
        name = meanings.get(label, label or WITHOUT_NAME)
        if name not in (SKIP, "void", "background") and label != data.area_label:
            found[name] = None
    return list(found)


def describe_labels(labels: Labels, counts: Census) -> str:
    """Return what was found, such as "12 shapes of labelme (10 polygon, 2 circle) in 3 images".

    Args:
        labels: The images and their labels.
        counts: Their shapes.
    """
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in counts.kinds.most_common())
    named = []
    for label, number in counts.labels.most_common(MOST_NAMED):
        named.append(f"{label or '(no label)'} {number:,}")
    if len(counts.labels) > MOST_NAMED:
        named.append("...")
    words = f"{counts.kinds.total():,} shapes of {labels.tool} ({kinds or 'none'})"
    words += f" in {counts.images:,} images; labels: {', '.join(named) or 'none'}"
    if labels.unlabelled:
        words += f"; {len(labels.unlabelled):,} images without labels"
    if labels.in_order:
        words += "; in a multiclass task, later shapes hide earlier ones"
    return words


def _detect_voc(data: DataConfig, folder: Path, classes: Sequence[str]) -> Guess:
    """Return how to read VOC's folders: the classes of VOC, or of CVAT's labelmap.txt."""
    names = list(dict.fromkeys(classes_of_cvat(folder / voc.MASKS).values()))
    words = "masks of CVAT; classes as its labelmap.txt names them"
    doubts: tuple[Doubt, ...] = ()
    if not names:
        names = voc.classes_of_voc(folder)
        words = "masks of labelme; classes as its class_names.txt names them"
    if names == list(voc.CLASSES):
        words = "masks in the folders of Pascal VOC, with its classes"
        message = (
            "the values are taken for the classes of Pascal VOC, because no labelmap.txt or "
            "class_names.txt names others. Otherwise name the images and the masks: "
            "segkit inspect JPEGImages SegmentationClass"
        )
        doubts = (Doubt("mask-values", message),)
    if classes and set(names) - {"background"} - set(classes):
        data = data.model_copy(update={"labels": {OTHERS: "background", **(data.labels or {})}})
    if len(classes) == 1:
        return Guess(data, Task.binary(classes[0]), words, doubts)
    if classes and "background" not in classes:
        classes = ["background", *classes]
    return _exclusive(data, names, classes, words)._replace(doubts=doubts)


def _exclusive(data: DataConfig, names: Sequence[str], classes: Sequence[str], words: str) -> Guess:
    """Return a guess of classes that exclude each other."""
    check_known(names, classes)
    return Guess(data, Task.multiclass(list(classes or names)), words)
