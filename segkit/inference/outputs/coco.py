"""COCO: the objects of all images as run lengths in one annotations.json, which segkit's own COCO source reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from pycocotools import mask as coco_mask

from segkit.errors import DataError
from segkit.inference.outputs.listing import list_parts
from segkit.inference.outputs.prediction import Answer, Output
from segkit.io.atomic import atomic
from segkit.io.files import read_bytes
from segkit.io.names import file_in
from segkit.task import Task
from segkit.task.layers import planes_of

LARGEST = 2**29
"""Pixels; longer runs do not fit the six characters that a number has in COCO's compressed form."""
LARGEST_PART = 2**31
"""Bytes of the objects of one image."""


class Coco(Output):
    """DIR-coco/parts/NAME.json for each image, and DIR-coco/annotations.json of all of them."""

    ending = "-coco"

    def paths(self, name: str) -> list[Path]:
        return [file_in(self.folder / "parts", name, ".json")]

    def write(self, answer: Answer, paths: Sequence[Path]) -> None:
        paths[0].write_text(json.dumps(part_of(answer)), encoding="utf-8")

    def merge(self) -> None:
        merge_parts(
            self.task, list_parts(self.folder / "parts", ".json"), self.folder / "annotations.json"
        )


def part_of(answer: Answer) -> dict[str, Any]:
    """Return an image and its annotations as COCO has them, but without ids and with classes by name."""
    height, width = answer.mask.shape[:2]
    if height * width >= LARGEST:
        raise DataError(
            f"{answer.path}: {width} x {height} pixels are too many for COCO's run lengths (2^29)",
            "too-large",
        )
    numbers, objects = answer.objects
    runs: dict[int, list[int]] = {}
    for plane in planes_of(numbers):
        runs.update(run_lengths(plane))
    annotations = [
        {
            "category": answer.task.classes[found.label],
            "segmentation": compressed(runs[found.number], height, width),
            "area": found.area,
            "bbox": list(found.box),
            "iscrowd": 0,
            "score": found.score,
        }
        for found in objects
    ]
    return {
        "image": {"file_name": answer.file_name, "width": width, "height": height},
        "annotations": annotations,
    }


def run_lengths(numbers: np.ndarray) -> dict[int, list[int]]:
    """Return COCO's run lengths of each number but 0 in (H, W): column by column, pixels without it and with it in turn.

    >>> run_lengths(np.array([[0, 1, 1], [2, 1, 0]]))
    {1: [2, 3, 1], 2: [1, 1, 4]}
    """
    flat = numbers.ravel(order="F")
    starts = np.concatenate(([0], np.flatnonzero(np.diff(flat)) + 1))
    lengths = np.diff(starts, append=flat.size)
    order = np.argsort(flat[starts], kind="stable")
    values, first = np.unique(flat[starts][order], return_index=True)
    found = {}
    for value, group in zip(values.tolist(), np.split(order, first[1:]), strict=True):
        if value:
            edges = np.stack([starts[group], starts[group] + lengths[group]], axis=1).ravel()
            counts = np.diff(edges, prepend=0, append=flat.size).tolist()
            found[value] = counts if counts[-1] else counts[:-1]
    return found


def compressed(counts: Sequence[int], height: int, width: int) -> dict[str, Any]:
    """Return run lengths as an RLE object with the compressed text that pycocotools makes."""
    runs = coco_mask.frPyObjects({"size": [height, width], "counts": list(counts)}, height, width)
    return {"size": [height, width], "counts": runs["counts"].decode("ascii")}


def merge_parts(task: Task, parts: Mapping[str, Path], path: Path) -> None:
    """Write one COCO file of the parts, with ids in the order of their names: the same file whoever wrote them when.

    One part at a time is in memory. Raises `DataError` for a file that is no part, or of other classes.
    """
    categories = {task.classes[label]: number for number, label in enumerate(task.foreground, 1)}
    listed = [{"id": number, "name": name} for name, number in categories.items()]
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        stream.write('{"categories": ' + json.dumps(listed, ensure_ascii=False) + ',\n"images": [')
        read = (_read_part(part, categories) for part in parts.values())
        _write_list(
            stream, ({"id": number, **part["image"]} for number, part in enumerate(read, 1))
        )
        stream.write('],\n"annotations": [')
        _write_list(stream, _annotations(categories, parts))
        stream.write("]}\n")


def _annotations(
    categories: Mapping[str, int], parts: Mapping[str, Path]
) -> Iterator[dict[str, Any]]:
    count = 0
    for number, path in enumerate(parts.values(), 1):
        for entry in _read_part(path, categories)["annotations"]:
            count += 1
            yield {
                "id": count,
                "image_id": number,
                "category_id": categories[entry.pop("category")],
                **entry,
            }


def _write_list(stream: TextIO, entries: Iterable[dict[str, Any]]) -> None:
    for position, entry in enumerate(entries):
        stream.write((",\n" if position else "\n") + json.dumps(entry))


def _read_part(path: Path, categories: Mapping[str, int]) -> dict[str, Any]:
    try:
        part: dict[str, Any] = json.loads(read_bytes(path, LARGEST_PART))
        unknown = sorted(
            {str(entry["category"]) for entry in part["annotations"]} - set(categories)
        )
        part["image"]["file_name"]
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise DataError(
            f"{path}: is no part of a COCO file ({problem!r}); delete it and predict its image again",
            "coco-file",
        ) from None
    if unknown:
        raise DataError(
            f"{path}: holds {', '.join(unknown)}, no class of this run; delete what another run left in the folder, or "
            f"choose another --out",
            "coco-category",
        )
    return part
