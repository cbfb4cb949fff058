"""Trainings on few labels, with and without the terms that need no labels.

Images show shapes of eight classes. There are two cases, each with trainings of equal length in
steps, the same augmentation and averaged weights:

images: 10 images with masks, and 200 without.
- few: only the 10 images train;
- consistency 1, consistency 10: the others teach by the consistency term of this weight;
- all: the 200 images have masks, too (the upper end).

strokes: masks in which about 2 % of the pixels are known, as thin strokes.
- strokes: nothing else;
- smoothness 1, smoothness 3: with the smoothness term of this weight;
- consistency 1: unlabelled pixels teach by the consistency term of this weight;
- dense: complete masks (the upper end).

head: the same strokes on eight lobes in slices of the head scan that examples/brain_mri/prepare.py
writes, with `--head FOLDER`. All seeds have the same images, and other strokes and weights.

All are scored on other images with complete masks. Every seed has other images and other weights.
The results of finished trainings are kept in the work folder, so a second call continues the first.
"""

from __future__ import annotations

import argparse
import copy
import csv
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from drawn_shapes import CLASSES, SIZE, draw, save
from machine import machine, machine_line
from partial_labels import HEAD_TRAINING, LOBES
from PIL import Image
from rich.console import Console
from rich.table import Table
from skimage.measure import label
from skimage.morphology import skeletonize

import segkit

VOID = 255
COUNTS = {"few": 10, "more": 200, "validation": 20, "test": 60}
"""Images of each kind."""
SHARE = 0.02
"""Share of the pixels of an image that strokes cover."""
SHORTEST = 4
"""Pixels of the shortest stroke, if the object has as many."""
WAYS: dict[str, dict[str, dict[str, Any]]] = {
    "images": {
        "few": {},
        "consistency 1": {"consistency": 1.0},
        "consistency 10": {"consistency": 10.0},
        "all": {},
    },
    "strokes": {
        "strokes": {},
        "smoothness 1": {"smoothness": 1.0},
        "smoothness 3": {"smoothness": 3.0},
        "consistency 1": {"consistency": 1.0},
        "dense": {},
    },
    "head": {"strokes": {}, "smoothness 1": {"smoothness": 1.0}, "dense": {}},
}
"""Settings of each way in `train`, by case; the last way of a case is the upper end."""
AUGMENT = {"brightness": 0.2, "contrast": 0.2, "gamma": 0.2, "noise": 0.05, "blur": 1.0}


