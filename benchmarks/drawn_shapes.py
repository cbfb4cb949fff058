"""Images of shapes of eight classes, with complete masks, for benchmarks of partial labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("disc", "ring", "square", "frame", "triangle", "cross", "bar", "half")
SIZE = 64
"""Height and width of an image, in pixels."""
TINTS = np.array(
    [
        (220, 60, 60),
        (60, 200, 60),
        (60, 80, 230),
        (220, 210, 50),
        (210, 60, 210),
        (50, 200, 210),
        (240, 140, 40),
        (235, 235, 235),
    ]
)
"""Mean colour of each class; single shapes differ from it, so that colours overlap."""
Inside = Callable[[np.ndarray, np.ndarray, float], np.ndarray]
"""Whether positions (u, v) around the centre are inside a shape of a radius."""
SHAPES: dict[str, Inside] = {
    "disc": lambda u, v, r: np.hypot(u, v) <= r,
    "ring": lambda u, v, r: (np.hypot(u, v) <= r) & (np.hypot(u, v) >= 0.55 * r),
    "square": lambda u, v, r: np.maximum(abs(u), abs(v)) <= 0.85 * r,
    "frame": lambda u, v, r: (
        (np.maximum(abs(u), abs(v)) <= r) & (np.maximum(abs(u), abs(v)) >= 0.55 * r)
    ),
    "triangle": lambda u, v, r: (v >= -0.6 * r) & (v + np.sqrt(3) * abs(u) <= 1.2 * r),
    "cross": lambda u, v, r: (
        (np.maximum(abs(u), abs(v)) <= 1.1 * r) & (np.minimum(abs(u), abs(v)) <= 0.3 * r)
    ),
    "bar": lambda u, v, r: (abs(u) <= 1.3 * r) & (abs(v) <= 0.35 * r),
    "half": lambda u, v, r: (np.hypot(u, v) <= 1.2 * r) & (v >= 0),
}


def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return an image (H, W, 3) and its complete mask (H, W) of class ids, both uint8."""
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    image = np.broadcast_to(rng.uniform(30, 120, 3), (SIZE, SIZE, 3)).copy()
    mask = np.zeros((SIZE, SIZE), np.uint8)
    for _ in range(rng.integers(4, 9)):
        number = int(rng.integers(1, 1 + len(CLASSES)))
        y, x = rows - rng.uniform(0, SIZE), columns - rng.uniform(0, SIZE)
        angle = rng.uniform(0, 2 * np.pi)
        u = x * np.cos(angle) + y * np.sin(angle)
        v = y * np.cos(angle) - x * np.sin(angle)
        inside = SHAPES[CLASSES[number - 1]](u, v, rng.uniform(0.10, 0.20) * SIZE)
        mask[inside] = number
        colour = 0.7 * TINTS[number - 1] + 0.3 * rng.uniform(0, 255, 3)
        image[inside] = 0.25 * image[inside] + 0.75 * colour
    image += rng.normal(0, 10, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), mask


def save(path: Path, pixels: np.ndarray) -> None:
    """Write an image or a mask as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
