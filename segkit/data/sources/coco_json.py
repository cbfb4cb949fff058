"""A COCO JSON file: its images with the regions of a task's classes, checked and indexed once."""

from __future__ import annotations

import json
import re
import reprlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from segkit.errors import DataError
from segkit.io import codecs
from segkit.io.files import read_bytes

Id = int | str
BY_COCO = r"cocodataset\.org|mscoco\.org|^COCO 20"
"""What stands in files of COCO's own, in an image's address or the file's description."""
LARGEST = 2**32
"""Bytes of a file; COCO's own largest has half a billion."""
_SHORT = reprlib.Repr()
_SHORT.maxstring = 120


class Region(NamedTuple):
    """An annotation of a class that the task names; its segmentation is checked when the image is read."""

    position: int
    """Its place in the file's list, which tells annotations apart even where ids do not."""
    id: Id
    label: str
    """"" for what is of a category that nobody knows, so that it may be any class."""
    crowd: bool
    segmentation: Any
    box: Any = None
    """As it stands in the file."""
    broken: bool = False
    """Whether the annotation was left out, so that its pixels are unlabelled."""


class CocoImage(NamedTuple):
    """An image as the file describes it, and its regions."""

    id: Id
    file_name: str
    width: int
    height: int
    regions: list[Region]


class Content(NamedTuple):
    """What a COCO file says of a task."""

    pictures: dict[str, CocoImage]
    """By sample name, sorted."""
    by_coco: bool
    """Whether the file seems to be one of COCO's own, in which `iscrowd` marks crowds."""


class SkippedEntries:
    """Raises the first problem, or leaves out what is broken and remembers it by its place in the file."""

    def __init__(self, skip: bool) -> None:
        self.skip = skip
        self.codes: dict[tuple[str, int], str] = {}

    def leave_out(self, kind: str, position: int, problem: DataError) -> None:
        """Remember an entry as left out; raises the problem instead if broken ones are not to be skipped."""
        if not self.skip:
            advice = "Repair it, or leave out what is broken with data.skip_broken: true"
            raise problem.with_message(f"{problem}. {advice}") from problem
        self.codes[kind, position] = problem.code

    @property
    def counts(self) -> dict[str, int]:
        """How many were left out, by the code of the problem."""
        return dict(Counter(list(self.codes.values())))  # a copy: other threads go on reading


def read_content(path: Path, labels: Sequence[str], broken: SkippedEntries) -> Content:
    """Return the images of a COCO file by sample name (file_name without suffix), sorted, with the regions of `labels`.

    Categories go by name; regions of others are passed over. Raises `DataError` naming the file and the entry. Broken
    images and annotations may be left out by `broken`, and a broken annotation becomes a region that is unlabelled.
    Never left out are ids or names that two images share, and annotations of which nobody knows the image.
    """
    content = _read_json(path)
    categories = _categories(content["categories"], labels, path)
    pictures, listed = _pictures(content["images"], path, broken)
    seen: set[Id] = set()
    for position, entry in enumerate(content["annotations"]):
        try:
            image, region = _region(entry, position, categories, path)
            if image not in listed:
                raise DataError(
                    f"{path}: annotation {short_repr(region.id)}: there is no image {short_repr(image)}",
                    "coco-reference",
                )
            if region.id in seen:
                raise _given_twice(f"{path}: annotation {short_repr(region.id)}")
        except DataError as problem:
            _check_image_known(entry, listed, problem)
            broken.leave_out("annotations", position, problem)
            image, region = _broken_region(entry, position, categories)
        seen.add(region.id)
        if (region.label or region.broken) and image in pictures:
            pictures[image].regions.append(region)
    return Content(_by_name(pictures, path), _by_coco(content))


def _check_image_known(entry: Any, listed: set[Id], problem: DataError) -> None:
    """Raise the problem unless it is known to which of the listed images an annotation belongs, or that to none."""
    image = entry.get("image_id") if type(entry) is dict else None
    alike = {str(number) for number in listed}
    if type(image) in (int, str) and (image in listed or str(image) not in alike):
        return
    raise problem.with_message(
        f"{problem}. Nobody knows for certain whose mask it belongs to, so it cannot be left out; repair it"
    ) from problem


