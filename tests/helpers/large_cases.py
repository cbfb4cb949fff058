"""Images and stand-ins for networks that the tests of large images share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from scipy import ndimage

from segkit import Task
from segkit.config import Config, InputConfig, ModelConfig, PredictConfig
from segkit.inference.large.memory_budget import MemoryBudget
from segkit.inference.tiles import Predict

GIVEN = InputConfig(channels=3, dtype="uint8", mean=(0, 0, 0), std=(1, 1, 1), low=0, high=255)
ROOM = MemoryBudget(batch_size=3, read_bytes=40_000)


def config_of(task: Task, tile: int = 64, overlap: float = 0.25, depth: int = 3) -> Config:
    predict = PredictConfig(tile=tile, overlap=overlap, batch_size=3)
    return Config(task=task, input=GIVEN, predict=predict, model=ModelConfig(depth=depth))


def network(classes: int) -> Predict:
    """Return a network that looks at neighbours and at where a pixel lies in its window, so that
    windows disagree.
    """
    kernel = np.random.default_rng(classes).normal(size=(3, 3, 3)) / 200

    def predict(images: np.ndarray) -> np.ndarray:
        seen = ndimage.convolve(images.astype(np.float64), kernel[None], mode="constant").mean(-1)
        places = np.indices(images.shape[1:3]).sum(0) / 20
        phases = np.arange(classes) + 1
        return (0.5 + 0.5 * np.sin((seen + places)[..., None] * phases)).astype(np.float32)

    return predict


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


def write_tiled(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, image, tile=(32, 48), photometric="rgb", compression="zlib")
    return path
