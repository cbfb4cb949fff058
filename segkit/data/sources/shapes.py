"""A generated data set: overlapping discs, squares and triangles, the same on every machine."""

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
"""Typical colour of each kind. A third of a shape's colour is random, so that its form matters."""
Layers = dict[str, np.ndarray]


class ShapesSource:
    """RGB images of shapes on a noisy background, with exact masks.

    A sample depends only on the seed and its own number. The task determines the masks: a
    multilabel mask contains overlaps. A multiclass mask assigns each pixel to the shape painted
    last. A binary mask contains all shapes, or only the kind that the class is called.

    Args:
        task: The task whose masks are made.
        count: Number of samples.
        size: Height and width of an image, in pixels.
        seed: Seed of the random numbers.

    Raises:
        ConfigError: If the task has other classes.
    """

    def __init__(self, task: Task, count: int, size: tuple[int, int], seed: int) -> None:
        self.task = task
        self.size = size
        self.seed = seed
        self.parts: dict[str, list[str]] = {}
        self.names = [f"shape_{i:05d}" for i in range(count)]
        is_known = task.implies_background or set(task.classes) <= {*KINDS, task.background}
        if not is_known or not task.can_be_nothing:
            raise ConfigError(
                f"the shapes source knows {', '.join(KINDS)} (and one background if multiclass); "
                f"found {', '.join(task.classes)}",
                "unknown-name",
                setting="task.classes",
            )

    def files(self, name: str) -> list[Path]:
        """Return no file, because a sample follows from the settings."""
        return []

    def read(self, name: str) -> Sample:
        """Generate a sample.

        Args:
            name: shape_00000 and so on.

        Returns:
            The image (H, W, 3) uint8, and its mask.
        """
        number = int(name.rpartition("_")[2])
        rng = np.random.default_rng([self.seed, number])
        image, layers, top = _draw(rng, self.size)
        return Sample(name, image, self._mask(layers, top))

    def _mask(self, layers: Layers, top: np.ndarray) -> np.ndarray:
        if self.task.exclusive:
            layers = {kind: top == number for number, kind in enumerate(KINDS, start=1)}
        any_shape = top > 0
        by_class = {}
        for index in self.task.foreground:
            name = self.task.classes[index]
            by_class[name] = layers.get(name, any_shape).astype(np.uint8)
        return stack_layers(self.task, by_class)


def open_shapes(data: DataConfig, task: Task) -> ShapesSource:
    """Open the generated source of a config's `data` section; see `ShapesSource`."""
    return ShapesSource(task, data.count, data.size, data.seed)


def _draw(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, Layers, np.ndarray]:
    """Return an image, the layer of each kind, and the number of the top kind at each pixel."""
    height, width = size
    layers: Layers = {kind: np.zeros(size, bool) for kind in KINDS}
    top = np.zeros(size, np.uint8)
    colour = rng.uniform(30, 120, 3)
    gradient = rng.uniform(-25, 25) * np.linspace(-1, 1, width)
    row = colour + gradient[None, :, None]
    image = np.broadcast_to(row, (height, width, 3)).copy()
    for _ in range(rng.integers(2, 7)):
        number = int(rng.integers(1, len(KINDS) + 1))
        kind = KINDS[number - 1]
        inside = _inside(kind, rng, size)
        layers[kind] |= inside
        top[inside] = number
        colour = 0.65 * np.array(TINTS[number - 1]) + 0.35 * rng.uniform(60, 255, 3)
        image[inside] = 0.35 * image[inside] + 0.65 * colour  # shapes below are visible
    image += rng.normal(0, 12, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), layers, top


def _inside(kind: str, rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Return whether the centre of each pixel is inside a shape of random position and size."""
    height, width = size
    rows, columns = np.mgrid[:height, :width] + 0.5
    y = rows - rng.uniform(0, height)
    x = columns - rng.uniform(0, width)
    radius = rng.uniform(0.10, 0.25) * min(size)
    angle = rng.uniform(0, 2 * np.pi)
    u = x * np.cos(angle) + y * np.sin(angle)
    v = y * np.cos(angle) - x * np.sin(angle)
    if kind == "disc":
        return np.asarray(u**2 + v**2 <= radius**2)
    if kind == "square":
        return np.asarray(np.maximum(np.abs(u), np.abs(v)) <= radius * 0.85)
    edge = np.sqrt(3)  # an equilateral triangle around the centre, its corners at 1.2 radii
    return np.asarray((v >= -0.6 * radius) & (v + edge * np.abs(u) <= 1.2 * radius))
