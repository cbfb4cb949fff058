"""Trainings on points, and on boxes with points, on the images of few_labels.py.

The labels are files of labelme, as a person would make them:

- points: one point in each object, and as many in the background, which grow to discs;
- boxes: the box of each object (`boxes: bounds`), and one point in it.

Trainings are those of the case `strokes` of few_labels.py, with the same images, steps and seeds.
They are scored on the same test images with complete masks. The results of finished trainings are
kept in the work folder, so a second call continues the first.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from drawn_shapes import CLASSES
from few_labels import config_of, write_data
from machine import machine, machine_line
from PIL import Image
from rich.console import Console
from scipy.ndimage import distance_transform_edt
from skimage.measure import label, regionprops

import segkit

WAYS = ("points", "boxes")
RADIUS = 2
"""Radius of the disc of a point in pixels."""


def centre_of(inside: np.ndarray) -> list[list[float]]:
    """Return the point [[x, y]] that is deepest inside an area, (H, W) bool."""
    padded = np.pad(inside, 1)
    depth = distance_transform_edt(padded)[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    return [[column + 0.5, row + 0.5]]


def shape(name: str, kind: str, points: list[list[float]]) -> dict[str, Any]:
    """Return a shape of labelme."""
    return {
        "label": name,
        "points": points,
        "group_id": None,
        "description": "",
        "shape_type": kind,
        "flags": {},
        "mask": None,
    }


def shapes_of(mask: np.ndarray, way: str, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return the shapes that label an image.

    Args:
        mask: The complete mask, (H, W) uint8.
        way: One of `WAYS`.
        rng: Source of the random numbers.
    """
    objects = regionprops(label(mask, background=0, connectivity=1))
    shapes = []
    for found in objects:
        top, left, bottom, right = found.bbox
        name = CLASSES[mask[tuple(found.coords[0])] - 1]
        inside = np.zeros(mask.shape, bool)
        inside[tuple(found.coords.T)] = True
        shapes.append(shape(name, "point", centre_of(inside)))
        if way == "boxes":
            shapes.append(shape(name, "rectangle", [[left, top], [right, bottom]]))
    if way == "points":
        rows, columns = np.nonzero(distance_transform_edt(mask == 0) > RADIUS)
        for place in rng.integers(len(rows), size=len(objects)):
            shapes.append(shape("background", "point", [[columns[place] + 0.5, rows[place] + 0.5]]))
    return shapes


def write_labels(data: Path, way: str, seed: int) -> Path:
    """Write a folder of training images and their labels, and return it."""
    folder = data / way
    folder.mkdir(exist_ok=True)
    with (data / "dense.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    held_out = []
    for number, row in enumerate(rows):
        if row["split"] != "train":
            held_out.append((row["image"], row["mask"], row["split"]))
            continue
        image = Image.open(data / row["image"])
        image.save(folder / f"{number:05d}.png")
        mask = np.asarray(Image.open(data / row["mask"]))
        content = {
            "version": "5.5.0",
            "flags": {},
            "shapes": shapes_of(mask, way, np.random.default_rng([seed, number])),
            "imagePath": f"{number:05d}.png",
            "imageData": None,
            "imageHeight": mask.shape[0],
            "imageWidth": mask.shape[1],
        }
        text = json.dumps(content, default=float)
        (folder / f"{number:05d}.json").write_text(text, encoding="utf-8")
    with (data / "held-out.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("image", "mask", "split"), *held_out])
    return folder


def name_of(way: str, seed: int, options: argparse.Namespace) -> str:
    """Return the name of a training in the results."""
    return f"{way} {options.smoothness:g} {options.background:g} {seed}"


def train(folder: Path, way: str, seed: int, options: argparse.Namespace) -> float:
    """Train one network, and return its mean Dice of the classes on the test images."""
    data = folder / "data" / str(seed)
    if not (data / "dense.csv").is_file():
        write_data(data, seed, options.stroke_images)
    labels = write_labels(data, way, seed)
    config = config_of("strokes", "dense", data, seed, options)
    labelled: dict[str, Any] = {"source": "labelme", "images": str(labels)}
    if way == "boxes":
        labelled |= {"boxes": "bounds", "line_width": 2 * RADIUS}
    else:
        labelled |= {"outside_shapes": "void", "point_radius": RADIUS}
    scored = {"list_file": str(data / "held-out.csv")}
    config["data"] = {"sets": {way: labelled, "scored": scored}}
    config["train"]["smoothness"] = options.smoothness
    config["class_weights"] = {"background": options.background}
    place = folder / f"run-{name_of(way, seed, options)}".replace(" ", "-")
    run = segkit.train(config, place, resume=(place / "config.yaml").is_file())
    dice: float = run.scored()["mean"]["dice_foreground"]
    return dice


def main() -> None:
    """Train what is missing, and print the Dice of each training."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="work folder; its results are kept")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each way")
    parser.add_argument("--steps", type=int, default=3000, help="steps of each training")
    parser.add_argument("--stroke-images", type=int, default=200, help="training images")
    parser.add_argument("--smoothness", type=float, default=0.0, help="weight of this term")
    parser.add_argument(
        "--background", type=float, default=1.0, help="weight of the background, for boxes"
    )
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="what to train")
    parser.add_argument("--normalization", default="batch", help="of the networks")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    record = options.folder / "results.json"
    results: dict[str, float] = {}
    if record.is_file():
        results = json.loads(record.read_text(encoding="utf-8"))
    for seed in range(options.seeds):
        for way in options.ways:
            key = name_of(way, seed, options)
            if key not in results:
                results[key] = train(options.folder, way, seed, options)
                record.write_text(json.dumps(results, indent=1), encoding="utf-8")
    console = Console()
    for way in options.ways:
        dice = [results[name_of(way, seed, options)] for seed in range(options.seeds)]
        listed = ", ".join(f"{value:.3f}" for value in dice)
        console.print(f"{way}: {statistics.fmean(dice):.3f} ({listed})")
    console.print(machine_line(machine()))


if __name__ == "__main__":
    main()
