"""Masks in segkit's own coding, read back with Pillow and tifffile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from segkit import Task


def read_back(task: Task, paths: Sequence[Path]) -> np.ndarray:
    """Return the decoded mask that the files of one image hold."""
    planes = [
        tifffile.imread(path) if path.suffix == ".tif" else np.asarray(Image.open(path))
        for path in paths
    ]
    if not task.stores_ids:
        planes = [(plane > 0).astype(np.uint8) for plane in planes]
    return np.stack(planes, axis=-1) if task.layered else planes[0]
