"""The data sets of time_to_dice.py: generated ones, and three tasks of a real head scan.

Each case is a folder with train/ and test/, which hold images/ and masks/. The images of a case are
the same in every run: only the seeds of the trainings differ.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter

from segkit import Task
from segkit.data.sources.folder import in_folders
from segkit.io.images import write_image
from segkit.io.masks import write_mask

SHAPES = ["bar", "cross", "disc", "hexagon", "ring", "square", "star", "triangle"]
LOBES = ["frontal", "insula", "limbic", "occipital", "parietal", "deep grey", "temporal"]
Draw = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]


class Case(NamedTuple):
    """A data set for training and test."""

    task: Task
    draw: Draw | None
    """Draws an image (H, W, C) and its mask; None for the head scan."""
    train: int = 0
    test: int = 0
    flips: bool = True
    """Whether the classes allow that images are mirrored."""
    head: str = ""
    """The folder of the masks, of those that examples/brain_mri/prepare.py writes."""


class Images(NamedTuple):
    """The images of one part and their masks as `Task.encode` returns them."""

    names: list[str]
    images: np.ndarray
    targets: np.ndarray


def textured(
    rng: np.random.Generator, size: int, scales: tuple[float, ...] = (2, 6, 20)
) -> np.ndarray:
    """Return smooth noise of several scales, (size, size) with mean 0 and deviation 1."""
    total = np.zeros((size, size))
    for scale in scales:
        layer = gaussian_filter(rng.normal(size=(size, size)), scale, mode="wrap")
        total += layer / layer.std()
    return total / total.std()


def shape_mask(name: str, rng: np.random.Generator, size: int, radius: float) -> np.ndarray:
    """Return where a turned shape of a radius is, (size, size) bool."""
    rows, columns = np.mgrid[:size, :size]
    middle = rng.uniform(radius * 0.7, size - radius * 0.7, 2)
    angle = rng.uniform(0, 2 * np.pi)
    y = (rows - middle[0]) / radius
    x = (columns - middle[1]) / radius
    u = x * np.cos(angle) + y * np.sin(angle)
    v = y * np.cos(angle) - x * np.sin(angle)
    distance = np.hypot(u, v)
    around = np.arctan2(v, u)
    sides = {"hexagon": 6, "square": 4, "triangle": 3}
    if name in sides:
        turns = [2 * np.pi * side / sides[name] for side in range(sides[name])]
        reach = [u * np.cos(turn) + v * np.sin(turn) for turn in turns]
        return np.max(reach, axis=0) < np.cos(np.pi / sides[name])
    shapes = {
        "disc": distance < 0.9,
        "ring": (distance < 1) & (distance > 0.6),
        "bar": (np.abs(u) < 1) & (np.abs(v) < 0.28),
        "cross": (np.minimum(np.abs(u), np.abs(v)) < 0.28) & (np.maximum(np.abs(u), np.abs(v)) < 1),
        "star": distance < 0.65 + 0.35 * np.cos(5 * around),
    }
    return shapes[name]


def coloured(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return a background of one colour with texture, (size, size, 3)."""
    colour = rng.uniform(60, 190, 3)
    return colour + 18 * textured(rng, size)[..., None] + rng.normal(0, 8, (size, size, 3))


def as_picture(values: np.ndarray) -> np.ndarray:
    """Return values as uint8, (H, W, C)."""
    return np.clip(values, 0, 255).astype(np.uint8)


def many_classes(rng: np.random.Generator, size: int = 192) -> tuple[np.ndarray, np.ndarray]:
    """Draw shapes of eight classes, which differ by their form and not by their colour."""
    image = coloured(rng, size)
    mask = np.zeros((size, size), np.uint8)
    for _ in range(rng.integers(4, 9)):
        chosen = int(rng.integers(len(SHAPES)))
        inside = shape_mask(SHAPES[chosen], rng, size, rng.uniform(16, 34))
        image[inside] = rng.uniform(0, 255, 3) + 10 * textured(rng, size, (2,))[inside, None]
        mask[inside] = chosen + 1
    return as_picture(image), mask


