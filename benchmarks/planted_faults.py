"""Which causes the wrong pixels of planted faults get, as shares of the loss of Dice.

The true masks are discs that do not touch. Each fault is planted in ten masks.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from segkit.evaluation.counts import count
from segkit.evaluation.error_causes import CONFUSED, find_causes, loss_by_cause
from segkit.task import Task

TASK = Task.multiclass(["background", "a", "b"])
SIZE = 200
MASKS = 10
CAUSES = ("boundary", "missed", "invented", CONFUSED, "rest")


def discs(seed: int) -> np.ndarray:
    """Return a mask of twelve discs of radius 14, whose classes take turns."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    mask = np.zeros((SIZE, SIZE), np.uint8)
    for number in range(12):
        row = 25 + 50 * (number // 4) + random.integers(-3, 4)
        column = 25 + 50 * (number % 4) + random.integers(-3, 4)
        mask[(rows - row) ** 2 + (columns - column) ** 2 <= 14**2] = 1 + number % 2
    return mask


def wider(mask: np.ndarray) -> np.ndarray:
    """Return the mask with objects that are larger by a pixel all around."""
    return ndimage.grey_dilation(mask, (3, 3))


def thinner(mask: np.ndarray) -> np.ndarray:
    """Return the mask with objects that are smaller by a pixel all around."""
    return ndimage.grey_erosion(mask, (3, 3))


def moved(mask: np.ndarray) -> np.ndarray:
    """Return the mask moved by two pixels."""
    return np.roll(mask, 2, axis=1)


def without_three(mask: np.ndarray) -> np.ndarray:
    """Return the mask without three of its discs."""
    objects, _ = ndimage.label(mask)
    return np.where(np.isin(objects, (2, 5, 9)), 0, mask).astype(np.uint8)


def three_of_the_other_class(mask: np.ndarray) -> np.ndarray:
    """Return the mask in which three discs have the other class."""
    objects, _ = ndimage.label(mask)
    return np.where(np.isin(objects, (2, 5, 9)), 3 - mask, mask).astype(np.uint8)


def with_holes(mask: np.ndarray) -> np.ndarray:
    """Return the mask with a hole of radius 6 in each disc."""
    inner = ndimage.distance_transform_edt(mask > 0) > 9
    return np.where(inner, 0, mask).astype(np.uint8)


def halves(mask: np.ndarray) -> np.ndarray:
    """Return the mask without the right half of each disc."""
    objects, number = ndimage.label(mask)
    found = mask.copy()
    for place in ndimage.find_objects(objects, number):
        middle = (place[1].start + place[1].stop) // 2
        found[place[0], middle : place[1].stop] = 0
    return found


def shares(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Return the share of each cause in the loss of both classes."""
    causes = find_causes(TASK, truth, predicted)
    losses = np.zeros(len(CAUSES))
    for of_class in loss_by_cause(TASK, count(TASK, truth, predicted), causes):
        for name, loss in of_class.items():
            [number] = [i for i, cause in enumerate(CAUSES) if name.startswith(cause)]
            losses[number] += loss
    return losses / losses.sum()


def main() -> None:
    """Print the table."""
    table = Table("planted fault", *(cause.strip() for cause in CAUSES))
    faults: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "objects wider by 1 pixel": wider,
        "objects thinner by 1 pixel": thinner,
        "moved by 2 pixels": moved,
        "3 of 12 objects missing": without_three,
        "3 of 12 objects of the other class": three_of_the_other_class,
        "a hole in each object": with_holes,
        "half of each object missing": halves,
    }
    for name, fault in faults.items():
        found = np.mean([shares(discs(seed), fault(discs(seed))) for seed in range(MASKS)], axis=0)
        table.add_row(name, *(f"{share:.1%}" for share in found))
    invented = [shares(without_three(discs(seed)), discs(seed)) for seed in range(MASKS)]
    table.add_row("3 objects too many", *(f"{share:.1%}" for share in np.mean(invented, axis=0)))
    Console().print(table)


if __name__ == "__main__":
    main()
