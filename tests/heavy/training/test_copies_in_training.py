"""A training whose own split divides copies of an image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import segkit
from segkit.data.parts import open_parts
from segkit.io.images import write_picture
from segkit.run import Run

COPIES = {f"copy{number}" for number in range(12)}


@pytest.mark.one_backend
def test_trap_45_copies_are_trained_or_scored_but_not_both(tmp_path: Path) -> None:
    """Later commands on the run use the same parts."""
    names = [*(f"i{number}" for number in range(12)), *sorted(COPIES)]
    for seed, name in enumerate(names):
        rng = np.random.default_rng(99 if name in COPIES else seed)
        image = rng.integers(0, 256, (32, 32, 1)).astype(np.uint8)
        mask = np.zeros((32, 32, 1), np.uint8)
        mask[4:20, 8:24] = 1
        write_picture(tmp_path / "images" / f"{name}.png", image)
        write_picture(tmp_path / "masks" / f"{name}.png", mask)
    config: dict[str, Any] = {
        "task": {"kind": "binary", "classes": ["crack"]},
        "data": {"images": str(tmp_path / "images"), "masks": str(tmp_path / "masks")},
        "model": {"width": 4, "depth": 2},
        "train": {"epochs": 1, "batch_size": 4, "crop": [32, 32], "pictures": 0},
    }
    run = segkit.train(config, tmp_path / "run")
    parts = {part: set(found.names) for part, found in open_parts(run.config()).items()}
    assert any(found >= COPIES for part, found in parts.items())
    assert sum(map(len, parts.values())) == len(names)
    report = run.report()
    assert report is not None
    assert report["images"] == len(parts["test"])
    trained = Run(tmp_path / "run").config()
    segkit.tune(tmp_path / "run")
    assert Run(tmp_path / "run").config().data == trained.data
    segkit.train(config, tmp_path / "run", resume=True)
    assert Run(tmp_path / "run").config().data == trained.data