def overlaps(rng: np.random.Generator, size: int = 192) -> tuple[np.ndarray, np.ndarray]:
    """Draw transparent shapes of five classes, which overlap."""
    names = SHAPES[:5]
    image = coloured(rng, size)
    mask = np.zeros((size, size, len(names)), np.uint8)
    for _ in range(rng.integers(5, 10)):
        chosen = int(rng.integers(len(names)))
        inside = shape_mask(names[chosen], rng, size, rng.uniform(22, 42))
        image[inside] = 0.5 * image[inside] + 0.5 * rng.uniform(0, 255, 3)
        mask[inside, chosen] = 1
    return as_picture(image), mask


def cracks(rng: np.random.Generator, size: int = 384) -> tuple[np.ndarray, np.ndarray]:
    """Draw dark cracks of 3 pixels on a rough surface with stains and bright scratches."""
    image = 140 + 14 * textured(rng, size, (1, 4, 30)) + rng.normal(0, 6, (size, size))
    for _ in range(rng.integers(2, 6)):
        stain = shape_mask("disc", rng, size, rng.uniform(10, 40))
        image -= 30 * gaussian_filter(stain.astype(float), 3)
    scratches = np.zeros((size, size), bool)
    for _ in range(rng.integers(1, 4)):
        scratches |= walk(rng, size, 0.0)
    image[scratches] += 22
    mask = np.zeros((size, size), bool)
    for _ in range(rng.integers(1, 4)):
        mask |= walk(rng, size, 0.25)
    image -= rng.uniform(28, 45) * gaussian_filter(mask.astype(float), 0.7)
    return as_picture(image[..., None]), mask.astype(np.uint8)


def walk(rng: np.random.Generator, size: int, bend: float) -> np.ndarray:
    """Return a line of 3 pixels that turns by `bend` radians a step (standard deviation)."""
    place = rng.uniform(0.1 * size, 0.9 * size, 2)
    angle = rng.uniform(0, 2 * np.pi)
    line = np.zeros((size + 2, size + 2), bool)
    for _ in range(int(rng.uniform(0.3, 0.9) * size)):
        angle += rng.normal(0, bend)
        place += np.array([np.sin(angle), np.cos(angle)])
        row, column = np.round(place).astype(int)
        if not (0 <= row < size and 0 <= column < size):
            break
        line[row : row + 3, column : column + 3] = True
    return line[1:-1, 1:-1]