def _broken_region(
    entry: Mapping[str, Any], position: int, categories: Mapping[Id, str]
) -> tuple[Id, Region]:
    """Return the image id and the region of an annotation that was left out; its pixels are to be unlabelled.

    It may be of any class if its category is not known.
    """
    label = ""
    category: Any = entry.get("category_id")
    known = type(category) in (int, str) and category in categories
    if known:
        label = categories[category]
    number: Any = entry.get("id")
    if type(number) not in (int, str):
        number = f"annotations[{position}]"
    of_the_task = bool(label) or not known
    return entry["image_id"], Region(
        position, number, label, False, entry.get("segmentation"), entry.get("bbox"), of_the_task
    )


def _by_coco(content: Mapping[str, Any]) -> bool:
    """Return whether a file names COCO's web site, which others leave empty or replace."""
    said = [entry.get("coco_url") for entry in content["images"] if isinstance(entry, dict)]
    info = content.get("info")
    if isinstance(info, dict):
        said += [info.get("url"), info.get("description")]
    return any(isinstance(text, str) and re.search(BY_COCO, text) for text in said)


def category_names(path: Path) -> list[str]:
    """Return the names of a COCO file's categories, each once, in their order. Raises `DataError` naming the file.

    Left out are categories without a region that are the heading of others (their `supercategory`), as Roboflow writes
    one, or that are called background.
    """
    content = _read_json(path)
    entries = [
        entry for entry in content["categories"] if isinstance(entry, dict) and "name" in entry
    ]
    headings = {
        str(e.get("supercategory")) for e in entries if e.get("supercategory") != e["name"]
    } | {"background"}
    drawn = {
        short_repr(entry.get("category_id"))
        for entry in content["annotations"]
        if isinstance(entry, dict)
    }
    named = [
        str(entry["name"])
        for entry in entries
        if short_repr(entry.get("id")) in drawn
        or str(entry["name"]) not in headings
        or len(entries) == 1
    ]
    return list(dict.fromkeys(named))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(read_bytes(path, LARGEST))
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror})", "coco-file") from problem
    except json.JSONDecodeError as problem:
        raise DataError(f"{path}: {_why_not_json(problem)}", "coco-file") from problem
    except (
        ValueError,
        RecursionError,
    ) as problem:  # not text, a number of thousands of digits, thousands of brackets
        raise DataError(f"{path}: not a COCO JSON file ({problem})", "coco-file") from problem
    if not isinstance(content, dict):
        raise DataError(
            f"{path}: a COCO file is an object of images, annotations and categories; found {short_repr(content)}. A file of "
            f"results holds no images: pass the one with the ground truth",
            "coco-file",
        )
    for key in ("images", "annotations", "categories"):
        if type(content.get(key)) is not list:
            found = (
                f"'{key}' is {short_repr(content[key])}" if key in content else f"it has no '{key}'"
            )
            raise DataError(
                f"{path}: a COCO file has lists of images, annotations, categories; {found}",
                "coco-file",
            )
    return content


def _why_not_json(problem: json.JSONDecodeError) -> str:
    place = f"line {problem.lineno}, column {problem.colno}"
    if problem.pos >= len(problem.doc.rstrip()) or problem.msg.startswith("Unterminated string"):
        return f"is cut off or empty ({place}); copy or export it again"
    return f"not JSON ({problem.msg} at {place}); data.annotations names the COCO JSON file"


def _categories(entries: list[Any], labels: Sequence[str], path: Path) -> dict[Id, str]:
    """Return the class of each category id, "" for those that are not among `labels`."""
    names: dict[Id, str] = {}
    for position, entry in enumerate(entries):
        number, where = _identify(entry, "category", f"{path}: categories[{position}]", path)
        if number in names:
            raise _given_twice(where)
        names[number] = _field(entry, "name", (str,), "text", where)
    missing = [label for label in labels if label not in names.values()]
    if missing:
        known = ", ".join(
            name if name.isprintable() else repr(name) for name in list(names.values())[:100]
        )
        more = ", ..." if len(names) > 100 else ""
        raise DataError(
            f"{path}: no category is called {', '.join(missing)}; its categories are {known or '(none)'}{more}. Call the "
            f"task's classes as the file does",
            "coco-category",
        )
    return {number: name if name in labels else "" for number, name in names.items()}


def _pictures(
    entries: list[Any], path: Path, broken: SkippedEntries
) -> tuple[dict[Id, CocoImage], set[Id]]:
    """Return the images by id, and the ids of all that the file lists, left out or not."""
    pictures: dict[Id, CocoImage] = {}
    listed: set[Id] = set()
    for position, entry in enumerate(entries):
        try:
            number, where = _identify(entry, "image", f"{path}: images[{position}]", path)
            twice = number in listed
            listed.add(number)
            if not twice:
                pictures[number] = _picture(entry, number, where)
        except DataError as problem:
            broken.leave_out("images", position, problem)
            continue
        if twice:
            raise _given_twice(where)
    if not pictures:
        raise DataError(f"{path}: lists no image that could be read", "empty")
    return pictures, listed


