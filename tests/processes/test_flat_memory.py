"""The memory of the process does not grow while ten thousand samples are read and augmented."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.every_source import save

ROOT = Path(__file__).parents[2]
READ = """
import sys
from itertools import islice
from pathlib import Path
from segkit import Task
from segkit.system import memory
from segkit.config import AugmentConfig, Config, DataConfig, InputConfig, TrainConfig
from segkit.data.parts import open_parts
from segkit.data.batches.training import training_batches

root = Path(sys.argv[1])
folders = {"images": root / "images", "masks": root / "masks"}
data = DataConfig(**folders, validation=0.0, test=0.0, cache=sys.argv[2])
augment = AugmentConfig(flip_vertical=True, gamma=0.2)
train = TrainConfig(batch_size=10, crop=(64, 64))
config = Config(task=Task.binary(), data=data, augment=augment, train=train)
given = InputConfig(channels=3, dtype="uint8", mean=(90,) * 3, std=(50,) * 3, low=0, high=255)
part = open_parts(config)["train"]
batches = training_batches(part, config, given, workers=3, cache_folder=root / "cache")
for _ in islice(batches, 200):
    pass
before = memory.resident()
for _ in islice(batches, 1000):
    pass
print(memory.resident() - before)
batches.close()
assert "keras" not in sys.modules
"""


@pytest.mark.parametrize("cache", ["none", "disk", "memory"])
def test_memory_is_flat_over_ten_thousand_samples(cache: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for i in range(8):
        save(tmp_path / "images" / f"{i}.png", rng.integers(0, 256, (96, 96, 3), np.uint8))
        save(tmp_path / "masks" / f"{i}.png", rng.integers(0, 2, (96, 96), np.uint8))
    command = [sys.executable, "-c", READ, str(tmp_path), cache]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 10_000 * 1000  # a kilobyte a sample; one that is kept would be 36
