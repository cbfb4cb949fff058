"""Plain readers of the files of labelling tools: a layer (H, W) bool for each label.

They do not use segkit's readers, and do what the documentation of a tool says.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from tests.oracles.brush import unpack

Layers = dict[str, np.ndarray]
Size = tuple[int, int]


def _add(layers: Layers, label: str, pixels: np.ndarray) -> None:
    layers[label] = layers.get(label, np.zeros(pixels.shape, bool)) | pixels


def closed(points: Any) -> list[Any]:
    """Return points as a list of tuples with the first one repeated at the end."""
    ring = [tuple(point) for point in points]
    return [*ring, ring[0]]


def filled(rings: list[list[Any]], size: Size) -> np.ndarray:
    """Return the pixels whose centre is inside an odd number of rings; edges may be slanted."""
    x = np.arange(size[1]) + 0.5
    inside = np.zeros(size, bool)
    for ring in rings:
        for ends in pairwise(ring):
            (low_x, low_y), (high_x, high_y) = sorted(ends, key=lambda point: point[::-1])
            for row in range(size[0]):
                if low_y < row + 0.5 < high_y:
                    share = (row + 0.5 - low_y) / (high_y - low_y)
                    inside[row] ^= x > low_x + share * (high_x - low_x)
    return inside


def yolo(folder: Path, name: str, size: Size) -> Layers:
    """Read labels/NAME.txt and the classes in data.yaml."""
    names = yaml.safe_load((folder / "data.yaml").read_text(encoding="utf-8"))["names"]
    assert (folder / "classes.txt").read_text(encoding="utf-8").splitlines() == list(names.values())
    layers: Layers = {}
    for line in (folder / "labels" / f"{name}.txt").read_text().splitlines():
        number, *shares = line.split()
        points = np.array(shares, float).reshape(-1, 2)
        assert ((points >= 0) & (points <= 1)).all()
        corners = np.round(points * (size[1], size[0]), 6)
        _add(layers, names[int(number)], filled([closed(corners.tolist())], size))
    return layers


def labelme(folder: Path, name: str, size: Size) -> Layers:
    """Read NAME.json: shapes that are masks between their first and last pixel, and polygons."""
    path = folder / f"{name}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    assert (content["imageHeight"], content["imageWidth"]) == size
    assert (path.parent / content["imagePath"]).is_file()
    layers: Layers = {}
    for shape in content["shapes"]:
        if shape["shape_type"] == "polygon":
            _add(layers, shape["label"], filled([closed(shape["points"])], size))
            continue
        assert shape["shape_type"] == "mask"
        (left, top), (right, bottom) = shape["points"]
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(shape["mask"])))) > 0
        layer = np.zeros(size, bool)
        layer[top : bottom + 1, left : right + 1] = pixels
        _add(layers, shape["label"], layer)
    return layers


def labelstudio(folder: Path, address: str, size: Size) -> Layers:
    """Read the prediction of the task with an address in tasks.json."""
    tasks = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    assert [task["id"] for task in tasks] == list(range(1, len(tasks) + 1))
    (found,) = [task for task in tasks if task["data"]["image"] == address]
    (prediction,) = found["predictions"]
    ids = [region["id"] for region in prediction["result"]]
    assert len(ids) == len(set(ids))
    layers: Layers = {}
    for region in prediction["result"]:
        assert (region["type"], region["from_name"]) == ("brushlabels", "label")
        assert (region["original_height"], region["original_width"]) == size
        value = region["value"]
        assert value["format"] == "rle"
        alpha = np.array(unpack(value["rle"])).reshape(*size, 4)[..., 3]
        for label in value["brushlabels"]:
            _add(layers, label, alpha > 0)
    return layers


def rle(folder: Path, image: str, size: Size) -> Layers:
    """Read the rows of an image in masks.csv, as the programs of Kaggle's competitions do."""
    csv.field_size_limit(2**31 - 1)
    layers: Layers = {}
    with (folder / "masks.csv").open(encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["ImageId"] == image]
    assert rows
    for row in rows:
        flat = np.zeros(size[0] * size[1], bool)
        numbers = [int(word) for word in row["EncodedPixels"].split()]
        for start, length in zip(numbers[::2], numbers[1::2], strict=True):
            flat[start - 1 : start - 1 + length] = True
        if flat.any():
            _add(layers, row["ClassId"], flat.reshape(size, order="F"))
    return layers


def qupath(folder: Path, name: str, size: Size) -> Layers:
    """Read the annotations of NAME.geojson."""
    content = json.loads((folder / f"{name}.geojson").read_text(encoding="utf-8"))
    assert content["type"] == "FeatureCollection"
    layers: Layers = {}
    for feature in content["features"]:
        properties = feature["properties"]
        assert (feature["type"], properties["objectType"]) == ("Feature", "annotation")
        polygons = feature["geometry"]["coordinates"]
        if feature["geometry"]["type"] == "Polygon":
            polygons = [polygons]
        rings = [closed(ring[:-1]) for polygon in polygons for ring in polygon]
        _add(layers, properties["classification"]["name"], filled(rings, size))
    return layers
