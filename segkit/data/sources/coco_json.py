"""Reads a COCO JSON file: its images, with the regions of a task's classes, checked and indexed.

The format: https://cocodataset.org/#format-data.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from segkit.data.sources.coco_fields import (
    Id,
    duplicate_id,
    entry_field,
    identify,
    read_coco_json,
)
from segkit.data.sources.label_values import short_repr
from segkit.errors import DataError
from segkit.io import codecs

BY_COCO = r"cocodataset\.org|mscoco\.org|^COCO 20"
"""Pattern in the files of COCO itself: in the address of an image, or the file's description."""
ABSENT = "neg_category_ids"
INCOMPLETE = "not_exhaustive_category_ids"
MOST_CATEGORIES = 100
"""Category names that a message lists at most."""


class CocoRegion(NamedTuple):
    """An annotation. Its segmentation is checked when the image is read."""

    position: int
    """Its index in the file's list, which is unique even where ids are not."""
    id: Id
    image: Id
    label: str
    """The class, or "" if the category is not one of the task's, or is unknown."""
    crowd: bool
    segmentation: Any
    box: Any = None
    """The value in the file, unchecked."""
    keypoints: Any = None
    """The value in the file, unchecked."""
    unlabelled: bool = False
    """Whether the annotation was skipped as broken, so that its pixels are unlabelled."""


class CocoImage(NamedTuple):
    """An image as the file describes it, and its regions."""

    id: Id
    file_name: str
    width: int
    height: int
    regions: list[CocoRegion]
    absent: tuple[str, ...] | None = None
    """The classes that were looked for and are not there. Other classes without a region were not
    looked for, as in LVIS. None if the file does not say it: then all classes were looked for."""
    incomplete: tuple[str, ...] = ()
    """The classes of which only some objects have a region."""

    def unlabelled(self, labels: Sequence[str]) -> tuple[str, ...]:
        """Return those of some classes that were not annotated, or not all objects of them."""
        looked_for = set(labels)
        if self.absent is not None:
            looked_for = {*self.absent, *(region.label for region in self.regions)}
        return tuple(name for name in labels if name not in looked_for or name in self.incomplete)


class CocoContent(NamedTuple):
    """The content of a COCO file that a task needs."""

    pictures: dict[str, CocoImage]
    """The images by sample name, sorted."""
    by_coco: bool
    """Whether the file seems to be one of COCO's own, in which `iscrowd` marks crowds."""


class _Images(NamedTuple):
    """The images of a file by id, and the ids of all listed images, including skipped ones."""

    readable: dict[Id, CocoImage]
    listed: set[Id]


class SkippedEntries:
    """Raises the first problem of a file, or skips broken entries and records their problems.

    Args:
        skip: Whether broken entries are skipped (`data.skip_broken`).
    """

    def __init__(self, skip: bool) -> None:
        self.skip = skip
        self.codes: dict[tuple[str, int], str] = {}

    def leave_out(self, kind: str, position: int, problem: DataError) -> None:
        """Record that an entry is skipped.

        Args:
            kind: The list of the entry, "images" or "annotations".
            position: The index of the entry in the list.
            problem: Why the entry is broken.

        Raises:
            DataError: The problem, if broken entries are not skipped.
        """
        if not self.skip:
            advice = "Repair it, or leave out what is broken with data.skip_broken: true"
            raise problem.with_message(f"{problem}. {advice}") from problem
        self.codes[kind, position] = problem.code

    @property
    def counts(self) -> dict[str, int]:
        """Number of skipped entries by the code of their problem."""
        codes = list(self.codes.values())  # a copy, because other threads may add entries
        return dict(Counter(codes))


def read_coco(path: Path, labels: Sequence[str], broken: SkippedEntries) -> CocoContent:
    """Read the images of a COCO file, with the regions of some classes.

    A sample's name is the `file_name` without suffix. Categories are matched by name, and regions
    of other categories are ignored. A broken image or annotation may be skipped; the pixels of a
    skipped annotation are unlabelled. Never skipped are an id or a name that two images share, and
    an annotation whose image is not certain.

    Args:
        path: The file.
        labels: Names of the classes.
        broken: Decides whether broken entries are skipped, and records them.

    Returns:
        The images, and whether the file is COCO's own.

    Raises:
        DataError: With the file and the entry.
    """
    content = read_coco_json(path)
    categories = _classes_of_categories(content["categories"], labels, path)
    images = _read_images(content["images"], categories, path, broken)
    _add_regions(content["annotations"], images, categories, path, broken)
    return CocoContent(_by_name(images.readable, path), _is_by_coco(content))


