"""One training on two data sets that annotate different classes, against one training on each.

Images show shapes of eight classes. In the first data set the first four classes were annotated, in
the second one the other four. The ways are:

- merged: one network of eight classes is trained on both data sets (`data.sets`);
- alone: each data set trains a network of its own four classes.

All trainings have the same number of steps. The classes are scored on the same test images. The
results of finished trainings are kept in the work folder, so a second call continues the first one.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from drawn_shapes import CLASSES, SIZE, draw, save
from machine import machine, machine_line
from rich.console import Console
from rich.table import Table

import segkit

OWN = {"first": CLASSES[:4], "second": CLASSES[4:]}
"""The annotated classes of each data set."""
WAYS = ("merged", *OWN)


def only(mask: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Return a mask (H, W) of the ids 1..n of n classes; all others are background."""
    result = np.zeros_like(mask)
    for number, name in enumerate(classes, start=1):
        result[mask == CLASSES.index(name) + 1] = number
    return result


def write_list(path: Path, part_counts: dict[str, int], start: int, classes: Sequence[str]) -> None:
    """Write the images, the masks of some classes and the list of a data set."""
    lines = [("image", "mask", "split")]
    number = start
    for part, count in part_counts.items():
        for _ in range(count):
            image, mask = draw(np.random.default_rng([0, number]))
            name = f"{number:05d}.png"
            masks = f"masks-{path.stem}"
            save(path.parent / "images" / name, image)
            save(path.parent / masks / name, only(mask, classes))
            lines.append((f"images/{name}", f"{masks}/{name}", part))
            number += 1
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(lines)


def write_data(folder: Path, settings: argparse.Namespace) -> None:
    """Write the lists of the data sets, and of the test images for each way."""
    train = {"train": settings.images}
    scored = {"validation": settings.test // 2, "test": settings.test}
    start = 0
    for name, classes in OWN.items():
        write_list(folder / f"{name}.csv", train, start, classes)
        start += settings.images
    for name, classes in {"merged": CLASSES, **OWN}.items():
        write_list(folder / f"scored-{name}.csv", scored, start, classes)


def data_of(folder: Path, way: str) -> dict[str, Any]:
    """Return the section `data` of a way."""
    scored = {"list_file": str(folder / f"scored-{way}.csv")}
    if way != "merged":
        return {"sets": {way: {"list_file": str(folder / f"{way}.csv")}, "scored": scored}}
    sets: dict[str, Any] = {"scored": scored}
    for name, classes in OWN.items():
        values: dict[int, str] = {0: "background"}
        values |= dict(enumerate(classes, start=1))
        sets[name] = {
            "list_file": str(folder / f"{name}.csv"),
            "mask_values": values,
            "labelled_classes": list(classes),
        }
    return {"sets": sets}


def train(folder: Path, way: str, seed: int, settings: argparse.Namespace) -> dict[str, float]:
    """Train one network, and return the Dice of each class on the test part."""
    classes = OWN.get(way, CLASSES)
    images = settings.images * (2 if way == "merged" else 1)
    batch = 8
    config = {
        "task": {"kind": "multiclass", "classes": ["background", *classes]},
        "data": data_of(folder, way),
        "model": {"width": 8, "depth": 3},
        "train": {
            "epochs": settings.steps // (images // batch),
            "batch_size": batch,
            "crop": [SIZE, SIZE],
            "learning_rate": 0.004,
            "seed": seed,
            "patience": 0,
            "tensorboard": False,
            "pictures": 0,
        },
    }
    place = folder / f"run-{way}-{seed}"
    run = segkit.train(config, place, resume=(place / "config.yaml").is_file())
    report = run.scored()
    return {name: report["classes"][name]["dice"] for name in classes}


def show(results: dict[str, dict[str, float]], seeds: int) -> None:
    """Print the mean Dice of each class in both ways."""
    table = Table(title=f"{seeds} trainings each; Dice of a class on the test images")
    for heading in ("class", "alone", "merged", "difference"):
        table.add_column(heading)
    differences = []
    for way, classes in OWN.items():
        for name in classes:
            alone = statistics.fmean(results[f"{way} {seed}"][name] for seed in range(seeds))
            merged = statistics.fmean(results[f"merged {seed}"][name] for seed in range(seeds))
            differences.append(merged - alone)
            table.add_row(name, f"{alone:.3f}", f"{merged:.3f}", f"{merged - alone:+.3f}")
    table.add_row("mean", "", "", f"{statistics.fmean(differences):+.3f}")
    console = Console()
    console.print(table)
    console.print(machine_line(machine()))


def main() -> None:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="work folder; its results are kept")
    parser.add_argument("--seeds", type=int, default=3, help="trainings of each way")
    parser.add_argument("--images", type=int, default=800, help="training images of a data set")
    parser.add_argument("--test", type=int, default=80, help="test images")
    parser.add_argument("--steps", type=int, default=1600, help="steps of each training")
    settings = parser.parse_args()
    settings.folder.mkdir(parents=True, exist_ok=True)
    if not (settings.folder / "scored-second.csv").is_file():
        write_data(settings.folder, settings)
    record = settings.folder / "results.json"
    results: dict[str, dict[str, float]] = {}
    if record.is_file():
        results = json.loads(record.read_text(encoding="utf-8"))
    for seed in range(settings.seeds):
        for way in WAYS:
            key = f"{way} {seed}"
            if key not in results:
                results[key] = train(settings.folder, way, seed, settings)
                record.write_text(json.dumps(results, indent=1), encoding="utf-8")
    show(results, settings.seeds)


if __name__ == "__main__":
    main()