def _picture(entry: Mapping[str, Any], number: Id, where: str) -> CocoImage:
    name = _field(entry, "file_name", (str,), "text", where)
    _check_file_name(name, where)
    width, height = (
        _field(entry, key, (int,), "a whole number of pixels", where) for key in ("width", "height")
    )
    if width < 1 or height < 1:
        raise DataError(
            f"{where}: width and height are 1 or more; found {short_repr(width)} x {short_repr(height)}",
            "coco-size",
        )
    if width * height > codecs.most_pixels():
        raise DataError(
            f"{where}: {short_repr(width)} x {short_repr(height)} is more than "
            f"{codecs.most_pixels():,.0f} pixels. If it is meant, "
            f"raise the limit with data.max_pixels",
            "too-large",
        )
    return CocoImage(number, name, width, height, [])


def _check_file_name(name: str, where: str) -> None:
    """A file may come from anywhere: its names stay below the folder of images."""
    path = PurePosixPath(name)
    outside = (
        path.is_absolute() or ".." in path.parts or "\\" in name or re.match("[A-Za-z]:", name)
    )
    if outside or not path.name or re.search("[\x00-\x1f\x7f\ud800-\udfff]", name):
        raise DataError(
            f"{where}: file_name is a path below data.images with forward slashes, without .., drive letter or control "
            f"characters; found {short_repr(name)}",
            "coco-file-name",
        )


def _region(
    entry: Any, position: int, categories: Mapping[Id, str], path: Path
) -> tuple[Id, Region]:
    """Return an annotation's image id and its region."""
    number, where = _identify(entry, "annotation", f"{path}: annotations[{position}]", path)
    image: Id = _field(entry, "image_id", (int, str), "a whole number or text", where)
    category: Id = _field(entry, "category_id", (int, str), "a whole number or text", where)
    if category not in categories:
        raise DataError(f"{where}: there is no category {short_repr(category)}", "coco-reference")
    crowd = entry.get("iscrowd", 0)
    if type(crowd) not in (int, bool) or crowd not in (0, 1):
        raise DataError(f"{where}: 'iscrowd' is 0 or 1; found {short_repr(crowd)}", "coco-entry")
    label = categories[category]
    return image, Region(
        position, number, label, bool(crowd), entry.get("segmentation"), entry.get("bbox")
    )


def _by_name(pictures: Mapping[Id, CocoImage], path: Path) -> dict[str, CocoImage]:
    found: dict[str, CocoImage] = {}
    for picture in pictures.values():
        name = PurePosixPath(picture.file_name).with_suffix("").as_posix()
        if name in found:
            first = found[name]
            raise DataError(
                f"{path}: images {short_repr(first.id)} ({short_repr(first.file_name)}) and {short_repr(picture.id)} "
                f"({short_repr(picture.file_name)}) have one name without suffix; a name stands for one image. "
                f"Rename or remove one",
                "coco-duplicate",
            )
        found[name] = picture
    return dict(sorted(found.items()))


def _identify(entry: Any, kind: str, where: str, path: Path) -> tuple[Id, str]:
    """Return an entry's id, and how messages call the entry from here on."""
    if type(entry) is not dict:
        raise DataError(
            f"{where}: is an object with an id; found {short_repr(entry)}", "coco-entry"
        )
    number: Id = _field(entry, "id", (int, str), "a whole number or text", where)
    return number, f"{path}: {kind} {short_repr(number)}"


def _field(
    entry: Mapping[str, Any], key: str, kinds: tuple[type, ...], what: str, where: str
) -> Any:
    if key not in entry:
        raise DataError(f"{where}: has no '{key}'", "coco-entry")
    if type(entry[key]) not in kinds:  # isinstance would take true and false for numbers
        raise DataError(f"{where}: '{key}' is {what}; found {short_repr(entry[key])}", "coco-entry")
    return entry[key]


def _given_twice(where: str) -> DataError:
    return DataError(f"{where}: the id is given twice; give each its own", "coco-duplicate")


def short_repr(value: Any) -> str:
    """Return a value for a message: in one line and not long, whatever it is."""
    return _SHORT.repr(value)
