"""Samples in memory whose problems are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from segkit import DataError, Task
from segkit.data.sources.source import Sample, Subset
from segkit.inspection.fingerprint import survey
from segkit.inspection.problem import Problem
from segkit.inspection.problems import find_problems

ROOT = Path(__file__).parents[2]


CRACK = Task.binary("crack")


ORGANS = Task.multiclass(["background", "liver", "tumour"])


LABELS = Task.multilabel(["liver", "tumour"])


SIZE = (16, 20)


class Memory:
    """Samples in memory; an error in place of a sample is raised when it is read."""

    def __init__(self, samples: Mapping[str, Sample | DataError]) -> None:
        self.samples, self.names = samples, list(samples)
        self.parts: dict[str, list[str]] = {}

    def read(self, name: str) -> Sample:
        found = self.samples[name]
        if isinstance(found, DataError):
            raise found
        return found


def image(seed: int, bands: int = 3, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, bands)).astype(dtype)


def mask(task: Task, seed: int = 0) -> np.ndarray:
    """Return a mask in which every class fills rows of both halves; layers of a multilabel task
    overlap.
    """
    rows = np.repeat(np.arange(SIZE[0])[:, None], SIZE[1], axis=1) // 4
    if task.kind == "multilabel":
        return np.stack([rows == 1, rows <= 1], axis=-1).astype(np.uint8)
    return (rows % (2 if task.kind == "binary" else task.channels)).astype(np.uint8)


Samples = dict[str, tuple[np.ndarray, np.ndarray]]


def good(task: Task, count: int = 12, first: int = 0) -> Samples:
    return {f"i{seed}": (image(seed), mask(task)) for seed in range(first, first + count)}


def subset(samples: Samples) -> Subset:
    return Subset(
        Memory({name: Sample(name, *pair) for name, pair in samples.items()}), list(samples)
    )


def found(task: Task, flips: bool = True, **parts: Samples) -> list[Problem]:
    return find_problems(
        task, survey(task, {part: subset(samples) for part, samples in parts.items()}), flips
    )


def only(problems: Sequence[Problem], code: str) -> Problem:
    assert [problem.code for problem in problems] == [code], list(map(str, problems))
    return problems[0]