def category_names(path: Path) -> list[str]:
    """List the categories of a COCO file.

    A category without a region is left out if it is the `supercategory` of others, as in files of
    Roboflow, or if its name is "background". A single category is always listed.

    Args:
        path: The file.

    Returns:
        The names, each once, in the order of the file.

    Raises:
        DataError: With the file, if it is not a COCO file.
    """
    content = read_coco_json(path)
    entries = []
    headings = {"background"}
    for entry in content["categories"]:
        if not isinstance(entry, dict) or "name" not in entry:
            continue
        entries.append(entry)
        if entry.get("supercategory") != entry["name"]:
            headings.add(str(entry.get("supercategory")))
    used = set()
    for annotation in content["annotations"]:
        if isinstance(annotation, dict):
            used.add(short_repr(annotation.get("category_id")))
    names = []
    for entry in entries:
        name = str(entry["name"])
        if short_repr(entry.get("id")) in used or name not in headings or len(entries) == 1:
            names.append(name)
    return list(dict.fromkeys(names))


def _classes_of_categories(entries: list[Any], labels: Sequence[str], path: Path) -> dict[Id, str]:
    """Return the class of each category id, or "" if the category is not among `labels`."""
    names: dict[Id, str] = {}
    for position, entry in enumerate(entries):
        number, where = identify(entry, "category", f"{path}: categories[{position}]", path)
        if number in names:
            raise duplicate_id(where)
        names[number] = entry_field(entry, "name", (str,), "text", where)
    missing = [label for label in labels if label not in names.values()]
    if missing:
        raise DataError(
            f"{path}: no category is called {', '.join(missing)}; "
            f"the categories are {_list_categories(list(names.values()))}. "
            f"Use the names of the file for the task's classes",
            "coco-category",
        )
    return {number: name if name in labels else "" for number, name in names.items()}


def _list_categories(names: Sequence[str]) -> str:
    if not names:
        return "(none)"
    listed = []
    for name in names[:MOST_CATEGORIES]:
        listed.append(name if name.isprintable() else repr(name))
    if len(names) > MOST_CATEGORIES:
        listed.append("...")
    return ", ".join(listed)


def _read_images(
    entries: list[Any], categories: Mapping[Id, str], path: Path, broken: SkippedEntries
) -> _Images:
    images = _Images({}, set())
    for position, entry in enumerate(entries):
        try:
            number, where = identify(entry, "image", f"{path}: images[{position}]", path)
            is_duplicate = number in images.listed
            images.listed.add(number)
            if not is_duplicate:
                picture = _read_image_entry(entry, number, where)
                images.readable[number] = picture._replace(
                    absent=_listed_classes(entry, ABSENT, categories, where),
                    incomplete=_listed_classes(entry, INCOMPLETE, categories, where) or (),
                )
        except DataError as problem:
            broken.leave_out("images", position, problem)
            continue
        if is_duplicate:
            raise duplicate_id(where)
    if not images.readable:
        raise DataError(f"{path}: lists no image that could be read", "empty")
    return images


def _listed_classes(
    entry: Mapping[str, Any], key: str, categories: Mapping[Id, str], where: str
) -> tuple[str, ...] | None:
    """Return the classes of a list of category ids; None if the entry has no such list."""
    if entry.get(key) is None:
        return None
    numbers = entry_field(entry, key, (list,), "a list of category ids", where)
    for number in numbers:
        if type(number) not in (int, str) or number not in categories:
            raise DataError(
                f"{where}: there is no category {short_repr(number)} of '{key}'", "coco-reference"
            )
    return tuple(categories[number] for number in numbers if categories[number])


def _read_image_entry(entry: Mapping[str, Any], number: Id, where: str) -> CocoImage:
    name = entry_field(entry, "file_name", (str,), "text", where)
    _check_file_name(name, where)
    width = entry_field(entry, "width", (int,), "a whole number of pixels", where)
    height = entry_field(entry, "height", (int,), "a whole number of pixels", where)
    size = f"{short_repr(width)} x {short_repr(height)}"
    if width < 1 or height < 1:
        raise DataError(f"{where}: width and height must be positive; found {size}", "coco-size")
    if width * height > codecs.most_pixels():
        raise DataError(
            f"{where}: {size} is more than {codecs.most_pixels():,.0f} pixels. "
            f"If that is correct, raise the limit with data.max_pixels",
            "too-large",
        )
    return CocoImage(number, name, width, height, [])


