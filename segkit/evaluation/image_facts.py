"""Which simple facts of images go with bad scores.

The worst tenth of the images is compared with the others. Each fact is ranked over all images, and
its statistic is the difference of the mean ranks, in standard deviations. A permutation test with
the largest statistic of all facts says whether it is more than chance; so testing many facts does
not find one that is none (Westfall and Young, Resampling-based multiple testing, 1993).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from segkit.task import Task
from segkit.task.layers import labelled_pixels, layer_of

WORST = 0.1
"""Share of the images that count as the worst."""
FEWEST = 20
"""Images from which the worst are compared with the others."""
CHANCE = 0.05
"""Largest p-value of a fact that stands out."""
PERMUTATIONS = 2000
UNUSUAL = ("brightness", "contrast")
"""Facts of which very low and very high values may both go with low scores."""


class Finding(NamedTuple):
    """A fact that differs between the worst images and the others."""

    fact: str
    worst: float
    """Median of the fact over the worst images; for a group, the share of the worst images."""
    others: float
    """The same over the other images."""
    p: float
    """p-value of the permutation test over all facts."""
    images: int
    """Number of the worst images."""


def image_facts(task: Task, image: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """Describe an image and its true mask by a few numbers.

    Args:
        task: The task of the mask.
        image: (H, W, channels), any dtype.
        target: The true mask as `Task.encode` returns it.

    Returns:
        "brightness" and "contrast" (mean and standard deviation of all values), "sharpness"
        (standard deviation of the Laplacian divided by the contrast), and for each foreground class
        "share of CLASS" (of the labelled pixels), "objects of CLASS" (number) and "object size of
        CLASS" (median in pixels; NaN without an object).
    """
    grey = _grey(image)
    contrast = float(grey.std())
    edges = float(cv2.Laplacian(grey, cv2.CV_32F).std())
    facts = {
        "brightness": float(grey.mean()),
        "contrast": contrast,
        "sharpness": edges / contrast if contrast else 0.0,
    }
    labelled = int(np.count_nonzero(labelled_pixels(target)))
    for label in task.foreground:
        name = task.classes[label]
        layer = layer_of(task, target, label).astype(np.uint8)
        sizes = cv2.connectedComponentsWithStats(layer, connectivity=8)[2][1:, cv2.CC_STAT_AREA]
        facts[f"share of {name}"] = np.count_nonzero(layer) / labelled if labelled else 0.0
        facts[f"objects of {name}"] = float(sizes.size)
        facts[f"object size of {name}"] = float(np.median(sizes)) if sizes.size else math.nan
    return facts


def _grey(image: np.ndarray) -> np.ndarray:
    """Return the mean of the channels, (H, W) float32."""
    grey = np.zeros(image.shape[:2], np.float32)
    for channel in range(image.shape[-1]):  # several times as fast as mean(-1)
        grey += image[..., channel]
    return grey / image.shape[-1]


def find_difference(
    scores: np.ndarray,
    facts: Mapping[str, np.ndarray],
    groups: Sequence[str] = (),
    seed: int = 0,
) -> Finding | None:
    """Find the fact that differs most between the worst tenth of the images and the others.

    Args:
        scores: Score of each image, (images,); images without a score (NaN) are left out.
        facts: Values of each fact, (images,); NaN where an image does not have it.
        groups: Group of each image; empty if there are no groups.
        seed: Seed of the permutations.

    Returns:
        The fact, or None if none differs by more than chance or there are fewer than `FEWEST`
        images.
    """
    known = ~np.isnan(scores)
    if np.count_nonzero(known) < FEWEST:
        return None
    columns = {name: values[known] for name, values in facts.items()}
    columns.update(_distances(columns))
    if groups:
        columns.update(_group_columns(np.asarray(groups)[known]))
    columns = {name: values for name, values in columns.items() if _varies(values)}
    if not columns:
        return None
    number = math.ceil(WORST * np.count_nonzero(known))
    worst = np.argsort(scores[known], kind="stable")[:number]
    name, p = _most_different(columns, worst, seed)
    if p > CHANCE:
        return None
    return _finding(name, columns[name], worst, p)


def _distances(columns: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return how far `UNUSUAL` facts are from their medians, because both ends can go with low
    scores.
    """
    distances = {}
    for name in UNUSUAL:
        if name in columns:
            values = columns[name]
            distances[f"distance of {name} from its median"] = np.abs(values - np.nanmedian(values))
    return distances


def _most_different(
    columns: Mapping[str, np.ndarray], worst: np.ndarray, seed: int
) -> tuple[str, float]:
    """Return the fact that differs most from the other images, and its p-value."""
    ranks = np.stack([_standard_ranks(values) for values in columns.values()])
    observed = np.abs(ranks[:, worst].mean(axis=1))
    by_chance = _largest_by_chance(ranks, len(worst), seed)
    best = int(observed.argmax())
    as_large = np.count_nonzero(by_chance >= observed[best] - 1e-12)
    return list(columns)[best], (1 + as_large) / (1 + PERMUTATIONS)


def _finding(name: str, values: np.ndarray, worst: np.ndarray, p: float) -> Finding:
    middle = np.nanmean if name.startswith("group ") else np.nanmedian
    others = np.delete(values, worst)
    return Finding(name, float(middle(values[worst])), float(middle(others)), p, len(worst))


def describe(finding: Finding | None) -> str:
    """Return one sentence about the worst images."""
    if finding is None:
        return "Nothing stands out in the images with the lowest scores."
    if finding.fact.startswith("group "):
        return (
            f"{finding.worst:.0%} of the {finding.images} images with the lowest scores are of "
            f"{finding.fact}; of the others it is {finding.others:.0%} (p = {finding.p:.3f})."
        )
    return (
        f"The {finding.images} images with the lowest scores differ most in {finding.fact}: the "
        f"median is {finding.worst:.4g}; of the others it is {finding.others:.4g} "
        f"(p = {finding.p:.3f})."
    )


def _group_columns(groups: np.ndarray) -> dict[str, np.ndarray]:
    """Return for each group of two images or more which images belong to it, as 0 and 1."""
    columns = {}
    for group in np.unique(groups):
        belongs = (groups == group).astype(float)
        if belongs.sum() > 1:
            columns[f"group {group}"] = belongs
    return columns


def _varies(values: np.ndarray) -> bool:
    known = values[~np.isnan(values)]
    return known.size > 1 and known.min() < known.max()


def _standard_ranks(values: np.ndarray) -> np.ndarray:
    """Return mean ranks with mean 0 and standard deviation 1; images without the fact get 0."""
    from scipy.stats import rankdata  # takes longer to import than all of this module

    ranks = np.zeros(len(values))
    known = ~np.isnan(values)
    of_known = rankdata(values[known])
    ranks[known] = (of_known - of_known.mean()) / of_known.std()
    return ranks


def _largest_by_chance(ranks: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Return the largest statistic of all facts for `number` random images, many times."""
    random = np.random.default_rng(seed)
    images = ranks.shape[1]
    largest = np.empty(PERMUTATIONS)
    for i in range(PERMUTATIONS):
        chosen = random.choice(images, number, replace=False)
        largest[i] = np.abs(ranks[:, chosen].mean(axis=1)).max()
    return largest