def cells(rng: np.random.Generator, size: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Draw round objects in clusters; the third class is the border of 3 pixels between two."""
    rows, columns = np.mgrid[:size, :size]
    discs: list[tuple[np.ndarray, float]] = []
    clusters = rng.uniform(30, size - 30, (rng.integers(3, 6), 2))
    for _ in range(rng.integers(150, 250)):
        middle = clusters[rng.integers(len(clusters))] + rng.normal(0, 22, 2)
        radius = rng.uniform(9, 16)
        gaps = [np.hypot(*(middle - other)) - 0.82 * (radius + reach) for other, reach in discs]
        if min(gaps, default=1) > 0:
            discs.append((middle, radius))
    depths = [radius - np.hypot(rows - y, columns - x) for (y, x), radius in discs]
    nearest = np.sort(np.stack(depths), axis=0)[::-1]
    inside = nearest[0] > 0
    border = inside & (nearest[0] - nearest[1] < 2.5) & (nearest[1] > -1.5)
    mask = inside.astype(np.uint8) + border
    light = 60 + 70 * np.clip(nearest[0] / 4, 0, 1) - 25 * border
    image = gaussian_filter(light, 0.8) + 8 * textured(rng, size, (2, 10))
    image += rng.normal(0, 7, image.shape)
    return as_picture(image[..., None]), mask


def tissue(rng: np.random.Generator, size: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Draw glands: smooth areas that differ from the rest by their texture and a dark rim."""
    field = textured(rng, size, (16,))
    inside = field > 0.4
    rim = (field > 0.25) & ~inside
    fine = textured(rng, size, (1.2,))
    grains = np.where(inside, 10 * textured(rng, size, (5,)), 22 * fine)
    stain = np.array([200.0, 130, 180]) + rng.uniform(-20, 20, 3)
    image = stain + grains[..., None] - 35 * rim[..., None] + rng.normal(0, 8, (size, size, 3))
    return as_picture(image), inside.astype(np.uint8)


class Slices:
    """Draws the slices of scans, one after the other: an organ, and lesions in some of them."""

    depth = 9
    """Slices of a scan."""

    def __init__(self) -> None:
        self.left: list[tuple[np.ndarray, np.ndarray]] = []

    def __call__(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return the next slice, of a new scan after the last one."""
        if not self.left:
            self.left = self._scan(rng)
        return self.left.pop()

    def _scan(
        self, rng: np.random.Generator, size: int = 160
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        middle = rng.uniform(-0.2, 0.2, 2)
        width = rng.uniform(0.6, 0.95, 2)
        depth = rng.uniform(-0.4, 0.4)
        radius = rng.uniform(0.15, 0.3)
        gain = rng.uniform(0.9, 1.1)
        rows, columns = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
        slices = []
        for z in np.linspace(-0.8, 0.8, self.depth):
            body = np.hypot(rows / width[0], columns / width[1]) < 1
            offset = np.hypot(rows - middle[0], columns - middle[1])
            organ = np.hypot(offset / 0.45, z / 0.9) < 1
            lesion = np.hypot(offset, z - depth) < radius
            lesion &= organ
            light = 300.0 * body + 130 * organ + 90 * lesion + 30 * textured(rng, size, (3, 12))
            light = gaussian_filter(light, 1) + rng.normal(0, 40, light.shape)
            image = np.clip(1000 + gain * light, 0, 4095).astype(np.uint16)
            slices.append((image[..., None], organ.astype(np.uint8) + lesion))
        return slices


CASES = {
    "many-classes": Case(Task.multiclass(["background", *SHAPES]), many_classes, 150, 40),
    "overlaps": Case(Task.multilabel(SHAPES[:5]), overlaps, 120, 40),
    "cracks": Case(Task.binary("crack"), cracks, 60, 24),
    "cells": Case(Task.multiclass(["background", "cell", "border"]), cells, 60, 30),
    "small-12": Case(Task.binary("gland"), tissue, 12, 30),
    "small-54": Case(Task.multiclass(["background", "organ", "lesion"]), Slices(), 54, 36),
    "head-brain": Case(Task.binary("brain"), None, head="brain"),
    "head-lobes": Case(Task.multiclass(["background", *LOBES, "cerebellum"]), None, head="lobes"),
    "head-regions": Case(
        Task.multilabel(["brain", "aal", "brodmann", "left hemisphere", "cerebellum"]),
        None,
        flips=False,
        head="regions",
    ),
}


def part_folders(name: str, part: str, data: Path, head: Path | None) -> tuple[Path, Path] | None:
    """Return the folders of the images and masks of a part; they are drawn if they do not exist.

    Args:
        name: The name of the case.
        part: "train", "validation" or "test".
        data: The folder of the generated cases.
        head: What examples/brain_mri/prepare.py has written; None if there is no head scan.

    Returns:
        The folders; None if the case has no such part.
    """
    case = CASES[name]
    if case.draw is None:
        if head is None:
            raise SystemExit(f"{name}: needs --head FOLDER, see examples/brain_mri/README.md")
        return head / part / "images", head / part / case.head
    if part == "validation":
        return None
    folder = data / name / part
    if not (folder / "complete").exists():
        _draw_part(case, part, folder)
        (folder / "complete").touch()
    return folder / "images", folder / "masks"


def _draw_part(case: Case, part: str, folder: Path) -> None:
    count = {"train": case.train, "test": case.test}[part]
    rng = np.random.default_rng({"train": 1, "test": 2}[part])
    assert case.draw is not None
    for number in range(count):
        image, mask = case.draw(rng)
        write_image(folder / "images", f"{number:03d}", image)
        write_mask(case.task, mask, folder / "masks", f"{number:03d}")


def read_part(name: str, folders: tuple[Path, Path]) -> Images:
    """Return the images and targets of a part, as segkit reads them."""
    task = CASES[name].task
    source = in_folders(*folders, task)
    samples = [source.read(each) for each in source.names]
    images = np.stack([sample.image for sample in samples])
    targets = np.stack([task.encode(sample.mask) for sample in samples])
    return Images(list(source.names), images, targets)
