"""How often the 95 % intervals of segkit.evaluation.intervals hold the value of the whole pool.

A small network is trained on generated shapes and predicts thousands of others, which are the pool.
Test sets are drawn from the pool, and each gets an interval. Groups are images of a similar score,
as the images of one patient are. The script prints the share of the test sets whose interval holds
the pool's score, and the median width of the intervals.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from machine import machine, machine_line
from rich.console import Console
from rich.progress import track
from rich.table import Table

import segkit
from segkit.config import Config
from segkit.data.parts import open_parts
from segkit.evaluation import counts as pixel_counts
from segkit.evaluation.evaluate import predict_part
from segkit.evaluation.image_scores import BoundarySettings, mean_boundaries, score_image
from segkit.evaluation.intervals import Estimate, per_image, pooled
from segkit.inference.decoding import decode
from segkit.inference.load import open_run

SIZES = (20, 50, 100)
GROUP = 5
"""Images of a group."""
LIKENESS = 0.05
"""Standard deviation of the noise that is added to Dice before images are sorted into groups."""


class Pool(NamedTuple):
    """The scored images."""

    counts: np.ndarray
    """(images, 4, C) int64."""
    dice: np.ndarray
    """Mean Dice of each image, (images,)."""
    hd95: np.ndarray
    """Mean HD95 of each image in pixels, (images,)."""


def make_pool(folder: Path, images: int) -> Pool:
    """Train a small network, and score its predictions of other images."""
    share = images / (images + 100)
    config = Config.model_validate(
        {
            "task": {"kind": "multiclass", "classes": ["background", "disc", "square", "triangle"]},
            "data": {
                "source": "shapes",
                "count": images + 100,
                "size": [48, 48],
                "validation": 0.2 * (1 - share),
                "test": share,
            },
            "model": {"width": 8, "depth": 2},
            "train": {"epochs": 20, "batch_size": 8, "pictures": 0, "tensorboard": False},
        }
    )
    run = segkit.train(config, run=folder / "run")
    opened = open_run(run.path, "keras")
    part = open_parts(opened.config)["test"]
    task = opened.config.task
    scores = []
    predictions = predict_part(opened.predict, opened.config, part)
    for number, (target, probabilities) in enumerate(track(predictions, "pool", len(part))):
        mask = decode(opened.config, probabilities)
        scores.append(score_image(task, str(number), target, mask, "", BoundarySettings()))
    counts = np.stack([image.counts for image in scores])
    dice = [pixel_counts.means(task, image)["dice_foreground"] for image in counts]
    hd95 = [mean_boundaries(image).hd95 for image in scores]
    return Pool(counts, np.array(dice), np.array(hd95))


def pooled_dice(sums: np.ndarray) -> np.ndarray:
    """Return the mean Dice of the classes after the background, for sums (..., 4, C)."""
    values = pixel_counts.ratios(np.moveaxis(sums, -2, 0))["dice"][..., 1:]
    return np.nanmean(values, axis=-1)


def in_groups(pool: Pool, random: np.random.Generator) -> np.ndarray:
    """Return the images of each group, (groups, GROUP): images of similar Dice are together."""
    dice = np.nan_to_num(pool.dice, nan=float(np.nanmean(pool.dice)))
    order = np.argsort(dice + LIKENESS * random.standard_normal(len(dice)))
    groups = len(order) // GROUP
    return order[: groups * GROUP].reshape(groups, GROUP)


def coverage(
    blocks: np.ndarray,
    size: int,
    sets: int,
    truth: float,
    estimate: Callable[[np.ndarray, np.ndarray], Estimate],
    random: np.random.Generator,
) -> tuple[float, float]:
    """Return how often intervals hold the truth, and their median width.

    Args:
        blocks: The images of each group, (groups, images of a group).
        size: Number of groups of a test set.
        sets: Number of test sets.
        truth: The score of the pool.
        estimate: Estimates a score from the images of a test set and their groups.
        random: Draws the test sets.
    """
    held = 0
    widths = []
    groups = np.repeat(np.arange(size), blocks.shape[1])
    for _ in range(sets):
        chosen = random.choice(len(blocks), size, replace=False)
        found = estimate(blocks[chosen].ravel(), groups)
        held += found.low <= truth <= found.high
        widths.append(found.high - found.low)
    return held / sets, float(np.median(widths))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=3000, help="images of the pool")
    parser.add_argument("--sets", type=int, default=2000, help="test sets of each row")
    parser.add_argument("--resamples", type=int, default=1000, help="bootstrap resamples")
    options = parser.parse_args()
    console = Console()
    console.print(machine_line(machine()), highlight=False)
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        pool = make_pool(Path(folder), options.images)
    estimates = {
        "Dice, data set": lambda images, groups: pooled(
            pool.counts[images], groups, pooled_dice, options.resamples
        ),
        "Dice, per image": lambda images, groups: per_image(
            pool.dice[images], groups, resamples=options.resamples
        ),
        "HD95, per image": lambda images, groups: per_image(
            pool.hd95[images], groups, share=False, resamples=options.resamples
        ),
    }
    kinds = {"images": np.arange(len(pool.dice))[:, None], "groups": in_groups(pool, random)}
    table = Table("drawn", "score", "pool", *(f"n = {size}: held, width" for size in SIZES))
    for kind, blocks in kinds.items():
        everything = blocks.ravel()
        every_group = np.repeat(np.arange(len(blocks)), blocks.shape[1])
        for name, estimate in estimates.items():
            truth = estimate(everything, every_group).value
            cells = []
            for size in SIZES:
                share, width = coverage(blocks, size, options.sets, truth, estimate, random)
                cells.append(f"{share:.1%}, {width:.3f}")
            table.add_row(kind, name, f"{truth:.4f}", *cells)
    console.print(table)


if __name__ == "__main__":
    main()
