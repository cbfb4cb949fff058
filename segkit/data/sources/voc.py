"""Pascal VOC's folders: JPEGImages, SegmentationClass and ImageSets/Segmentation.

CVAT's format "Segmentation mask 1.1" has the same folders, and a labelmap.txt with the colours of
the classes. labelme's script labelme2voc.py writes the folders, too, and a class_names.txt. Source:
http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from segkit.config import DataConfig
from segkit.data.sources.folder import FolderSource
from segkit.data.sources.label_images import folder_of_images
from segkit.data.sources.label_meanings import BACKGROUND, SKIP, VOID_NAME, Meanings
from segkit.data.sources.label_source import list_names
from segkit.data.sources.label_values import read_lines
from segkit.data.sources.labelling_tools import classes_of_cvat, classes_of_labelme
from segkit.data.sources.pair_names import PARTS
from segkit.data.sources.pair_pages import Pair, Pairs
from segkit.errors import DataError
from segkit.io.image_files import list_images
from segkit.task import VOID, Task

IMAGES = "JPEGImages"
MASKS = "SegmentationClass"
LISTS = Path("ImageSets", "Segmentation")
"""The folders, below that of the data set."""
CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
"""VOC's classes in the order of their values."""


def open_voc(data: DataConfig, task: Task) -> FolderSource:
    """Open the voc source of a config's `data` section.

    Args:
        data: The section. `images` is the folder with JPEGImages and SegmentationClass.
        task: The task whose masks are read.

    Raises:
        ConfigError: If a setting is missing or does not fit.
        DataError: If images or masks are missing.
    """
    root = folder_of_images(data.images, "voc")
    masks = {}
    if (root / MASKS).is_dir():
        masks = list_images(root / MASKS)
    if not masks:
        raise DataError(f"{root}: has no masks in a folder {MASKS}", "empty")
    pairs = _pairs(root, masks)
    meanings = _meanings(root, task, data)
    update = {"images": root / IMAGES, "masks": root / MASKS, **meanings}
    return FolderSource(data.model_copy(update=update), task, pairs)


def is_voc(root: Path) -> bool:
    """Return whether a folder has VOC's folders of images and masks."""
    return (root / MASKS).is_dir() and (root / IMAGES).is_dir()


def _pairs(root: Path, masks: Mapping[str, Path]) -> Pairs:
    """Pair masks and images by name. Images without a mask are not used, as in VOC."""
    images = list_images(root / IMAGES)
    alone = sorted(set(masks) - set(images))
    if alone:
        raise DataError(
            f"{root}: {len(alone)} masks without an image in {IMAGES}: {list_names(alone)}",
            "unpaired",
        )
    by_name = {name: Pair(images[name], {"": path}) for name, path in sorted(masks.items())}
    parts: dict[str, list[str]] = {}
    for word, part in PARTS.items():
        file = root / LISTS / f"{word}.txt"
        if file.is_file():
            listed = [line.strip() for line in read_lines(file)]
            parts[part] = [name for name in dict.fromkeys(listed) if name in by_name]
    names = [name for listed in parts.values() for name in listed]
    if "train" not in parts or len(parts) < 2 or len(set(names)) < len(names):
        return Pairs(by_name, {})
    return Pairs(by_name, parts)


def _meanings(
    root: Path, task: Task, data: DataConfig
) -> dict[str, dict[str, str] | dict[int, str]]:
    """Return the settings that name the colours of CVAT's classes, or the values of VOC's."""
    if data.mask_values is not None or data.mask_colours is not None:
        return {}
    meaning = Meanings(task, data, {})
    by_colour = classes_of_cvat(root / MASKS)
    if by_colour:
        colours = {}
        for colour, label in by_colour.items():
            colours[f"#{colour:06x}"] = _name(meaning(label), task)
        return {"mask_colours": colours}
    values = {}
    for value, label in enumerate(classes_of_voc(root)):
        values[value] = _name(meaning(label), task)
    return {"mask_values": {**values, VOID: VOID_NAME}}


def classes_of_voc(root: Path) -> list[str]:
    """Return the classes in the order of their values: of labelme's class_names.txt, or VOC's."""
    return classes_of_labelme(root / MASKS) or list(CLASSES)


def _name(meaning: str, task: Task) -> str:
    """Return the name of a meaning in `data.mask_values`."""
    if meaning not in (BACKGROUND, SKIP):
        return meaning
    return task.background or BACKGROUND
