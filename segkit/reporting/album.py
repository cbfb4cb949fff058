"""Chooses the images that a report shows, while they are scored.

The memory does not depend on the number of images: small copies of those with the lowest and the
highest Dice are kept, and of a random sample from which those in the middle are taken.
"""

from __future__ import annotations

import bisect
import math
import random
import zlib
from typing import NamedTuple

import numpy as np

from segkit.evaluation.counts import split_layers
from segkit.evaluation.image_scores import ImageScores, mean_overlaps
from segkit.evaluation.measurements import Scene
from segkit.reporting.drawings import Drawing, draw_scene, find_errors, reduced
from segkit.task import Task
from segkit.task.layers import labelled_pixels

PICTURES = 21
"""Images that a report shows: the 12 worst, 6 in the middle and the 3 best."""
SIDE = 384
"""Longest side of a picture of a report, pixels."""
SAMPLE = 48
"""Size of the random sample."""
BYTES = 7_000_000
"""Largest size of all pictures on a page together, as text."""
_VIEWS = 4
_BASE64 = 4 / 3


class Case(NamedTuple):
    """An image of the report."""

    name: str
    group: str
    dice: float
    """Mean Dice of the image; NaN if no foreground class is in the true or the predicted mask."""
    missed: float
    """Share of the labelled pixels, 0 to 1."""
    invented: float
    confused: float
    drawing: Drawing


class Packed(NamedTuple):
    """A compressed mask."""

    content: bytes
    shape: tuple[int, ...]

    @classmethod
    def of(cls, mask: np.ndarray) -> Packed:
        """Compress a mask of uint8."""
        return cls(zlib.compress(mask.astype(np.uint8).tobytes(), 1), mask.shape)

    def unpacked(self) -> np.ndarray:
        """Return the mask."""
        return np.frombuffer(zlib.decompress(self.content), np.uint8).reshape(self.shape)


class Kept(NamedTuple):
    """An image that the report may show."""

    name: str
    group: str
    dice: float
    shares: tuple[float, float, float]
    """Of the labelled pixels: those that are missed, invented and confused."""
    image: np.ndarray
    target: Packed
    mask: Packed


class Chapter(NamedTuple):
    """Images that are shown together."""

    title: str
    cases: list[Case]


class Album:
    """The scores of all images, and small copies of those that the report may show.

    Args:
        task: The task of all masks.
        pictures: Number of images in the report; 0 for none.
        side: Longest side of a picture, pixels.
    """

    def __init__(self, task: Task, pictures: int = PICTURES, side: int = SIDE) -> None:
        self.task = task
        self.pictures = pictures
        self.side = side
        self.scores: list[ImageScores] = []
        self.most_best = round(pictures / 7)
        self.most_median = round(2 * pictures / 7)
        self.most_worst = pictures - self.most_best - self.most_median
        self.most_bytes = int(BYTES / max(1, pictures) / _VIEWS / _BASE64)
        self._random = random.Random(0)
        self._ranked: list[float] = []
        self._worst: list[Kept] = []
        self._best: list[Kept] = []
        self._sample: list[Kept] = []
        self._unranked: list[Kept] = []

    def add(self, scene: Scene, scores: ImageScores) -> None:
        """Add an image; keep a small copy if the report may show it.

        Args:
            scene: The image with its masks.
            scores: Its scores.
        """
        self.scores.append(scores)
        if not self.pictures:
            return
        dice = mean_overlaps(self.task, scores)["dice"]
        if math.isnan(dice):
            if len(self._unranked) < self.pictures:
                self._unranked.append(self._keep(scene, scores, dice))
            return
        self._ranked.append(dice)
        place = self._place_in_sample()
        low = len(self._worst) < self.most_worst or dice < self._worst[-1].dice
        high = self.most_best > 0
        if len(self._best) == self.most_best:
            high = high and dice > self._best[0].dice
        if place is None and not low and not high:
            return
        case = self._keep(scene, scores, dice)
        if low:
            bisect.insort(self._worst, case, key=_dice_of)
            del self._worst[self.most_worst :]
        if high:
            bisect.insort(self._best, case, key=_dice_of)
            del self._best[: -self.most_best]
        if place is not None:
            self._sample[place : place + 1] = [case]

    def chapters(self) -> list[Chapter]:
        """Draw the images of the report: the worst, some in the middle, and the best.

        If there are few images, all of them are in one chapter, the worst first.
        """
        if len(self._ranked) <= self.pictures:
            few = sorted(self._sample, key=_dice_of)
            few += self._unranked[: self.pictures - len(few)]
            chosen = {"All images, the worst first": few}
        else:
            chosen = {
                f"The {len(self._worst)} images with the lowest Dice": self._worst,
                "Images in the middle": self._median(),
                f"The {len(self._best)} images with the highest Dice": self._best[::-1],
            }
        chapters = []
        for title, kept in chosen.items():
            if kept:
                chapters.append(Chapter(title, [self._draw(each) for each in kept]))
        return chapters

    def _median(self) -> list[Kept]:
        """Return the images of the sample whose Dice is nearest to the median, the lowest first."""
        median = float(np.median(self._ranked))
        elsewhere = {case.name for case in [*self._worst, *self._best]}
        others = [case for case in self._sample if case.name not in elsewhere]
        others.sort(key=lambda case: abs(case.dice - median))
        return sorted(others[: self.most_median], key=_dice_of)

    def _place_in_sample(self) -> int | None:
        """Return the place of the latest image in a random sample of all; None if it is not in."""
        size = max(SAMPLE, self.pictures)
        if len(self._sample) < size:
            return len(self._sample)
        place = self._random.randrange(len(self._ranked))
        return place if place < size else None

    def _keep(self, scene: Scene, scores: ImageScores, dice: float) -> Kept:
        errors = find_errors(self.task, split_layers(self.task, scene.target, scene.mask))
        labelled = max(1, int(np.count_nonzero(labelled_pixels(scene.target))))
        missed, invented, confused = (np.count_nonzero(wrong) / labelled for wrong in errors)
        small = reduced(scene, self.side)
        return Kept(
            name=scores.name,
            group=scores.group,
            dice=dice,
            shares=(missed, invented, confused),
            image=small.image,
            target=Packed.of(small.target),
            mask=Packed.of(small.mask),
        )

    def _draw(self, kept: Kept) -> Case:
        scene = Scene(kept.name, kept.image, kept.target.unpacked(), kept.mask.unpacked())
        missed, invented, confused = kept.shares
        return Case(
            name=kept.name,
            group=kept.group,
            dice=kept.dice,
            missed=missed,
            invented=invented,
            confused=confused,
            drawing=draw_scene(self.task, scene, self.side, self.most_bytes),
        )


def _dice_of(case: Kept) -> float:
    return case.dice
