"""Configs of tiny runs: a few generated images, a very small network, two epochs."""

from __future__ import annotations

from pathlib import Path

import yaml

TASKS = {
    "binary": {"kind": "binary", "classes": ["shape"]},
    "multiclass": {"kind": "multiclass", "classes": ["background", "disc", "square", "triangle"]},
    "multilabel": {"kind": "multilabel", "classes": ["disc", "square", "triangle"]},
}


def tiny_config(folder: Path, kind: str = "multiclass", **train: object) -> Path:
    """Write a config that trains in seconds, and return its path."""
    settings = {
        "epochs": 2,
        "batch_size": 4,
        "crop": [32, 32],
        "pictures": 1,
        "tensorboard": False,
        **train,
    }
    config = {
        "task": TASKS[kind],
        "data": {"source": "shapes", "count": 24, "size": [40, 36]},
        "model": {"width": 4, "depth": 1},
        "train": settings,
    }
    path = folder / f"{kind}.yaml"
    path.write_text(yaml.safe_dump(config))
    return path
