"""Training on images of which each was annotated for some classes only, in four ways.

Images show shapes of eight classes. Each training image keeps the masks of some classes, chosen at
random. The ways differ in what the other pixels mean:

- full: all classes are annotated (the upper end);
- sets: background or one of the classes that were not annotated (`labelled_classes` in the list);
- void: unlabelled;
- background: background, as if the other classes were not there (the lower end).

All are scored on the same test images with complete masks. The results of finished trainings are
kept in the work folder, so a second call continues the first one.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine, machine_line
from PIL import Image
from rich.console import Console
from rich.table import Table

import segkit

WAYS = ("full", "sets", "void", "background")
CLASSES = ("disc", "ring", "square", "frame", "triangle", "cross", "bar", "half")
SIZE = 64
"""Height and width of an image, in pixels."""
VOID = 255
TINTS = np.array(
    [
        (220, 60, 60),
        (60, 200, 60),
        (60, 80, 230),
        (220, 210, 50),
        (210, 60, 210),
        (50, 200, 210),
        (240, 140, 40),
        (235, 235, 235),
    ]
)
"""Mean colour of each class; single shapes differ from it, so that colours overlap."""
Inside = Callable[[np.ndarray, np.ndarray, float], np.ndarray]
"""Whether positions (u, v) around the centre are inside a shape of a radius."""
SHAPES: dict[str, Inside] = {
    "disc": lambda u, v, r: np.hypot(u, v) <= r,
    "ring": lambda u, v, r: (np.hypot(u, v) <= r) & (np.hypot(u, v) >= 0.55 * r),
    "square": lambda u, v, r: np.maximum(abs(u), abs(v)) <= 0.85 * r,
    "frame": lambda u, v, r: (
        (np.maximum(abs(u), abs(v)) <= r) & (np.maximum(abs(u), abs(v)) >= 0.55 * r)
    ),
    "triangle": lambda u, v, r: (v >= -0.6 * r) & (v + np.sqrt(3) * abs(u) <= 1.2 * r),
    "cross": lambda u, v, r: (
        (np.maximum(abs(u), abs(v)) <= 1.1 * r) & (np.minimum(abs(u), abs(v)) <= 0.3 * r)
    ),
    "bar": lambda u, v, r: (abs(u) <= 1.3 * r) & (abs(v) <= 0.35 * r),
    "half": lambda u, v, r: (np.hypot(u, v) <= 1.2 * r) & (v >= 0),
}


def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return an image (H, W, 3) and its complete mask (H, W) of class ids, both uint8."""
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    image = np.broadcast_to(rng.uniform(30, 120, 3), (SIZE, SIZE, 3)).copy()
    mask = np.zeros((SIZE, SIZE), np.uint8)
    for _ in range(rng.integers(4, 9)):
        number = int(rng.integers(1, 1 + len(CLASSES)))
        y, x = rows - rng.uniform(0, SIZE), columns - rng.uniform(0, SIZE)
        angle = rng.uniform(0, 2 * np.pi)
        u = x * np.cos(angle) + y * np.sin(angle)
        v = y * np.cos(angle) - x * np.sin(angle)
        inside = SHAPES[CLASSES[number - 1]](u, v, rng.uniform(0.10, 0.20) * SIZE)
        mask[inside] = number
        colour = 0.7 * TINTS[number - 1] + 0.3 * rng.uniform(0, 255, 3)
        image[inside] = 0.25 * image[inside] + 0.75 * colour
    image += rng.normal(0, 10, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), mask


def partial(mask: np.ndarray, kept: np.ndarray, way: str) -> np.ndarray:
    """Return the mask of an image in which only some classes were annotated.

    Args:
        mask: The complete mask, (H, W) uint8.
        kept: The ids of the annotated classes.
        way: One of `WAYS`.
    """
    if way == "full":
        return mask
    others = VOID if way == "void" else 0
    return np.where(np.isin(mask, kept), mask, np.uint8(others))


