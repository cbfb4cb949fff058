"""Cityscapes: the polygons of gtFine or gtCoarse for the images of leftImg8bit.

Source: https://github.com/mcordts/cityscapesScripts. Later polygons hide earlier ones, a label such
as "cargroup" means the class "car" where single objects were not separated, and pixels outside all
polygons are unlabelled. Labels that Cityscapes does not score are void unless they are classes of
the task.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from segkit.config import DataConfig
from segkit.data.rasterise import Polygon, Size
from segkit.data.sources.label_images import files_below, folder_of_images
from segkit.data.sources.label_source import (
    Content,
    LabelledImage,
    Labels,
    LabelSource,
    Region,
    divide,
)
from segkit.data.sources.label_values import (
    as_object,
    list_field,
    polygon_of,
    read_json,
    size_of,
    text_field,
)
from segkit.data.sources.pair_names import parts_by_folder
from segkit.errors import DataError
from segkit.io.image_files import list_images
from segkit.task import Task

CLASSES = (
    "road",
    "sidewalk",
    "building",
    "wall",
    "fence",
    "pole",
    "traffic light",
    "traffic sign",
    "vegetation",
    "terrain",
    "sky",
    "person",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
)
"""The classes that Cityscapes scores, in the order of their train ids."""
NOT_SCORED = (
    "unlabeled",
    "ego vehicle",
    "rectification border",
    "out of roi",
    "static",
    "dynamic",
    "ground",
    "parking",
    "rail track",
    "guard rail",
    "bridge",
    "tunnel",
    "polegroup",
    "caravan",
    "trailer",
    "license plate",
)
"""Labels that Cityscapes does not score."""
IMAGES = "leftImg8bit"
POLYGONS = ("gtFine", "gtCoarse")
"""Folders of images and of polygons, and the ends of their file names."""
WITHHELD = "test"
"""The folder whose polygons are not public; its files contain borders only."""


def open_cityscapes(data: DataConfig, task: Task) -> LabelSource:
    """Open the cityscapes source of a config's `data` section.

    Args:
        data: The section. `images` is the folder with leftImg8bit and gtFine, or leftImg8bit
            itself; then `annotations` is the folder gtFine.
        task: The task whose masks are made.

    Raises:
        ConfigError: If a setting is missing or does not fit.
        DataError: If a folder is missing.
    """
    return LabelSource(find_cityscapes(data), task, data)


def find_cityscapes(data: DataConfig) -> Labels:
    """Pair the images with their polygons.

    Args:
        data: The section.

    Raises:
        ConfigError: If a setting is missing.
        DataError: If a folder is missing.
    """
    root = folder_of_images(data.images, "cityscapes")
    images = root
    if (root / IMAGES).is_dir():
        images = root / IMAGES
    annotations = data.annotations or _folder_of_polygons(root)
    by_name = _images_with_labels(images)
    scored = _polygon_files(annotations)
    absent = [str(path) for name, path in scored.items() if name not in by_name]
    names, left_out = divide(list(by_name), scored, data, "leave_out")
    found = {}
    for name in names:
        file = scored.get(name, annotations / f"{name}_gtFine_polygons.json")
        found[name] = LabelledImage(by_name[name], file, is_labelled=name in scored)
    return Labels(
        tool="cityscapes",
        images=found,
        content=read_cityscapes,
        parts=parts_by_folder(found),
        classes=CLASSES,
        in_order=True,
        outside_is_void=True,
        usual=dict.fromkeys(NOT_SCORED, "void"),
        unlabelled=left_out,
        absent=absent,
    )


def _images_with_labels(folder: Path) -> dict[str, Path]:
    """Return the images whose polygons are public, by the name that they share with them."""
    ending = f"_{IMAGES}"
    by_name = {}
    for name, path in list_images(folder).items():
        if name.endswith(ending) and not name.startswith(f"{WITHHELD}/"):
            by_name[name.removesuffix(ending)] = path
    return by_name


def _polygon_files(folder: Path) -> dict[str, Path]:
    """Return the public files of polygons by name; a fine one comes before a coarse one."""
    labelled: dict[str, Path] = {}
    for kind in reversed(POLYGONS):
        labelled |= files_below(folder, f"_{kind}_polygons.json")
    return {name: path for name, path in labelled.items() if not name.startswith(f"{WITHHELD}/")}


def _folder_of_polygons(root: Path) -> Path:
    """Return the folder of polygons in the data set's folder, or beside leftImg8bit."""
    for place in (root, root.parent):
        for name in POLYGONS:
            if (place / name).is_dir():
                return place / name
    raise DataError(
        f"{root}: there is no folder {' or '.join(POLYGONS)} in it; set data.annotations",
        "missing-file",
    )


def read_cityscapes(labelled: LabelledImage) -> Content:
    """Read the polygons of an image.

    Args:
        labelled: The image and its file of polygons.

    Raises:
        DataError: With the file, if it is not valid.
    """
    where = str(labelled.file)
    entry = as_object(read_json(labelled.file), where)
    regions = []
    for number, value in enumerate(list_field(entry, "objects", where)):
        place = f"{where}: objects[{number}]"
        fields = as_object(value, place)
        if fields.get("deleted"):
            continue
        label = _without_group(text_field(fields, "label", place))
        make = partial(_polygon, fields.get("polygon"))
        regions.append(Region(label, "polygon", f"objects[{number}]", make))
    return Content(regions, size_of(entry, "imgHeight", "imgWidth", where))


def _without_group(label: str) -> str:
    """Return the class of a group of objects, such as "car" for "cargroup"."""
    single = label.removesuffix("group")
    if single in CLASSES and label not in NOT_SCORED:
        return single
    return label


def _polygon(points: Any, size: Size) -> Polygon:
    return polygon_of([points], size)
