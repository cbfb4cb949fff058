"""Samples that carry their number in their pixels, so that a batch says which samples it holds."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import numpy as np

from segkit import DataError, Task
from segkit.config import AugmentConfig, Config, InputConfig, TrainConfig
from segkit.data.sources.source import Sample, Subset

SOFTMAX = Task.multiclass(["background", "liver", "tumour"])


TASKS = {
    "binary": Task.binary("crack"),
    "multilabel": Task.multilabel(["a", "b", "c"]),
    "softmax": SOFTMAX,
}


GIVEN = InputConfig(channels=1, dtype="uint8", mean=(100.0,), std=(50.0,), low=0, high=255)


STILL = AugmentConfig(flip_horizontal=False, rotate=0, scale=0, brightness=0, contrast=0)


class Numbered:
    """Samples whose pixels are all their own number, of any size; counts how often each is read."""

    def __init__(self, task: Task, sizes: list[tuple[int, int]], broken: str | None = None) -> None:
        self.task, self.sizes, self.broken = task, sizes, broken
        self.names = [f"image_{i}" for i in range(len(sizes))]
        self.reads: Counter[str] = Counter()
        self._lock = threading.Lock()

    def read(self, name: str) -> Sample:
        with self._lock:
            self.reads[name] += 1
        if name == self.broken:
            raise DataError(f"{name}: cannot be read")
        number = self.names.index(name)
        size = self.sizes[number]
        mask = np.ones((*size, 3) if self.task.kind == "multilabel" else size, np.uint8)
        return Sample(name, np.full((*size, 1), number + 1, np.uint8), mask)

    def part(self) -> Subset:
        return Subset(self, self.names)


def config(task: Task = SOFTMAX, augment: AugmentConfig = STILL, **train: Any) -> Config:
    return Config(
        task=task, augment=augment, train=TrainConfig(**{"batch_size": 3, "crop": (8, 8), **train})
    )
