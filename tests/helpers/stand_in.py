"""A stand-in for a network, quick and never in doubt: the first class's probability is red, the
second's green, ...
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segkit import Task
from segkit.config import InputConfig, PredictConfig, RunConfig
from segkit.inference.outputs.prediction import PredictedImage
from segkit.io.images import write_picture

GIVEN = InputConfig(channels=3, dtype="uint8", mean=(0, 0, 0), std=(1, 1, 1), low=0, high=255)


def config_of(task: Task) -> RunConfig:
    return RunConfig(task=task, input=GIVEN, predict=PredictConfig(tile=64, batch_size=2))


def network(images: np.ndarray, task: Task) -> np.ndarray:
    """Return (B, H, W, classes); in an exclusive task they sum to one."""
    scores = images[..., : task.channels].astype(np.float32) / 255
    if task.exclusive:
        scores = scores + np.float32(1e-3)
        scores = scores / scores.sum(-1, keepdims=True)
    return scores


def picture(seed: int, height: int, width: int) -> np.ndarray:
    """Return an image (H, W, 3) whose classes make some large and some small objects with holes."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (-(-height // 4), -(-width // 4), 3), np.uint8)
    fine = rng.integers(0, 256, (height, width, 3), np.uint8)
    smooth = coarse.repeat(4, 0).repeat(4, 1)[:height, :width]
    return np.where(rng.random((height, width, 1)) < 0.15, fine, smooth).astype(np.uint8)


def answer_of(task: Task, image: np.ndarray, path: Path = Path("a.png")) -> PredictedImage:
    return PredictedImage.from_probabilities(
        config_of(task), path.stem, path, image, network(image[None], task)[0]
    )


def write_pictures(folder: Path, sizes: dict[str, tuple[int, int]]) -> None:
    """Write FOLDER/NAME.png of each size (height, width)."""
    for seed, (name, size) in enumerate(sizes.items()):
        write_picture(folder / f"{name}.png", picture(seed, *size))
