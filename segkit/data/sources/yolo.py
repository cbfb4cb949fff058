"""Images with text files of polygons in the YOLO format, one per image.

Each line is a class and the corners of a polygon: CLASS X Y X Y X Y ..., as shares of the width and
the height of the image. A file data.yaml names the classes and the folders of the parts. Source:
https://docs.ultralytics.com/datasets/segment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import yaml

from segkit.config import DataConfig
from segkit.data.rasterise import Polygon, Size
from segkit.data.sources.label_images import folder_of_images
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
    not_readable,
    read_content,
    read_lines,
    rectangle,
    short_repr,
)
from segkit.data.sources.pair_names import PARTS, parts_by_folder
from segkit.errors import DataError
from segkit.io.image_files import SUFFIXES, list_images
from segkit.io.unicode_names import existing
from segkit.task import Task

YAML_NAMES = ("data.yaml", "dataset.yaml", "data.yml", "dataset.yml")
"""Names of the file that describes a data set."""
NAME_FILES = ("classes.txt", "obj.names")
"""Names of files with one class per line."""
KEYS = ("train", "val", "test")
"""The parts in data.yaml."""


class _Description(NamedTuple):
    """The content of data.yaml."""

    names: list[str]
    folders: dict[str, list[str]]
    """The folders or lists of images by part, as the file has them."""


def open_yolo(data: DataConfig, task: Task) -> LabelSource:
    """Open the yolo source of a config's `data` section.

    Args:
        data: The section. `images` is the folder of the data set, or of the images. `annotations`
            is the file data.yaml, by default the one in this folder; or the folder of text files.
        task: The task whose masks are made.

    Raises:
        ConfigError: If a setting is missing or does not fit.
        DataError: If files are missing.
    """
    return LabelSource(find_yolo(data), task, data)


def find_yolo(data: DataConfig) -> Labels:
    """Find the images of the parts, and their text files.

    Args:
        data: The section.

    Raises:
        ConfigError: If a setting is missing.
        DataError: If data.yaml cannot be read, or names folders that are not there.
    """
    folder = folder_of_images(data.images, "yolo")
    path = data.annotations or description_file(folder)
    root = _root_of(folder, path)
    if path is not None and not path.is_dir():
        description = _read_description(path)
        images, parts = _images_of_parts(root, description)
        names = description.names
        files = _label_files(images, root)
    else:
        images = list_images(folder)
        parts = parts_by_folder(images)
        names = _names_beside(path or folder)
        files = _label_files(images, root, path)
    labelled = {name: path for name, path in files.items() if path.is_file()}
    if images and not labelled:
        raise _no_text_file(folder, images, files)
    chosen, left_out = divide(sorted(images), labelled, data, "background")
    found = {}
    for name in chosen:
        found[name] = LabelledImage(images[name], files[name], is_labelled=name in labelled)
    kept = {part: [name for name in listed if name in found] for part, listed in parts.items()}
    return Labels(
        tool="yolo",
        images=found,
        content=partial(read_yolo, names=names, boxes=data.boxes),
        parts=kept,
        classes=names,
        unlabelled=left_out,
        absent=_without_image(labelled.values()),
    )


def _label_files(
    images: Mapping[str, Path], root: Path, folder: Path | None = None
) -> dict[str, Path]:
    """Return the text file of each image, in the folder of text files if there is one."""
    if folder is not None:
        return {name: existing(folder / f"{name}.txt") for name in images}
    return {name: _label_file(image, root) for name, image in images.items()}


def _no_text_file(folder: Path, images: Mapping[str, Path], files: Mapping[str, Path]) -> DataError:
    """Return the error for images of which none has a text file, with the first as an example."""
    image = next(iter(images.values()))
    file = next(iter(files.values()))
    return DataError(
        f"{folder}: no image has a text file; that of {image} would be {file}", "empty"
    )


def _root_of(images: Path, annotations: Path | None) -> Path:
    """Return the folder of the data set: that of data.yaml, or that of the folder "images"."""
    if annotations is not None and annotations.parent in (images, *images.parents):
        return annotations.parent
    if images.name == "images":
        return images.parent
    return images


def _without_image(labelled: Iterable[Path]) -> list[str]:
    """Return the text files beside those of images that belong to no image."""
    files = set(labelled)
    absent = []
    for folder in sorted({path.parent for path in files}):
        for path in sorted(folder.glob("*.txt")):
            if path not in files and path.name not in NAME_FILES:
                absent.append(str(path))
    return absent


def description_file(root: Path) -> Path | None:
    """Return the file data.yaml of a data set; None without one."""
    for name in YAML_NAMES:
        if (root / name).is_file():
            return root / name
    return None


def _read_description(path: Path) -> _Description:
    try:
        content = yaml.safe_load(read_content(path))
    except (yaml.YAMLError, ValueError, RecursionError) as problem:
        raise not_readable(path, "YAML", problem) from problem
    entry = as_object(content, str(path))
    folders = {}
    for key in KEYS:
        value = entry.get(key)
        if value:
            listed = [value]
            if isinstance(value, list):
                listed = value
            folders[PARTS[key]] = [_inside(text, path) for text in listed]
    if not folders:
        raise DataError(
            f"{path}: names none of {', '.join(KEYS)}, the folders of the images", "label-entry"
        )
    return _Description(_names_of(entry.get("names"), path), folders)


def _inside(text: Any, path: Path) -> str:
    """Return a path of data.yaml without what leads out of the folder of the data set.

    The key `path` of the file is not read, because the data set may have been moved.
    """
    if not isinstance(text, str):
        raise DataError(
            f"{path}: a folder of images is text; found {short_repr(text)}", "label-entry"
        )
    parts = [part for part in PurePosixPath(text.replace("\\", "/")).parts if part != "/"]
    return "/".join(part for part in parts if part not in ("..", "."))


def _names_of(names: Any, path: Path) -> list[str]:
    """Return the classes of data.yaml in the order of their numbers."""
    if isinstance(names, list):
        return [str(name) for name in names]
    if isinstance(names, dict) and set(names) == set(range(len(names))):
        return [str(names[number]) for number in range(len(names))]
    raise DataError(
        f"{path}: 'names' must be a list of classes, or a table of them by the numbers 0, 1, 2, "
        f"...; found {short_repr(names)}",
        "label-entry",
    )


def _names_beside(folder: Path) -> list[str]:
    for place in (folder, folder.parent):
        for name in NAME_FILES:
            if (place / name).is_file():
                return [line.strip() for line in read_lines(place / name) if line.strip()]
    return []


def _images_of_parts(
    root: Path, description: _Description
) -> tuple[dict[str, Path], dict[str, list[str]]]:
    """Return the images by the names of their samples, and the names of each part.

    There are no parts if two of them share images.
    """
    images: dict[str, Path] = {}
    parts: dict[str, list[str]] = {}
    for part, listed in description.folders.items():
        names = []
        for text in listed:
            for path in _images_at(root, text):
                name = _name(path, root)
                if images.setdefault(name, path) != path:
                    raise DataError(
                        f"{path} and {images[name]}: two images of one name", "duplicate-name"
                    )
                names.append(name)
        parts[part] = names
    total = sum(len(names) for names in parts.values())
    if total > len(images):
        return images, {}
    return images, parts


def _images_at(root: Path, text: str) -> list[Path]:
    """Return the images of a folder, or of a list of paths, below the data set's folder."""
    path = _longest_end(root, text)
    if path is None:
        raise DataError(
            f"{root}: there is no folder {text} below it, which data.yaml names", "missing-file"
        )
    if path.is_dir():
        return list(list_images(path).values())
    found = []
    for line in read_lines(path):
        image = _longest_end(root, _inside(line.strip(), path))
        if image is not None and image.suffix.lower() in SUFFIXES:
            found.append(image)
    return found


