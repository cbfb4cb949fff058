"""Training on images of which each was annotated for some classes only, in four ways.

Images show shapes of eight classes, or, with `--head FOLDER`, eight lobes in slices of the head
scan that examples/brain_mri/prepare.py writes. Each training image keeps the masks of some classes,
chosen at random. The ways differ in what the other pixels mean:

- full: all classes are annotated (the upper end);
- sets: background or one of the classes that were not annotated (`labelled_classes` in the list);
- void: unlabelled;
- background: background, as if the other classes were not there (the lower end).

All are scored on the same test images with complete masks. The results of finished trainings are
kept in the work folder, so a second call continues the first one.
"""

from __future__ import annotations

import argparse
import copy
import csv
import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from drawn_shapes import CLASSES, SIZE, draw, save
from machine import machine, machine_line
from PIL import Image
from rich.console import Console
from rich.table import Table

import segkit

WAYS = ("full", "sets", "void", "background")
VOID = 255
LOBES = (
    "frontal", "insula", "limbic", "occipital", "parietal", "deep grey", "temporal", "cerebellum"
)  # fmt: skip
SHAPES_TRAINING = {
    "model": {"width": 8, "depth": 3},
    "train": {"epochs": 10, "batch_size": 8, "crop": [SIZE, SIZE], "learning_rate": 0.004},
}
HEAD_TRAINING = {
    "augment": {"rotate": 10, "scale": 0.2, "brightness": 0.1, "contrast": 0.1},
    "model": {"width": 16, "depth": 3, "stem": 4},
    "train": {"epochs": 40, "batch_size": 2, "crop": [217, 181], "learning_rate": 0.002},
}
Annotated = tuple[str, np.ndarray, np.ndarray]
"""The part of an image, the image (H, W) or (H, W, 3), and its complete mask (H, W), both uint8."""


def drawn_images(settings: argparse.Namespace) -> Iterator[Annotated]:
    """Yield generated shapes of all parts."""
    counts = {"train": settings.images, "validation": settings.test // 2, "test": settings.test}
    number = 0
    for part, count in counts.items():
        for _ in range(count):
            yield (part, *draw(np.random.default_rng([settings.data_seed, number])))
            number += 1


def head_images(settings: argparse.Namespace) -> Iterator[Annotated]:
    """Yield the slices of the head scan of all parts."""
    for part in ("train", "validation", "test"):
        for path in sorted((settings.head / part / "images").iterdir()):
            mask = Image.open(settings.head / part / "lobes" / path.name)
            yield part, np.asarray(Image.open(path)), np.asarray(mask)


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
    classes = LOBES if settings.head else CLASSES
    images = head_images(settings) if settings.head else drawn_images(settings)
    rng = np.random.default_rng(settings.data_seed)
    path = folder / f"{way}.csv"
    lines = [("image", "mask", "split", "labelled_classes")]
    for number, (part, image, mask) in enumerate(images):
        kept = 1 + np.sort(rng.permutation(len(classes))[: settings.kept])
        labelled = "all"
        if part == "train":
            mask = partial(mask, kept, way)
            if way == "sets":
                labelled = "|".join(classes[index - 1] for index in kept)
        name = f"{number:05d}.png"
        save(folder / "images" / name, image)
        save(folder / f"masks-{way}" / name, mask)
        lines.append((f"images/{name}", f"masks-{way}/{name}", part, labelled))
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(lines)
    return path


def train(folder: Path, way: str, seed: int, settings: argparse.Namespace) -> dict[str, Any]:
    """Train one network, and return the Dice of the test part, as a mean and per class."""
    samples = folder / f"{way}.csv"
    if not samples.is_file():
        write_data(folder, way, settings)
    classes = LOBES if settings.head else CLASSES
    config = copy.deepcopy(HEAD_TRAINING if settings.head else SHAPES_TRAINING)
    config["task"] = {"kind": "multiclass", "classes": ["background", *classes]}
    config["data"] = {"list_file": str(samples)}
    if not settings.head:
        config["model"]["normalization"] = settings.normalization
    config["train"] |= {"seed": seed, "patience": 0, "tensorboard": False, "pictures": 0}
    if settings.epochs:
        config["train"]["epochs"] = settings.epochs
    place = folder / f"run-{way}-{seed}"
    run = segkit.train(config, place, resume=(place / "config.yaml").is_file())
    report = run.scored()
    dice = {name: report["classes"][name]["dice"] for name in classes}
    return {"dice": report["mean"]["dice_foreground"], "classes": dice}


def main() -> None:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="work folder; its results are kept")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each way")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS, help="what to train")
    parser.add_argument("--kept", type=int, default=3, help="annotated classes of an image")
    parser.add_argument("--images", type=int, default=1500, help="training images of shapes")
    parser.add_argument("--test", type=int, default=40, help="test images of shapes")
    parser.add_argument("--epochs", type=int, help="epochs; 10 for shapes, 40 for the head scan")
    parser.add_argument("--normalization", default="batch", help="of the networks for shapes")
    parser.add_argument("--head", type=Path, metavar="FOLDER", help="the data of the head scan")
    parser.add_argument("--data-seed", type=int, default=0, help="seed of images and kept classes")
    settings = parser.parse_args()
    settings.folder.mkdir(parents=True, exist_ok=True)
    record = settings.folder / "results.json"
    results: dict[str, Any] = {}
    if record.is_file():
        results = json.loads(record.read_text(encoding="utf-8"))
    for seed in range(settings.seeds):
        for way in settings.ways:
            key = f"{way} {seed}"
            if key not in results:
                results[key] = train(settings.folder, way, seed, settings)
                record.write_text(json.dumps(results, indent=1), encoding="utf-8")
    show(results, settings.ways, settings.seeds)


def show(results: dict[str, Any], ways: Sequence[str], seeds: int) -> None:
    """Print the mean Dice of each way, and its range over the seeds."""
    table = Table(title=f"{seeds} trainings each; mean Dice of the classes on complete masks")
    for heading in ("training masks", "Dice", "lowest", "highest", "share of full"):
        table.add_column(heading)
    dice_of = {way: [results[f"{way} {seed}"]["dice"] for seed in range(seeds)] for way in ways}
    for way, dice in dice_of.items():
        mean = statistics.fmean(dice)
        cells = [f"{value:.3f}" for value in (mean, min(dice), max(dice))]
        if "full" in dice_of:
            cells.append(f"{mean / statistics.fmean(dice_of['full']):.3f}")
        table.add_row(way, *cells)
    console = Console()
    console.print(table)
    console.print(machine_line(machine()))


if __name__ == "__main__":
    main()