def strokes(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a mask in which only thin strokes are known.

    Each object, and each piece of the background, gets a stroke: the pixels of its centreline that
    are nearest to one of them, chosen at random.

    Args:
        mask: The complete mask, (H, W) uint8.
        rng: Source of the random numbers.
    """
    drawn = np.full(mask.shape, VOID, np.uint8)
    objects = label(mask, background=-1, connectivity=1)
    count = objects.max()
    length = max(SHORTEST, round(SHARE * mask.size / count))
    for number in range(1, count + 1):
        line = np.argwhere(skeletonize(objects == number))
        start = line[rng.integers(len(line))]
        distances = np.hypot(*(line - start).T)
        for row, column in line[np.argsort(distances, kind="stable")[:length]]:
            drawn[row, column] = mask[row, column]
    return drawn


def write_data(folder: Path, seed: int, stroke_images: int) -> None:
    """Write the images of a seed, their masks and strokes, and a list for each kind of training."""
    rows: dict[str, list[tuple[str, str, str]]] = {}
    number = 0
    for kind, count in COUNTS.items():
        rows[kind] = []
        for _ in range(count):
            rng = np.random.default_rng([seed, number])
            image, mask = draw(rng)
            name = f"{number:05d}.png"
            save(folder / kind / name, image)
            save(folder / "masks" / name, mask)
            save(folder / "strokes" / name, strokes(mask, rng))
            part = kind if kind in ("validation", "test") else "train"
            rows[kind].append((f"{kind}/{name}", f"masks/{name}", part))
            number += 1
    held_out = rows["validation"] + rows["test"]
    dense = rows["more"][:stroke_images]
    thin = [(image, mask.replace("masks", "strokes"), part) for image, mask, part in dense]
    lists = {
        "few": rows["few"],
        "all": rows["few"] + rows["more"],
        "strokes": thin,
        "dense": dense,
    }
    for name, chosen in lists.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("image", "mask", "split"), *chosen, *held_out])


def write_head_data(folder: Path, head: Path, seed: int) -> None:
    """Write lists of the slices of the head scan, and their strokes."""
    rows: dict[str, list[tuple[str, str, str]]] = {"strokes": [], "dense": []}
    for part in ("train", "validation", "test"):
        for number, image in enumerate(sorted((head / part / "images").iterdir())):
            complete = head / part / "lobes" / image.name
            thin = folder / "strokes" / image.name
            if part == "train":
                mask = np.asarray(Image.open(complete))
                save(thin, strokes(mask, np.random.default_rng([seed, number])))
            used = {"dense": complete, "strokes": thin if part == "train" else complete}
            for name, path in used.items():
                rows[name].append((str(image.resolve()), str(path.resolve()), part))
    for name, chosen in rows.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("image", "mask", "split"), *chosen])


def config_of(
    case: str, way: str, data: Path, seed: int, options: argparse.Namespace
) -> dict[str, Any]:
    """Return the config of a training."""
    settings = dict(WAYS[case][way])
    listed = way if way in ("all", "dense") else "strokes"
    if case == "images" and way != "all":
        listed = "few"
        if settings:
            settings["unlabelled"] = str(data / "more")
    shapes = {
        "augment": AUGMENT,
        "model": {"width": 8, "depth": 3, "normalization": options.normalization},
        "train": {"batch_size": 8, "crop": [SIZE, SIZE], "learning_rate": 0.003},
    }
    config = copy.deepcopy(HEAD_TRAINING if case == "head" else shapes)
    classes = LOBES if case == "head" else CLASSES
    config["task"] = {"kind": "multiclass", "classes": ["background", *classes]}
    config["data"] = {"list_file": str(data / f"{listed}.csv")}
    config["train"].pop("epochs", None)
    config["train"] |= {
        "steps": options.steps,
        "steps_per_epoch": max(1, options.steps // 10),
        "ema": 0.99,
        "seed": seed,
        "tensorboard": False,
        "pictures": 0,
        **settings,
    }
    return config


def train(
    folder: Path, case: str, way: str, seed: int, options: argparse.Namespace
) -> dict[str, Any]:
    """Train one network, and return its mean Dice of the classes on the test images."""
    data = folder / ("head" if case == "head" else "data") / str(seed)
    if not (data / "dense.csv").is_file():
        if case == "head":
            write_head_data(data, options.head, seed)
        else:
            write_data(data, seed, options.stroke_images)
    config = config_of(case, way, data, seed, options)
    place = folder / f"run-{case}-{way}-{seed}".replace(" ", "-")
    run = segkit.train(config, place, resume=(place / "config.yaml").is_file())
    report = run.scored()
    seconds = sum(row["seconds"] for row in run.rows())
    return {"dice": report["mean"]["dice_foreground"], "seconds": seconds}


def main() -> None:
    """Train what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="work folder; its results are kept")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each way")
    parser.add_argument("--steps", type=int, default=1000, help="steps of each training")
    parser.add_argument(
        "--stroke-images", type=int, default=60, help="images of shapes with strokes, at most 200"
    )
    parser.add_argument("--ways", nargs="+", help="only these trainings, as the page names them")
    parser.add_argument("--normalization", default="batch", help="of the networks for shapes")
    parser.add_argument("--case", choices=list(WAYS), action="append", help="only this case")
    parser.add_argument("--head", type=Path, metavar="FOLDER", help="the data of the head scan")
    settings = parser.parse_args()
    settings.folder.mkdir(parents=True, exist_ok=True)
    record = settings.folder / "results.json"
    results: dict[str, Any] = {}
    if record.is_file():
        results = json.loads(record.read_text(encoding="utf-8"))
    cases = settings.case or [case for case in WAYS if case != "head" or settings.head]
    for seed in range(settings.seeds):
        for case in cases:
            for way in settings.ways or WAYS[case]:
                key = f"{case} {way} {seed}"
                if key not in results:
                    results[key] = train(settings.folder, case, way, seed, settings)
                    record.write_text(json.dumps(results, indent=1), encoding="utf-8")
    for case in cases:
        show(results, case, settings.ways or list(WAYS[case]), settings.seeds)


def show(results: dict[str, Any], case: str, ways: Sequence[str], seeds: int) -> None:
    """Print the Dice of each way for each seed, and the mean of the differences to the first."""
    table = Table(title=f"{case}: mean Dice of 8 classes on complete masks")
    for heading in ("training", *(f"seed {seed}" for seed in range(seeds)), "mean", "difference"):
        table.add_column(heading)
    first = ways[0]
    for way in ways:
        dice = [results[f"{case} {way} {seed}"]["dice"] for seed in range(seeds)]
        pairs = [results[f"{case} {first} {seed}"]["dice"] for seed in range(seeds)]
        mean = statistics.fmean(dice)
        difference = mean - statistics.fmean(pairs)
        cells = [f"{value:.3f}" for value in (*dice, mean)]
        table.add_row(way, *cells, f"{difference:+.3f}")
    console = Console()
    console.print(table)
    console.print(machine_line(machine()))


if __name__ == "__main__":
    main()
