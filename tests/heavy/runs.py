"""Tiny runs that tests share: a few generated images, a very small network, two epochs."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from segkit.cli import main
from segkit.run import Run

TASKS = {
    "binary": {"kind": "binary", "classes": ["shape"]},
    "multiclass": {"kind": "multiclass", "classes": ["background", "disc", "square", "triangle"]},
    "multilabel": {"kind": "multilabel", "classes": ["disc", "square", "triangle"]},
}


def tiny_config(folder: Path, kind: str = "multiclass", **train: object) -> Path:
    """Write a config that trains in seconds, and return its path."""
    settings = {"epochs": 2, "batch_size": 4, "crop": [32, 32], "pictures": 1, "tensorboard": False, **train}
    config = {
        "task": TASKS[kind],
        "data": {"source": "shapes", "count": 24, "size": [40, 36]},
        "model": {"width": 4, "depth": 2},
        "train": settings,
    }
    path = folder / f"{kind}.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="session", params=list(TASKS))
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run of each kind of task, and its test images beside it in test/images and test/masks."""
    folder = tmp_path_factory.mktemp(request.param)
    config = tiny_config(folder, request.param)
    assert main(["train", str(config), "--run", str(folder / "run")]) == 0
    assert main(["convert", str(config), "--part", "test", "--out", str(folder / "test")]) == 0
    return Run.open(folder / "run")
