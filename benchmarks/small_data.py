"""What to do with few images: hold some back for the best epoch, or train on all of them.

Four ways are compared on sets of 12 and of 54 images, with equal numbers of training steps:

- a fifth: a fifth of the images chooses the best epoch, as `segkit plan` does.
- a tenth: a tenth of them chooses it.
- all, averaged: all images train, and the averaged weights of the last epoch are kept.
- all, last: all images train, and the last epoch is kept.

The first two report the score of the images that they held back. Three folds report a score of a
training on all images.

Two kinds of images are drawn: composites of shapes, and scans of which neighbouring slices resemble
each other (scans are groups). Each seed draws other images and other weights. The network is then
scored on many other images, which is its true score. The script also compares the score that each
way reports with the true one.

Every training is added to the file of results when it ends. The same command continues an
interrupted benchmark.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from machine import machine, machine_line
from PIL import Image
from rich.console import Console
from rich.table import Table
from scipy.ndimage import gaussian_filter

import segkit
from segkit.config import Config
from segkit.data.parts import open_parts
from segkit.evaluation.evaluate import score_part
from segkit.inference.load import open_run

SIZES = (12, 54)
"""Numbers of images to train with."""
TESTED = 120
"""Number of other images, which give the true score."""
SIDE = 48
"""Height and width of an image in pixels."""
SLICES = 3
"""Slices of a scan."""
FOLDS = 3
WAYS = ("a fifth", "all, averaged", "all, last", "a tenth")
BY_FOLDS = "folds for all, last"
"""The row of the folds, whose score is compared with that of the way "all, last"."""
EPOCHS = 8


class Result(NamedTuple):
    """One way with one set of images."""

    kind: str
    images: int
    way: str
    seed: int
    true: float
    """Mean foreground Dice of the test images."""
    reported: float | None
    """The same score as the run reports it; None if it has none."""
    low: float | None
    """Lower end of the reported interval; None below 20 groups."""
    high: float | None
    seconds: float
    """Time of all its trainings."""


def shapes(images: int, seed: int, folder: Path) -> dict[str, Any]:
    """Return the sections `task` and `data` of composites of generated shapes."""
    return {
        "task": {"kind": "multiclass", "classes": ["background", "disc", "square", "triangle"]},
        "data": {"source": "shapes", "count": images, "size": [SIDE, SIDE], "seed": seed},
    }


def scans(images: int, seed: int, folder: Path) -> dict[str, Any]:
    """Write generated scans, and return the sections `task` and `data` that read them."""
    if not folder.is_dir():
        for number in range(images // SLICES):
            _write_scan(folder, f"{seed}_{number}", np.random.default_rng([seed, number]))
    return {
        "task": {"kind": "multiclass", "classes": ["background", "organ", "lesion"]},
        "data": {
            "images": str(folder / "images"),
            "masks": str(folder / "masks"),
            "groups": {"folder": 1},
        },
    }


KINDS: dict[str, Callable[[int, int, Path], dict[str, Any]]] = {"shapes": shapes, "scans": scans}


def _write_scan(folder: Path, name: str, random: np.random.Generator) -> None:
    """Write the slices of a scan."""
    images, masks = _draw_scan(random)
    for kind, pictures in (("images", images), ("masks", masks)):
        (folder / kind / name).mkdir(parents=True)
        for i, pixels in enumerate(pictures):
            Image.fromarray(pixels).save(folder / kind / name / f"slice_{i}.png")


def _draw_scan(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return images (SLICES, SIDE, SIDE) uint8, and masks with 0, 1 (organ) and 2 (lesion)."""
    depth, rows, columns = np.mgrid[
        -0.8 : 0.8 : SLICES * 1j, -1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j
    ]
    middle = random.uniform(-0.25, 0.25, 2)
    width = random.uniform(0.6, 0.95, 2)
    body = np.hypot(rows / width[0], columns / width[1]) < 1
    radii = random.uniform(0.3, 0.5, 2)
    offset = np.hypot((rows - middle[0]) / radii[0], (columns - middle[1]) / radii[1])
    organ = np.hypot(offset, depth / 0.9) < 1
    place = middle + random.uniform(-0.2, 0.2, 2)
    lesion = np.hypot(rows - place[0], columns - place[1], depth - random.uniform(-0.4, 0.4))
    lesion = (lesion < random.uniform(0.12, 0.28)) & organ
    other = np.hypot(rows + middle[0], columns - random.uniform(-0.6, 0.6)) < 0.2
    light = 60.0 * body + 30 * organ + random.uniform(15, 35) * lesion + 30 * other * body
    light = gaussian_filter(light, (0, 1, 1)) + random.normal(0, 12, light.shape)
    images = np.clip(20 + random.uniform(0.7, 1.3) * light, 0, 255).astype(np.uint8)
    return images, (organ.astype(np.uint8) + lesion).astype(np.uint8)


