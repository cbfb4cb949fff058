"""Read every sample once before training: find what does not fit, and measure what the model's scaling needs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from segkit.config import InputConfig
from segkit.data.source import Subset
from segkit.errors import DataError
from segkit.files import fit_channels
from segkit.task import VOID, Task


class Facts(NamedTuple):
    """What is kept of one sample."""

    name: str
    channels: int
    dtype: str
    sums: np.ndarray
    """Sum and sum of squares of each channel, (2, C) float64."""
    pixels: int
    low: float
    high: float
    classes: np.ndarray
    """Pixels of each class, (C,) int64."""
    digest: bytes


class Findings(NamedTuple):
    """What training needs to know of its data."""

    given: InputConfig
    pixels: dict[str, dict[str, int]]
    """Pixels of each class in each part."""


def check(task: Task, parts: Mapping[str, Subset], done: Callable[[], None] = lambda: None) -> Findings:
    """Read all samples of all parts, call `done` after each, and return the findings.

    Raises `DataError` for the first file that does not fit the task, for images of different depth or channels, for
    the same image in two parts, and if no training pixel is labelled or no foreground is there to learn.
    """
    facts = {part: list(_read_all(task, subset, done)) for part, subset in parts.items()}
    _check_alike([fact for part in facts.values() for fact in part])
    _check_leaks(facts)
    counts = {part: np.sum([fact.classes for fact in found], axis=0) for part, found in facts.items() if found}
    if not counts["train"][list(task.foreground)].any():
        raise DataError(
            f"the training masks hold no pixel of {', '.join(task.classes[i] for i in task.foreground)}: nothing to learn"
        )
    pixels = {part: dict(zip(task.classes, map(int, values), strict=True)) for part, values in counts.items()}
    channels = _channels([fact for part in facts.values() for fact in part])
    return Findings(_measure(facts["train"], channels), pixels)


def _read_all(task: Task, part: Subset, done: Callable[[], None]) -> list[Facts]:
    def read(name: str) -> Facts:
        sample = part.read(name)
        target = task.encode(sample.mask, name, void=VOID)
        done()
        return _facts(task, name, sample.image, target)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(read, part.names))


def _facts(task: Task, name: str, image: np.ndarray, target: np.ndarray) -> Facts:
    flat = image.reshape(-1, image.shape[-1]).astype(np.float64)
    if task.exclusive:
        classes = np.bincount(target.ravel(), minlength=256)[: task.channels]
    else:
        classes = (target == 1).sum(axis=(0, 1))
    sums = np.stack([flat.sum(0), (flat**2).sum(0)])
    dtype = str(image.dtype)
    told = f"{dtype} {image.shape}".encode()
    digest = hashlib.blake2b(told + image.tobytes(), digest_size=16).digest()
    return Facts(
        name, image.shape[-1], dtype, sums, len(flat), flat.min(), flat.max(), classes.astype(np.int64), digest
    )


def _check_alike(facts: list[Facts]) -> None:
    first = facts[0]
    for fact in facts:
        if fact.dtype != first.dtype:
            raise DataError(
                f"images of one data set have one depth: {first.name} is {first.dtype}, {fact.name} is {fact.dtype}; "
                f"convert one of them"
            )


def _check_leaks(facts: Mapping[str, list[Facts]]) -> None:
    seen: dict[bytes, tuple[str, str]] = {}
    for part, found in facts.items():
        for fact in found:
            where, name = seen.setdefault(fact.digest, (part, fact.name))
            if where != part:
                raise DataError(
                    f"the same image is in two parts: {name} ({where}) and {fact.name} ({part}); the scores would be too "
                    f"good. Remove one of them"
                )


def _channels(facts: list[Facts]) -> int:
    """Return the channels of the data set's images; grey ones among RGB count as RGB, in whichever part."""
    channels = max(fact.channels for fact in facts)
    for fact in facts:
        fit_channels(np.zeros((1, 1, fact.channels), np.uint8), channels, fact.name)
    return channels


def _measure(facts: list[Facts], channels: int) -> InputConfig:
    """Return depth, channels and statistics of the training images."""
    pixels = sum(fact.pixels for fact in facts)
    total, squares = np.sum([np.broadcast_to(fact.sums, (2, channels)) for fact in facts], axis=0)
    mean = total / pixels
    std = np.sqrt(np.maximum(squares / pixels - mean**2, 0))
    return InputConfig.model_validate(
        {
            "channels": channels,
            "dtype": facts[0].dtype,
            "mean": [round(float(v), 4) for v in mean],
            "std": [round(float(v), 4) if v > 1e-6 else 1.0 for v in std],
            "low": min(fact.low for fact in facts),
            "high": max(fact.high for fact in facts),
        }
    )