def _longest_end(root: Path, text: str) -> Path | None:
    """Return the longest end of a path that exists below a folder; None if there is none."""
    parts = text.split("/")
    for first in range(len(parts)):
        path = existing(root.joinpath(*parts[first:]))
        if path.exists():
            return path
    return None


def _name(path: Path, root: Path) -> str:
    """Return the path below the data set's folder without the folder "images" and the suffix."""
    parts = list(path.relative_to(root).with_suffix("").parts)
    folders = [part for part in parts[:-1] if part != "images"]
    return "/".join([*folders, parts[-1]])


def _label_file(path: Path, root: Path) -> Path:
    """Return the text file of an image: in the folder "labels" in place of "images", or beside."""
    parts = list(path.relative_to(root).with_suffix(".txt").parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    return existing(root.joinpath(*parts))


def read_yolo(labelled: LabelledImage, names: Sequence[str], boxes: str = "auto") -> Content:
    """Read the polygons and boxes of an image.

    Args:
        labelled: The image and its text file.
        names: The classes by their numbers; none if only the numbers are known.
        boxes: `data.boxes`; "auto" refuses boxes.

    Raises:
        DataError: With the file and the line, if a line is not a class and a polygon, or a box.
    """
    regions = []
    for number, line in enumerate(read_lines(labelled.file), start=1):
        words = line.split()
        if not words:
            continue
        where = f"{labelled.file}, line {number}"
        label = _label_of(words[0], names, where)
        if len(words) == 5 and boxes != "auto":
            make = partial(_box_of, words[1:])
            regions.append(Region(label, "box", f"line {number}", make))
            continue
        _check_polygon(words[1:], where)
        make = partial(_polygon_of, words[1:])
        regions.append(Region(label, "polygon", f"line {number}", make))
    return Content(regions)


def _label_of(word: str, names: Sequence[str], where: str) -> str:
    """Return the name of a class, or its number as text if there are no names."""
    is_number = word.isdecimal() and len(word) < 10
    if is_number and not names:
        return word
    if is_number and int(word) < len(names):
        return names[int(word)]
    known = "a number"
    if names:
        known = f"a number from 0 to {len(names) - 1}"
    raise DataError(
        f"{where}: a line begins with its class, {known}; found {short_repr(word)}", "label-entry"
    )


def _check_polygon(words: Sequence[str], where: str) -> None:
    if len(words) == 4:
        raise DataError(
            f"{where}: 4 numbers after the class are a box for detection, which does not say which "
            f"of its pixels belong to the object. Use labels for segmentation, with polygons, or "
            f"set data.boxes: bounds, which reads the pixels inside as the class or background",
            "no-segmentation",
        )
    if len(words) < 6 or len(words) % 2:
        raise DataError(
            f"{where}: a line is a class and the x and y of at least 3 points; found {len(words)} "
            f"numbers after the class",
            "label-shape",
        )


def _box_of(words: Sequence[str], size: Size) -> Polygon:
    """Return the box of a line: the x and y of its centre, its width and its height."""
    x, y, across, down = _shares_of(words).tolist()
    height, width = size
    left = (x - across / 2) * width
    top = (y - down / 2) * height
    return rectangle(left, top, left + across * width, top + down * height)


def _polygon_of(words: Sequence[str], size: Size) -> Polygon:
    shares = _shares_of(words)
    height, width = size
    return Polygon([shares.reshape(-1, 2) * (width, height)])


def _shares_of(words: Sequence[str]) -> np.ndarray:
    """Return coordinates as shares of the width and height, (N,) float64."""
    try:
        shares = np.array([float(word) for word in words])
    except ValueError as problem:
        raise DataError(f"coordinates are numbers ({problem})", "label-shape") from problem
    is_near = (shares >= -1) & (shares <= 2)  # False for NaN, too
    if not is_near.all():
        found = shares[~is_near][0]
        raise DataError(
            f"coordinates are shares of the width and height, from 0 to 1; found {found:g}",
            "label-shape",
        )
    return shares
