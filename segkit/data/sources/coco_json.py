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

Id = int | str
_SHORT = reprlib.Repr()
_SHORT.maxstring = 120


class Region(NamedTuple):
    """An annotation of a class that the task names; its segmentation is checked when the image is read."""

    position: int
    """Its place in the file's list, which tells annotations apart even where ids do not."""
    id: Id
    label: str
    crowd: bool
    segmentation: Any


class Picture(NamedTuple):
    """An image as the file describes it, and its regions."""

    id: Id
    file_name: str
    width: int
    height: int
    regions: list[Region]


class Broken:
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


def read_pictures(path: Path, labels: Sequence[str], broken: Broken) -> dict[str, Picture]:
    """Return the images of a COCO file by sample name (file_name without suffix), sorted, with the regions of `labels`.

    Categories go by name; regions of others are passed over. Raises `DataError` naming the file and the entry. Broken
    images and annotations may be left out by `broken`; ids or names that two images share never are, because then
    nobody knows whose mask it is.
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
                    f"{path}: annotation {shown(region.id)}: there is no image {shown(image)}", "coco-reference"
                )
            if region.id in seen:
                raise _given_twice(f"{path}: annotation {shown(region.id)}")
        except DataError as problem:
            broken.leave_out("annotations", position, problem)
            continue
        seen.add(region.id)
        if region.label and image in pictures:
            pictures[image].regions.append(region)
    return _by_name(pictures, path)


def category_names(path: Path) -> list[str]:
    """Return the names of a COCO file's categories, each once, in their order. Raises `DataError` naming the file."""
    entries = _read_json(path)["categories"]
    named = [str(entry["name"]) for entry in entries if isinstance(entry, dict) and "name" in entry]
    return list(dict.fromkeys(named))


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror})", "coco-file") from problem
    except json.JSONDecodeError as problem:
        raise DataError(f"{path}: {_why_not_json(problem)}", "coco-file") from problem
    except (ValueError, RecursionError) as problem:  # not text, a number of thousands of digits, thousands of brackets
        raise DataError(f"{path}: not a COCO JSON file ({problem})", "coco-file") from problem
    if not isinstance(content, dict):
        raise DataError(
            f"{path}: a COCO file is an object of images, annotations and categories; found {shown(content)}. A file of "
            f"results holds no images: pass the one with the ground truth",
            "coco-file",
        )
    for key in ("images", "annotations", "categories"):
        if type(content.get(key)) is not list:
            found = f"'{key}' is {shown(content[key])}" if key in content else f"it has no '{key}'"
            raise DataError(f"{path}: a COCO file has lists of images, annotations, categories; {found}", "coco-file")
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
        known = ", ".join(name if name.isprintable() else repr(name) for name in list(names.values())[:100])
        more = ", ..." if len(names) > 100 else ""
        raise DataError(
            f"{path}: no category is called {', '.join(missing)}; its categories are {known or '(none)'}{more}. Call the "
            f"task's classes as the file does",
            "coco-category",
        )
    return {number: name if name in labels else "" for number, name in names.items()}


def _pictures(entries: list[Any], path: Path, broken: Broken) -> tuple[dict[Id, Picture], set[Id]]:
    """Return the images by id, and the ids of all that the file lists, left out or not."""
    pictures: dict[Id, Picture] = {}
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


def _picture(entry: Mapping[str, Any], number: Id, where: str) -> Picture:
    name = _field(entry, "file_name", (str,), "text", where)
    _check_file_name(name, where)
    width, height = (_field(entry, key, (int,), "a whole number of pixels", where) for key in ("width", "height"))
    if width < 1 or height < 1:
        raise DataError(f"{where}: width and height are 1 or more; found {shown(width)} x {shown(height)}", "coco-size")
    if width * height > codecs.most_pixels():
        raise DataError(
            f"{where}: {shown(width)} x {shown(height)} is more than {codecs.most_pixels():,.0f} pixels. If it is meant, "
            f"raise the limit with data.max_pixels",
            "too-large",
        )
    return Picture(number, name, width, height, [])


def _check_file_name(name: str, where: str) -> None:
    """A file may come from anywhere: its names stay below the folder of images."""
    path = PurePosixPath(name)
    outside = path.is_absolute() or ".." in path.parts or "\\" in name or re.match("[A-Za-z]:", name)
    if outside or not path.name or re.search("[\x00-\x1f\x7f\ud800-\udfff]", name):
        raise DataError(
            f"{where}: file_name is a path below data.images with forward slashes, without .., drive letter or control "
            f"characters; found {shown(name)}",
            "coco-file-name",
        )


def _region(entry: Any, position: int, categories: Mapping[Id, str], path: Path) -> tuple[Id, Region]:
    """Return an annotation's image id and its region."""
    number, where = _identify(entry, "annotation", f"{path}: annotations[{position}]", path)
    image: Id = _field(entry, "image_id", (int, str), "a whole number or text", where)
    category: Id = _field(entry, "category_id", (int, str), "a whole number or text", where)
    if category not in categories:
        raise DataError(f"{where}: there is no category {shown(category)}", "coco-reference")
    crowd = entry.get("iscrowd", 0)
    if type(crowd) not in (int, bool) or crowd not in (0, 1):
        raise DataError(f"{where}: 'iscrowd' is 0 or 1; found {shown(crowd)}", "coco-entry")
    return image, Region(position, number, categories[category], bool(crowd), entry.get("segmentation"))


def _by_name(pictures: Mapping[Id, Picture], path: Path) -> dict[str, Picture]:
    found: dict[str, Picture] = {}
    for picture in pictures.values():
        name = PurePosixPath(picture.file_name).with_suffix("").as_posix()
        if name in found:
            first = found[name]
            raise DataError(
                f"{path}: images {shown(first.id)} ({shown(first.file_name)}) and {shown(picture.id)} "
                f"({shown(picture.file_name)}) have one name without suffix; a name stands for one image. Rename or remove "
                f"one",
                "coco-duplicate",
            )
        found[name] = picture
    return dict(sorted(found.items()))


def _identify(entry: Any, kind: str, where: str, path: Path) -> tuple[Id, str]:
    """Return an entry's id, and how messages call the entry from here on."""
    if type(entry) is not dict:
        raise DataError(f"{where}: is an object with an id; found {shown(entry)}", "coco-entry")
    number: Id = _field(entry, "id", (int, str), "a whole number or text", where)
    return number, f"{path}: {kind} {shown(number)}"


def _field(entry: Mapping[str, Any], key: str, kinds: tuple[type, ...], what: str, where: str) -> Any:
    if key not in entry:
        raise DataError(f"{where}: has no '{key}'", "coco-entry")
    if type(entry[key]) not in kinds:  # isinstance would take true and false for numbers
        raise DataError(f"{where}: '{key}' is {what}; found {shown(entry[key])}", "coco-entry")
    return entry[key]


def _given_twice(where: str) -> DataError:
    return DataError(f"{where}: the id is given twice; give each its own", "coco-duplicate")


def shown(value: Any) -> str:
    """Return a value for a message: in one line and not long, whatever it is."""
    return _SHORT.repr(value)
