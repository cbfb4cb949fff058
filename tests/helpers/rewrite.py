"""The same samples in every form that segkit reads: each function writes them below a folder and
says how to inspect them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

from segkit import Task
from segkit.data import convert
from segkit.data.sources.source import Sample
from segkit.io.images import write_image, write_tiff
from tests.helpers.samples import in_memory


class Written(NamedTuple):
    """The arguments of `segkit inspect`."""

    images: Path
    masks: Path | None
    classes: tuple[str, ...] = ()


Rewrite = Callable[[Task, Sequence[Sample], Path], Written]


def as_folders(task: Task, samples: Sequence[Sample], root: Path) -> Written:
    """What `segkit convert` and `predict.py` write: 0/255, palette PNG, one folder a class."""
    subset = in_memory(samples)
    convert.to_folder(task, {"train": subset}, root)
    return Written(
        root / "images", root / "masks", () if task.kind == "multilabel" else task.classes
    )


def as_colours(task: Task, samples: Sequence[Sample], root: Path) -> Written:
    """RGB masks; a multilabel one has a black and white picture a class."""
    for sample in samples:
        write_image(root / "images", sample.name, sample.image)
        for folder, ids in _pictures(task, sample, root / "masks"):
            table = np.array(
                [[0, 0, 0], *([20 * i, 255 - 9 * i, 7 * i] for i in range(1, task.channels + 1))],
                np.uint8,
            )
            _save(folder / f"{sample.name}.png", table[ids])
    names = (
        ()
        if task.kind == "multilabel"
        else ("background", *task.classes)
        if task.kind == "binary"
        else task.classes
    )
    return Written(root / "images", root / "masks", names)


def as_palette(task: Task, samples: Sequence[Sample], root: Path) -> Written:
    """Palette PNG, with colours that have nothing to do with the ids."""
    for sample in samples:
        write_image(root / "images", sample.name, sample.image)
        for folder, ids in _pictures(task, sample, root / "masks"):
            picture = Image.fromarray(ids)
            picture.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
            folder.mkdir(parents=True, exist_ok=True)
            picture.save(folder / f"{sample.name}.png")
    return Written(
        root / "images", root / "masks", () if task.kind == "multilabel" else task.classes
    )


def as_deep_tiff(task: Task, samples: Sequence[Sample], root: Path) -> Written:
    """16-bit TIFF masks; a multilabel one has a band a class."""
    for sample in samples:
        write_image(root / "images", sample.name, sample.image)
        mask = sample.mask.astype(np.uint16)
        write_tiff(
            root / "masks" / f"{sample.name}.tif", mask if mask.ndim == 3 else mask[..., None]
        )
    return Written(root / "images", root / "masks", task.classes)


def as_coco(task: Task, samples: Sequence[Sample], root: Path) -> Written:
    """COCO JSON with run lengths; category ids that are not consecutive."""
    names = [task.classes[i] for i in task.foreground]
    images, annotations = [], []
    for number, sample in enumerate(samples):
        write_image(root / "images", sample.name, sample.image)
        height, width = sample.image.shape[:2]
        images.append(
            {"id": 7 * number, "file_name": f"{sample.name}.png", "height": height, "width": width}
        )
        for place, layer in enumerate(_layers(task, sample)):
            if layer.any():
                coded = coco_mask.encode(np.asfortranarray(layer))
                coded["counts"] = coded["counts"].decode()
                ids = {
                    "id": len(annotations),
                    "image_id": 7 * number,
                    "category_id": 10 * place + 3,
                }
                annotations.append({**ids, "iscrowd": 0, "segmentation": coded})
    categories = [{"id": 10 * i + 3, "name": name} for i, name in enumerate(names)]
    text = json.dumps({"images": images, "annotations": annotations, "categories": categories})
    (root / "coco.json").write_text(text)
    return Written(root / "images", root / "coco.json", tuple(names))


def as_tfds(task: Task, samples: Sequence[Sample], root: Path) -> Written:
    """A prepared TensorFlow data set."""
    convert.to_tfds(task, {"train": in_memory(samples)}, root / "set")
    return Written(root / "set", None, task.classes)


FORMS: dict[str, Rewrite] = {
    "folders": as_folders,
    "colours": as_colours,
    "palette": as_palette,
    "16-bit TIFF": as_deep_tiff,
    "coco": as_coco,
    "tfds": as_tfds,
}


def _pictures(task: Task, sample: Sample, masks: Path) -> list[tuple[Path, np.ndarray]]:
    if task.kind == "multilabel":
        return [(masks / name, sample.mask[..., i]) for i, name in enumerate(task.classes)]
    return [(masks, sample.mask)]


def _layers(task: Task, sample: Sample) -> list[np.ndarray]:
    if task.kind == "multilabel":
        return [np.ascontiguousarray(layer) for layer in np.moveaxis(sample.mask, -1, 0)]
    return [(sample.mask == (i if task.exclusive else 1)).astype(np.uint8) for i in task.foreground]


def _save(path: Path, rgb: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path)