def _check_file_name(name: str, where: str) -> None:
    """Raise `DataError` unless a name stays below the image folder; the file is not trusted."""
    path = PurePosixPath(name)
    has_drive = re.match("[A-Za-z]:", name) is not None
    is_outside = path.is_absolute() or ".." in path.parts or "\\" in name or has_drive
    has_controls = re.search("[\x00-\x1f\x7f\ud800-\udfff]", name) is not None
    if is_outside or has_controls or not path.name:
        raise DataError(
            f"{where}: file_name must be a path below data.images with forward slashes, without "
            f".., drive letter or control characters; found {short_repr(name)}",
            "coco-file-name",
        )


def _add_regions(
    entries: list[Any],
    images: _Images,
    categories: Mapping[Id, str],
    path: Path,
    broken: SkippedEntries,
) -> None:
    """Add each annotation of the task's classes to its image."""
    seen: set[Id] = set()
    for position, entry in enumerate(entries):
        try:
            region = _read_region(entry, position, categories, path)
            where = f"{path}: annotation {short_repr(region.id)}"
            if region.image not in images.listed:
                raise DataError(
                    f"{where}: there is no image {short_repr(region.image)}", "coco-reference"
                )
            if region.id in seen:
                raise duplicate_id(where)
        except DataError as problem:
            _check_image_is_certain(entry, images.listed, problem)
            broken.leave_out("annotations", position, problem)
            region = _unlabelled_region(entry, position, categories)
        seen.add(region.id)
        is_needed = region.label or region.unlabelled
        if is_needed and region.image in images.readable:
            images.readable[region.image].regions.append(region)


def _read_region(entry: Any, position: int, categories: Mapping[Id, str], path: Path) -> CocoRegion:
    number, where = identify(entry, "annotation", f"{path}: annotations[{position}]", path)
    image: Id = entry_field(entry, "image_id", (int, str), "a whole number or text", where)
    category: Id = entry_field(entry, "category_id", (int, str), "a whole number or text", where)
    if category not in categories:
        raise DataError(f"{where}: there is no category {short_repr(category)}", "coco-reference")
    crowd = entry.get("iscrowd", 0)
    if type(crowd) not in (int, bool) or crowd not in (0, 1):
        raise DataError(f"{where}: 'iscrowd' is 0 or 1; found {short_repr(crowd)}", "coco-entry")
    return CocoRegion(
        position,
        number,
        image,
        categories[category],
        bool(crowd),
        entry.get("segmentation"),
        entry.get("bbox"),
        entry.get("keypoints"),
    )


def _check_image_is_certain(entry: Any, listed: set[Id], problem: DataError) -> None:
    """Raise the problem of an annotation unless its image is certain.

    The image is certain if the file lists it, or if the file lists no image with a similar id, such
    as "1" for 1.
    """
    image = entry.get("image_id") if type(entry) is dict else None
    as_text = {str(number) for number in listed}
    if type(image) in (int, str) and (image in listed or str(image) not in as_text):
        return
    raise problem.with_message(
        f"{problem}. It is not certain to which image it belongs, so it cannot be left out; "
        f"repair it"
    ) from problem


def _unlabelled_region(
    entry: Mapping[str, Any], position: int, categories: Mapping[Id, str]
) -> CocoRegion:
    """Return the region of a skipped annotation; with an unknown category it may be any class."""
    category: Any = entry.get("category_id")
    is_known = type(category) in (int, str) and category in categories
    label = categories[category] if is_known else ""
    number: Any = entry.get("id")
    if type(number) not in (int, str):
        number = f"annotations[{position}]"
    return CocoRegion(
        position,
        number,
        entry["image_id"],
        label,
        False,
        entry.get("segmentation"),
        entry.get("bbox"),
        unlabelled=bool(label) or not is_known,
    )


def _is_by_coco(content: Mapping[str, Any]) -> bool:
    """Return whether a file names COCO's web site, which other tools leave empty or replace."""
    texts = [entry.get("coco_url") for entry in content["images"] if isinstance(entry, dict)]
    info = content.get("info")
    if isinstance(info, dict):
        texts += [info.get("url"), info.get("description")]
    return any(isinstance(text, str) and re.search(BY_COCO, text) for text in texts)


def _by_name(pictures: Mapping[Id, CocoImage], path: Path) -> dict[str, CocoImage]:
    """Return the images by sample name, sorted."""
    found: dict[str, CocoImage] = {}
    for picture in pictures.values():
        name = PurePosixPath(picture.file_name).with_suffix("").as_posix()
        if name in found:
            first = found[name]
            raise DataError(
                f"{path}: images {short_repr(first.id)} ({short_repr(first.file_name)}) and "
                f"{short_repr(picture.id)} ({short_repr(picture.file_name)}) have the same name "
                f"without suffix, but a name stands for one image. Rename or remove one",
                "coco-duplicate",
            )
        found[name] = picture
    return dict(sorted(found.items()))