def write_data(folder: Path, way: str, settings: argparse.Namespace) -> Path:
    """Write images, masks and the list of a way, and return the list."""
    counts = {"train": settings.images, "validation": settings.test // 2, "test": settings.test}
    path = folder / f"{way}.csv"
    lines = [("image", "mask", "split", "labelled_classes")]
    number = 0
    for part, count in counts.items():
        for _ in range(count):
            rng = np.random.default_rng([settings.data_seed, number])
            image, mask = draw(rng)
            kept = 1 + np.sort(rng.permutation(len(CLASSES))[: settings.kept])
            labelled = "all"
            if part == "train":
                mask = partial(mask, kept, way)
                if way == "sets":
                    labelled = "|".join(CLASSES[index - 1] for index in kept)
            name = f"{number:05d}.png"
            for place, pixels in ((f"images/{name}", image), (f"masks-{way}/{name}", mask)):
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(folder / place)
            lines.append((f"images/{name}", f"masks-{way}/{name}", part, labelled))
            number += 1
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(lines)
    return path


def train(folder: Path, way: str, seed: int, settings: argparse.Namespace) -> dict[str, Any]:
    """Train one network, and return the Dice of the test part, as a mean and per class."""
    samples = folder / f"{way}.csv"
    if not samples.is_file():
        write_data(folder, way, settings)
    config = {
        "task": {"kind": "multiclass", "classes": ["background", *CLASSES]},
        "data": {"list_file": str(samples)},
        "model": {"width": settings.width, "depth": 3},
        "train": {
            "epochs": settings.epochs,
            "batch_size": 8,
            "crop": [SIZE, SIZE],
            "seed": seed,
            "patience": 0,
            "tensorboard": False,
            "pictures": 0,
        },
    }
    place = folder / f"run-{way}-{seed}"
    run = segkit.train(config, place, resume=(place / "config.yaml").is_file())
    report = run.scored()
    dice = {name: report["classes"][name]["dice"] for name in CLASSES}
    return {"dice": report["mean"]["dice_foreground"], "classes": dice}


def main() -> None:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="work folder; its results are kept")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each way")
    parser.add_argument("--kept", type=int, default=3, help="annotated classes of an image")
    parser.add_argument("--images", type=int, default=600, help="training images")
    parser.add_argument("--test", type=int, default=40, help="test images")
    parser.add_argument("--epochs", type=int, default=25, help="epochs of each training")
    parser.add_argument("--width", type=int, default=8, help="width of the network")
    parser.add_argument("--data-seed", type=int, default=0, help="seed of the images")
    settings = parser.parse_args()
    settings.folder.mkdir(parents=True, exist_ok=True)
    record = settings.folder / "results.json"
    results: dict[str, Any] = {}
    if record.is_file():
        results = json.loads(record.read_text(encoding="utf-8"))
    for seed in range(settings.seeds):
        for way in WAYS:
            key = f"{way} {seed}"
            if key not in results:
                results[key] = train(settings.folder, way, seed, settings)
                record.write_text(json.dumps(results, indent=1), encoding="utf-8")
    show(results, settings.seeds)


def show(results: dict[str, Any], seeds: int) -> None:
    """Print the mean Dice of each way, and its range over the seeds."""
    table = Table(title=f"{seeds} trainings each; Dice of {len(CLASSES)} classes on complete masks")
    for heading in ("training masks", "Dice", "lowest", "highest", "share of full"):
        table.add_column(heading)
    full = statistics.fmean(results[f"full {seed}"]["dice"] for seed in range(seeds))
    for way in WAYS:
        dice = [results[f"{way} {seed}"]["dice"] for seed in range(seeds)]
        mean = statistics.fmean(dice)
        cells = [f"{value:.3f}" for value in (mean, min(dice), max(dice), mean / full)]
        table.add_row(way, *cells)
    console = Console()
    console.print(table)
    console.print(machine_line(machine()))


if __name__ == "__main__":
    main()
