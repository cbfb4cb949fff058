"""Draw the pictures of docs/which-head.md, all of one generated image: `python
docs/which-head/make_pictures.py [FOLDER]`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from segkit import Task
from segkit.config import DataConfig
from segkit.data.sources.shapes import KINDS, open_shapes
from segkit.io.overlay import overlay, panel

NAME, SIZE = "shape_00193", (112, 112)
COLOURS = [(255, 220, 0), (0, 235, 255), (255, 60, 200)]
GREY = (170, 170, 170)
"""Of the background, where it is a class of its own."""
DATA = DataConfig(source="shapes", count=400, size=SIZE)
WINDOWS, WINDOW = ((74, 0), (14, 48), (34, 0), (66, 62)), 38
"""Rows and columns where they begin, and their side."""

BINARY = Task.binary("shape", palette=COLOURS[:1])
EXCLUSIVE = Task.multiclass(["background", *KINDS], palette=[(0, 0, 0), *COLOURS])
OVERLAPPING = Task.multilabel(list(KINDS), palette=COLOURS)


def read(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Return the image (H, W, 3) and its mask as the task wants it."""
    sample = open_shapes(DATA, task).read(NAME)
    return sample.image, sample.mask


def channel(inside: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Return what one channel of the head is to answer: its colour where yes, black where no."""
    yes = Task.binary(palette=[colour])
    return overlay(
        yes, np.zeros((*inside.shape, 3), np.uint8), inside.astype(np.uint8), opacity=0.75
    )


def windows() -> np.ndarray:
    """Cut four windows out of the image, each titled with the kinds that it shows."""
    image, mask = read(OVERLAPPING)
    cut = [(slice(top, top + WINDOW), slice(left, left + WINDOW)) for top, left in WINDOWS]
    titles = [
        ", ".join(k for k, held in zip(KINDS, mask[w].any((0, 1)), strict=True) if held)
        or "nothing"
        for w in cut
    ]
    return panel(
        OVERLAPPING, [[overlay(OVERLAPPING, image[w], mask[w], opacity=0) for w in cut]], titles
    )


def binary() -> np.ndarray:
    image, mask = read(BINARY)
    row = [image, overlay(BINARY, image, mask), channel(mask, COLOURS[0])]
    return panel(BINARY, [row], ["image", "shape, or not", "the one channel"])


def two_classes() -> np.ndarray:
    _, mask = read(BINARY)
    row = [channel(mask, COLOURS[0]), channel(1 - mask, GREY), channel(mask, COLOURS[0])]
    return panel(BINARY, [row], ["one sigmoid: shape", "softmax: background", "softmax: shape"])


def exclusive() -> np.ndarray:
    image, mask = read(EXCLUSIVE)
    flat = overlay(EXCLUSIVE, np.zeros_like(image), mask, opacity=0.75)
    row = [image, overlay(EXCLUSIVE, image, mask), flat]
    return panel(EXCLUSIVE, [row], ["image", "painted last wins", "one mask of ids"])


def overlapping() -> np.ndarray:
    image, mask = read(OVERLAPPING)
    layers = [channel(mask[..., i], colour) for i, colour in enumerate(COLOURS)]
    titles = ["any set of kinds", *(f"{kind}, or not" for kind in KINDS)]
    return panel(OVERLAPPING, [[overlay(OVERLAPPING, image, mask), *layers]], titles)


def one_against_the_rest() -> np.ndarray:
    _, mask = read(EXCLUSIVE)
    row = [channel(mask == i, colour) for i, colour in enumerate((GREY, *COLOURS))]
    return panel(EXCLUSIVE, [row], [f"{name}, or the rest" for name in EXCLUSIVE.classes])


PICTURES = {
    "windows.png": windows,
    "binary.png": binary,
    "exclusive.png": exclusive,
    "overlapping.png": overlapping,
    "two-classes.png": two_classes,
    "one-against-the-rest.png": one_against_the_rest,
}


def main(folder: Path) -> None:
    """Write all pictures into a folder."""
    for name, draw in PICTURES.items():
        Image.fromarray(draw()).save(folder / name, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