def training(sections: dict[str, Any], way: str, seed: int, steps: int) -> Config:
    """Return the config of a way; all ways train for the same number of steps."""
    data = {"validation": 0.2, "test": 0.0}
    if way == "a tenth":
        data["validation"] = 0.1
    train: dict[str, Any] = {
        "steps": steps,
        "steps_per_epoch": max(1, steps // EPOCHS),
        "batch_size": 4,
        "crop": [SIDE, SIDE],
        "learning_rate": 0.002,
        "seed": seed,
        "pictures": 0,
        "tensorboard": False,
        "checkpoint_minutes": 0,
    }
    if way == "all, averaged":
        train["ema"] = 0.98
    return Config.model_validate(
        {
            **sections,
            "data": {**sections["data"], **data},
            "augment": {"flip_horizontal": True, "rotate": 10, "scale": 0.1},
            "model": {"width": 8, "depth": 2},
            "train": train,
        }
    )


def measure(kind: str, images: int, way: str, seed: int, steps: int, folder: Path) -> Result:
    """Train one way with one set of images, and score it on the test images."""
    trained = KINDS[kind](images, seed, folder / f"{kind}-{images}-{seed}")
    tested = KINDS[kind](TESTED, 1000, folder / f"{kind}-tested")
    out = folder / "runs"
    shutil.rmtree(out, ignore_errors=True)
    began = time.perf_counter()
    run = segkit.train(training(trained, way, seed, steps), out / "all", on_all="all" in way)
    seconds = time.perf_counter() - began
    opened = open_run(run.path, "keras")
    everything = Config.model_validate({**tested, "data": {**tested["data"], "on_all": True}})
    true = score_part(opened.predict, opened.config, open_parts(everything)["train"])
    _free_networks()
    return _result(kind, images, way, seed, true["mean"]["dice_foreground"], run.report(), seconds)


def measure_folds(
    kind: str, images: int, seed: int, steps: int, folder: Path, true: float
) -> Result:
    """Train the folds of one set of images; `true` is the score of the training on all of them."""
    trained = KINDS[kind](images, seed, folder / f"{kind}-{images}-{seed}")
    out = folder / "runs"
    shutil.rmtree(out, ignore_errors=True)
    began = time.perf_counter()
    report = segkit.cross_validate(training(trained, "all, last", seed, steps), out, FOLDS)
    seconds = time.perf_counter() - began
    _free_networks()
    pooled = None if report is None else report["pooled"]
    return _result(kind, images, BY_FOLDS, seed, true, pooled, seconds)


def _result(
    kind: str,
    images: int,
    way: str,
    seed: int,
    true: float,
    report: dict[str, Any] | None,
    seconds: float,
) -> Result:
    reported = None
    ends: dict[str, Any] = {}
    if report is not None:
        reported = report["mean"]["dice_foreground"]
        ends = report["intervals"]["mean"]["dice_foreground"]
    return Result(
        kind, images, way, seed, true, reported, ends.get("low"), ends.get("high"), seconds
    )


def _free_networks() -> None:
    """Free the memory of the last training."""
    import keras

    keras.backend.clear_session()
    gc.collect()


def read_results(path: Path) -> list[Result]:
    """Return the results of earlier calls; a row that a killed process cut off is left out."""
    results = []
    if path.is_file():
        for line in path.read_text().splitlines():
            try:
                results.append(Result(**json.loads(line)))
            except ValueError:
                continue
    return results


def show(results: Sequence[Result]) -> Table:
    """Return a table with a row for each kind, number of images and way."""
    table = Table(
        "images",
        "way",
        "true Dice: median",
        "range",
        "against a fifth: median",
        "range",
        "reported - true: median",
        "range",
        "interval holds true",
        "seconds",
    )
    for kind in KINDS:
        for images in SIZES:
            of_set = [each for each in results if (each.kind, each.images) == (kind, images)]
            for way in (*WAYS, BY_FOLDS):
                row = _row([each for each in of_set if each.way == way], of_set)
                if row:
                    table.add_row(f"{images} {kind}", way, *row)
            table.add_section()
    return table


def _row(of_way: Sequence[Result], of_set: Sequence[Result]) -> list[str]:
    """Return the cells of one way; empty if it has no result."""
    if not of_way:
        return []
    fifth = {each.seed: each.true for each in of_set if each.way == "a fifth"}
    gains = [each.true - fifth[each.seed] for each in of_way if each.seed in fifth]
    errors = [each.reported - each.true for each in of_way if each.reported is not None]
    held = []
    for each in of_way:
        if each.low is not None and each.high is not None:
            held.append(each.low <= each.true <= each.high)
    seconds = statistics.median(each.seconds for each in of_way)
    return [
        *_spread([each.true for each in of_way], ".3f"),
        *_spread(gains, "+.3f"),
        *_spread(errors, "+.3f"),
        f"{sum(held)} of {len(held)}" if held else "-",
        f"{seconds:.0f}",
    ]


def _spread(values: Sequence[float], form: str) -> tuple[str, str]:
    """Return the median and the range of values."""
    if not values:
        return "-", "-"
    ends = f"{min(values):{form}} to {max(values):{form}}"
    return f"{statistics.median(values):{form}}", ends


def _missing(results: Sequence[Result], seeds: int, steps: int, folder: Path) -> Iterator[Result]:
    """Measure and yield what is not among the results, the folds at the end.

    The caller adds what is yielded to the results.
    """
    sets = list(itertools.product(range(seeds), SIZES, KINDS))
    for (seed, images, kind), way in itertools.product(sets, WAYS):
        if _find(results, kind, images, way, seed) is None:
            yield measure(kind, images, way, seed, steps, folder)
    for seed, images, kind in sets:
        last = _find(results, kind, images, "all, last", seed)
        if last is not None and _find(results, kind, images, BY_FOLDS, seed) is None:
            yield measure_folds(kind, images, seed, steps, folder, last.true)


def _find(results: Sequence[Result], kind: str, images: int, way: str, seed: int) -> Result | None:
    wanted = (kind, images, way, seed)
    for each in results:
        if each[:4] == wanted:
            return each
    return None


def main() -> None:
    """Measure what is missing in the file of results, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("small_data.jsonl"))
    parser.add_argument("--seeds", type=int, default=3, help="image sets of each size")
    parser.add_argument("--steps", type=int, default=800, help="steps of each training")
    options = parser.parse_args()
    console = Console(width=200)
    console.print(machine_line(machine()), highlight=False)
    results = read_results(options.results)
    with tempfile.TemporaryDirectory() as name, options.results.open("a") as stream:
        for found in _missing(results, options.seeds, options.steps, Path(name)):
            results.append(found)
            stream.write(json.dumps(found._asdict()) + "\n")
            stream.flush()
            print(found, flush=True)
    console.print(show(results))


if __name__ == "__main__":
    main()
