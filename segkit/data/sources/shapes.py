"""A generated data set: overlapping discs, squares and triangles with exact masks, the same on every machine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segkit.config import DataConfig
from segkit.data.sources.source import Sample
from segkit.errors import ConfigError
from segkit.task import Task
from segkit.task.layers import stack_layers

KINDS = ("disc", "square", "triangle")
TINTS = ((255, 110, 60), (70, 230, 90), (80, 110, 255))
"""Colours that the kinds tend to; a third of each shape's colour is chance, so that form still matters."""
Layers = dict[str, np.ndarray]


class ShapesSource:
    """`count` RGB images of shapes on a noisy ground. A sample depends on the seed and its own number alone.

    The task chooses the masks: multilabel keeps overlaps; multiclass gives each pixel to the shape painted last (its
    first class is the ground); binary is any shape, or only the kind that the class is called.
    """

    def __init__(self, task: Task, count: int, size: tuple[int, int], seed: int) -> None:
        self.task, self.size, self.seed = task, size, seed
        self.parts: dict[str, list[str]] = {}
        self.names = [f"shape_{i:05d}" for i in range(count)]
        known = task.implies_background or set(task.classes) <= {*KINDS, task.background}
        if not known or not task.can_be_nothing:
            raise ConfigError(
                f"the shapes source knows {', '.join(KINDS)} (and one background if multiclass); "
                f"found {', '.join(task.classes)}",
                "unknown-name",
                setting="task.classes",
            )

    def files(self, name: str) -> list[Path]:
        """Return no file: a sample follows from the settings."""
        return []

    def read(self, name: str) -> Sample:
        """Return the sample `name`, shape_00000 and so on."""
        rng = np.random.default_rng([self.seed, int(name.rpartition("_")[2])])
        image, layers, top = _draw(rng, self.size)
        return Sample(name, image, self._mask(layers, top))

    def _mask(self, layers: Layers, top: np.ndarray) -> np.ndarray:
        if self.task.exclusive:
            layers = {kind: top == number for number, kind in enumerate(KINDS, start=1)}
        names = [self.task.classes[i] for i in self.task.foreground]
        return stack_layers(
            self.task, {name: layers.get(name, top > 0).astype(np.uint8) for name in names}
        )


def open_shapes(data: DataConfig, task: Task) -> ShapesSource:
    """Return the generated source of a config's `data` section."""
    return ShapesSource(task, data.count, data.size, data.seed)


def _draw(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, Layers, np.ndarray]:
    height, width = size
    layers: Layers = {kind: np.zeros(size, bool) for kind in KINDS}
    top = np.zeros(size, np.uint8)
    image = (
        rng.uniform(30, 120, 3) + rng.uniform(-25, 25) * np.linspace(-1, 1, width)[None, :, None]
    )
    image = np.broadcast_to(image, (height, width, 3)).copy()
    for _ in range(rng.integers(2, 7)):
        number = int(rng.integers(1, len(KINDS) + 1))
        inside = _inside(KINDS[number - 1], rng, size)
        layers[KINDS[number - 1]] |= inside
        top[inside] = number
        colour = 0.65 * np.array(TINTS[number - 1]) + 0.35 * rng.uniform(60, 255, 3)
        image[inside] = 0.35 * image[inside] + 0.65 * colour  # shapes below shine through
    image += rng.normal(0, 12, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), layers, top


def _inside(kind: str, rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Return the pixels whose centre lies inside a shape of random place, size and turn."""
    height, width = size
    rows, columns = np.mgrid[:height, :width] + 0.5
    y, x = rows - rng.uniform(0, height), columns - rng.uniform(0, width)
    radius, angle = rng.uniform(0.10, 0.25) * min(size), rng.uniform(0, 2 * np.pi)
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    if kind == "disc":
        return np.asarray(u**2 + v**2 <= radius**2)
    if kind == "square":
        return np.asarray(np.maximum(np.abs(u), np.abs(v)) <= radius * 0.85)
    edge = np.sqrt(3)  # an equilateral triangle around the centre, its corners at 1.2 radii
    return np.asarray((v >= -0.6 * radius) & (v + edge * np.abs(u) <= 1.2 * radius))
