"""Recognises the files of labelling tools in a folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from segkit.config import DataConfig
from segkit.data.sources import cityscapes, cvat, labelstudio, qupath, rle, roboflow, via, voc, yolo
from segkit.data.sources.label_images import files_below
from segkit.data.sources.label_values import read_json, read_lines
from segkit.data.sources.labelme import is_labelme
from segkit.data.sources.supervisely import data_sets
from segkit.errors import DataError
from segkit.io.image_files import walk_images

MOST_OPENED = 3
"""Files of one kind that are opened to find out which tool wrote them."""
ENDINGS = (".json", ".geojson", ".csv", ".xml")
"""Endings of label files."""
COCO_LISTS = ("images", "annotations", "categories")
"""The lists of a COCO file."""
FOLDERS_OF_IMAGES = ("images", "img", "imgs", "data", "obj_train_data")
"""Names of the folder of images beside the files of a labelling tool."""
FOLDERS_OF_LABELS = ("annotations", "labels")
"""Names of the folder of label files, which may also be the folder itself or that of the images."""


class Place(NamedTuple):
    """Where the files of a labelling tool are."""

    source: str
    images: Path
    annotations: Path | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of `data` that find the files."""
        found: dict[str, Any] = {"source": self.source, "images": self.images}
        if self.annotations is not None:
            found["annotations"] = self.annotations
        return found


def places_in(folder: Path) -> list[Place]:
    """Return the files of labelling tools in a folder: one place, or several if it is not clear.

    Args:
        folder: The folder.
    """
    if not folder.is_dir():
        return []
    found = []
    for source, is_there in _LAYOUTS.items():
        if is_there(folder):
            found.append(Place(source, folder))
    if found:
        return found
    images = _folder_of_images(folder)
    if images is None:
        return []
    for labels in dict.fromkeys((folder, images, *(folder / name for name in FOLDERS_OF_LABELS))):
        if labels.is_dir():
            found = _places_of_files(labels, images)
        if found:
            break
    return found


def _is_cityscapes(folder: Path) -> bool:
    has_polygons = any((folder / name).is_dir() for name in cityscapes.POLYGONS)
    return has_polygons and (folder / cityscapes.IMAGES).is_dir()


def _is_supervisely(folder: Path) -> bool:
    return (folder / "meta.json").is_file() and bool(data_sets(folder))


def _is_roboflow(folder: Path) -> bool:
    return bool(roboflow.folders_of(folder))


def _is_yolo(folder: Path) -> bool:
    return yolo.description_file(folder) is not None


_LAYOUTS: dict[str, Callable[[Path], bool]] = {
    "roboflow": _is_roboflow,
    "voc": voc.is_voc,
    "cityscapes": _is_cityscapes,
    "supervisely": _is_supervisely,
    "yolo": _is_yolo,
}
"""Layouts of folders that say which tool wrote them."""


def _folder_of_images(folder: Path) -> Path | None:
    for name in FOLDERS_OF_IMAGES:
        if (folder / name).is_dir() and _has_images(folder / name):
            return folder / name
    if _has_images(folder):
        return folder
    return None


def _has_images(folder: Path) -> bool:
    return next(walk_images(folder), None) is not None


def _places_of_files(folder: Path, images: Path) -> list[Place]:
    """Return a place for each kind of label files in a folder.

    Files that are called like images are of one tool, so only the first of them are opened. A
    folder above that of the images is searched without the folders in it.
    """
    found: list[Place] = []
    names = {Path(name).name for name, _ in walk_images(images)}
    for ending in ENDINGS:
        paths = sorted(folder.glob(f"*{ending}"))
        if folder not in images.parents:
            paths = list(files_below(folder, ending).values())
        of_images = [path for path in paths if path.stem in names]
        others = [path for path in paths if path.stem not in names]
        for path in [*of_images[:MOST_OPENED], *others[:MOST_OPENED]]:
            place = place_of_file(path, images, folder)
            if place is not None:
                found.append(place)
    if not found and any(folder.glob("*.txt")) and folder.name == "labels":
        found.append(Place("yolo", images, folder))
    return list(dict.fromkeys(found))


def place_of_file(path: Path, images: Path, folder: Path) -> Place | None:
    """Return the place of one label file; None if no tool is recognised.

    Args:
        path: The file.
        images: The folder of images.
        folder: The folder of all label files, for tools that write one file per image.
    """
    ending = path.suffix.lower()
    if ending in (".yaml", ".yml"):
        return Place("yolo", images, path)
    if ending == ".xml":
        return Place("cvat", images, path) if cvat.is_cvat(path) else None
    if ending == ".csv":
        return _place_of_csv(path, images)
    if ending in (".json", ".geojson"):
        return _place_of_json(path, images, folder)
    return None


def _place_of_json(path: Path, images: Path, folder: Path) -> Place | None:
    if _begins_like_coco(path):  # such files may be large
        return Place("coco", images, path)
    try:
        content = read_json(path)
    except DataError:
        return None
    if is_labelme(content):
        return _place_of_folder("labelme", images, folder)
    if labelstudio.is_labelstudio(content):
        return Place("labelstudio", images, path)
    if via.is_via(content):
        return Place("via", images, path)
    if qupath.is_qupath(content):
        return _place_of_folder("qupath", images, folder)
    if isinstance(content, dict) and all(key in content for key in COCO_LISTS):
        return Place("coco", images, path)
    return None


def _place_of_csv(path: Path, images: Path) -> Place | None:
    try:
        lines = read_lines(path)
    except DataError:
        return None
    if via.is_via_table(lines):
        return Place("via", images, path)
    if rle.is_rle(lines):
        return Place("rle", images, path)
    return None


def _place_of_folder(source: str, images: Path, folder: Path) -> Place:
    """Return the place of files that describe one image each."""
    if folder == images:
        return Place(source, images)
    return Place(source, images, folder)


def _begins_like_coco(path: Path) -> bool:
    """Return whether the first key of a JSON file is one of COCO."""
    try:
        with path.open("rb") as stream:
            first = stream.read(200)
    except OSError:
        return False
    keys = "|".join(("info", "licenses", *COCO_LISTS))
    return re.match(rf'\s*{{\s*"({keys})"\s*:'.encode(), first) is not None


def place_of_masks(images: Path, masks: Path) -> Place | None:
    """Return the place of labels that the user names beside the images; None for mask files.

    Args:
        images: The folder of images.
        masks: A file or a folder.
    """
    if masks.is_file():
        return place_of_file(masks, images, masks.parent)
    if not masks.is_dir() or (images != masks and _has_images(masks)):
        return None
    found = _places_of_files(masks, images)
    if not found and any(masks.rglob("*.txt")):
        found = [Place("yolo", images, masks)]
    return found[0] if len(found) == 1 else None


def choose_place(places: Sequence[Place], data: DataConfig, folder: Path) -> Place:
    """Return the place that `data.source` names, or the only one.

    Args:
        places: At least one place.
        data: The settings of the user.
        folder: The folder, for messages.

    Raises:
        DataError: If there are several.
    """
    if len(places) == 1:
        return places[0]
    named = [place for place in places if place.source == data.source]
    if len(named) == 1:
        return named[0]
    listed = []
    for place in places:
        listed.append(f"{place.source} ({place.annotations or place.images})")
    advice = "Name the images and one file: segkit inspect IMAGES LABELS"
    if len({place.source for place in places}) > 1:
        advice += f"; or choose a tool: --set data.source={places[0].source}"
    raise DataError(
        f"{folder}: contains several files of labels: {', '.join(listed)}. {advice}", "list"
    )
