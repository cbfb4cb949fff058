"""COCO files for tests: categories, annotations, and how they are saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segkit import Task
from segkit.config import DataConfig

PERSON = Task.binary("person")


BOTH = Task.multilabel(["person", "dog"])


CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}, {"id": 90, "name": "kite"}]


PERSON_ID, DOG_ID, KITE_ID = 1, 18, 90


def box(left: float, top: float, right: float, bottom: float) -> list[float]:
    """Return the polygon of a rectangle, its right and lower edge outside."""
    return [left, top, right, top, right, bottom, left, bottom]


def annotation(
    category: int, segmentation: object, number: int = 1, image: int = 7, **more: object
) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "segmentation": segmentation,
    } | more


def content(
    *annotations: dict[str, Any], width: int = 6, height: int = 4, name: str = "a.png"
) -> dict[str, Any]:
    """Return a COCO file of one image, number 7."""
    image = {"id": 7, "file_name": name, "width": width, "height": height}
    return {"images": [image], "annotations": list(annotations), "categories": CATEGORIES}


def save(root: Path, values: object) -> DataConfig:
    """Write a JSON file and the images that it lists, and return the settings for both."""
    (root / "images").mkdir(exist_ok=True)
    for image in values["images"] if isinstance(values, dict) else []:
        path = root / "images" / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((image["height"], image["width"], 3), np.uint8)).save(path)
    path = root / "coco.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    return DataConfig(source="coco", images=root / "images", annotations=path)


def filled(
    *boxes: tuple[int, int, int, int], value: int = 1, width: int = 6, height: int = 4
) -> np.ndarray:
    """The oracle of rectangles: a plain loop over their pixels."""
    mask = np.zeros((height, width), np.uint8)
    for left, top, right, bottom in boxes:
        for y in range(top, bottom):
            for x in range(left, right):
                mask[y, x] = value
    return mask
