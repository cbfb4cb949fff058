"""COCO: the objects of all images as run lengths in one annotations.json.

The COCO source of segkit reads this file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from segkit.data.run_lengths import compressed, run_lengths
from segkit.errors import DataError
from segkit.inference.outputs.listing import LARGEST_PART, list_parts, part_problem
from segkit.inference.outputs.prediction import Output, PredictedImage
from segkit.io.atomic import atomic
from segkit.io.files import read_bytes
from segkit.io.names import file_in
from segkit.system.packages import need
from segkit.task import Task
from segkit.task.layers import planes_of

LARGEST = 2**29
"""Pixels of an image. Longer runs do not fit the six characters of a number in COCO's compressed
form."""


class Coco(Output):
    """Writes DIR-coco/parts/NAME.json for each image, and DIR-coco/annotations.json of all."""

    ending = "-coco"

    def __init__(self, task: Task, masks: Path) -> None:
        super().__init__(task, masks)
        need("pycocotools.mask", "coco")

    def paths(self, name: str) -> list[Path]:
        return [file_in(self.folder / "parts", name, ".json")]

    def write(self, predicted: PredictedImage, paths: Sequence[Path]) -> None:
        paths[0].write_text(json.dumps(part_of(predicted)), encoding="utf-8")

    def merge(self) -> None:
        parts = list_parts(self.folder / "parts", ".json")
        merge_parts(self.task, parts, self.folder / "annotations.json")


def part_of(predicted: PredictedImage) -> dict[str, Any]:
    """Return an image and its annotations in COCO's form, but without ids and with class names.

    Raises `DataError` for an image of `LARGEST` pixels or more.
    """
    height, width = predicted.mask.shape[:2]
    if height * width >= LARGEST:
        raise DataError(
            f"{predicted.path}: {width} x {height} pixels are too many for COCO's run lengths "
            f"(2^29)",
            "too-large",
        )
    numbers, objects = predicted.objects
    runs: dict[int, list[int]] = {}
    for plane in planes_of(numbers):
        runs.update(run_lengths(plane))
    annotations = []
    for found in objects:
        annotation = {
            "category": predicted.task.classes[found.label],
            "segmentation": compressed(runs[found.number], height, width),
            "area": found.area,
            "bbox": list(found.box),
            "iscrowd": 0,
            "score": found.score,
            **predicted.measures_of(found),
        }
        annotations.append(annotation)
    return {
        "image": {"file_name": predicted.file_name, "width": width, "height": height},
        "annotations": annotations,
    }


def merge_parts(task: Task, parts: Mapping[str, Path], path: Path) -> None:
    """Write one COCO file of the files of single images.

    Ids follow the order of the names, so the file does not depend on who wrote which part when. One
    part at a time is in memory.

    Args:
        task: The task, whose foreground classes are the categories.
        parts: The files of `part_of` by name of the image, in the order of their ids.
        path: The file to write.

    Raises:
        DataError: For a file that is no part, or has other classes.
    """
    ids = {task.classes[label]: number for number, label in enumerate(task.foreground, 1)}
    categories = [{"id": number, "name": name} for name, number in ids.items()]
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        text = json.dumps(categories, ensure_ascii=False)
        stream.write('{"categories": ' + text + ',\n"images": [')
        _write_list(stream, _images(ids, parts))
        stream.write('],\n"annotations": [')
        _write_list(stream, _annotations(ids, parts))
        stream.write("]}\n")


def _images(ids: Mapping[str, int], parts: Mapping[str, Path]) -> Iterator[dict[str, Any]]:
    for image_id, path in enumerate(parts.values(), 1):
        yield {"id": image_id, **_read_part(path, ids)["image"]}


def _annotations(ids: Mapping[str, int], parts: Mapping[str, Path]) -> Iterator[dict[str, Any]]:
    annotation_id = 0
    for image_id, path in enumerate(parts.values(), 1):
        for entry in _read_part(path, ids)["annotations"]:
            annotation_id += 1
            category_id = ids[entry.pop("category")]
            yield {
                "id": annotation_id,
                "image_id": image_id,
                "category_id": category_id,
                **entry,
            }


def _write_list(stream: TextIO, entries: Iterable[dict[str, Any]]) -> None:
    separator = "\n"
    for entry in entries:
        stream.write(separator + json.dumps(entry))
        separator = ",\n"


def _read_part(path: Path, ids: Mapping[str, int]) -> dict[str, Any]:
    """Return the content of a file of `part_of`. Raises `DataError` for another file or classes."""
    try:
        part: dict[str, Any] = json.loads(read_bytes(path, LARGEST_PART))
        categories = {str(entry["category"]) for entry in part["annotations"]}
        part["image"]["file_name"]
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise part_problem(path, repr(problem), "coco-file") from None
    unknown = sorted(categories - set(ids))
    if unknown:
        raise DataError(
            f"{path}: holds {', '.join(unknown)}, no class of this run; delete the files of the "
            f"other run in this folder, or choose another --out",
            "coco-category",
        )
    return part
