"""Made-up scores of networks, for tests of `segkit compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from segkit import Task
from segkit.comparison.results import SettingRuns
from segkit.comparison.scoring import Scored

SHAPES: dict[str, Any] = {"source": "shapes", "count": 12, "size": [24, 32], "test": 0.4}
EXCLUSIVE = {"kind": "multiclass", "classes": ["background", "disc", "square", "triangle"]}


def write_config(path: Path, **sections: Any) -> Path:
    """Write a config of a few generated images."""
    path.write_text(yaml.safe_dump({"task": EXCLUSIVE, "data": SHAPES, **sections}))
    return path


def scored(task: Task, seed: int, images: int = 20, errors: float = 0.1, **changed: Any) -> Scored:
    """Return scores on images of 400 pixels, a share `errors` of them wrong.

    The truth is the same for every seed.
    """
    truth = np.random.default_rng(0).integers(20, 100, (images, task.channels))
    wrong = np.random.default_rng(seed + 1).binomial(truth, errors)
    counts = np.stack([truth - wrong, wrong, wrong, 400 - truth - wrong], axis=1)
    confidence = np.random.default_rng(seed).uniform(0.6, 0.95, (images, 15)) * 10
    tallies = np.stack(
        [
            np.full((images, 15), 10.0),
            confidence,
            np.full((images, 15), 8.0),
            *np.ones((2, images, 15)),
        ],
        1,
    )
    names = np.array([f"image {i}" for i in range(images)])
    fields = {"head_calibration": tallies, "mask_calibration": tallies}
    kept = {"names": names, "counts": counts, **fields}
    return Scored(
        **{
            **kept,
            "parameters": 1234,
            "images_per_second": 10.0 + seed,
            "steps": 100 + seed,
            **changed,
        }
    )


def answers(
    name: str, errors: float = 0.1, seeds: int = 3, first: int = 0, task: Task | None = None
) -> SettingRuns:
    """Return a setting whose seeds 0, 1, ... draw their errors from `first`, `first` + 1, ..."""
    task = task or Task.multiclass(["background", "a", "b"])
    return SettingRuns(
        name, task, {i: scored(task, first + i, errors=errors) for i in range(seeds)}, {}
    )
