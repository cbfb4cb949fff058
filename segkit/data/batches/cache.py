"""Samples as the model takes them, decoded once and kept where there is room: in memory, or mapped from disk."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from segkit.config import DataConfig, InputConfig
from segkit.data.batches.disk_cache import SPARE, OnDisk, nearest_folder
from segkit.data.sources.source import Subset
from segkit.errors import ConfigError, DataError
from segkit.io.images import fit_channels
from segkit.system import memory
from segkit.task import VOID, Task

Batch = tuple[np.ndarray, np.ndarray]
"""Images (B, H, W, C) in the dtype that they were read in, which the model scales itself, and encoded targets."""


Encoded = tuple[np.ndarray, np.ndarray]
"""An image (H, W, C) and its encoded target; they may be shared or mapped, so nobody writes into them."""
Samples = Callable[[str], Encoded]

SHARE = 0.25
"""Of the free memory, and of the free disk, that `data.cache: auto` takes for one part of the data."""
MOST = 0.8
"""Of the free memory that `data.cache: memory` may take; the network needs some, too."""
MARGIN = 1.2
"""Times what a part is reckoned to take, it may take in memory, so that one does not take what is another's."""
LOOKED_AT = 8
"""Samples that are read to know how much room all will take."""


class Read:
    """Reads and encodes a sample each time, with the model's number of channels."""

    def __init__(self, part: Subset, task: Task, given: InputConfig) -> None:
        self.source, self.task, self.given = part.source, task, given

    def __call__(self, name: str) -> Encoded:
        sample = self.source.read(name)
        image = fit_channels(sample.image, self.given.channels, name)
        return image, self.task.encode(sample.mask, name, void=VOID)


class InMemory:
    """Keeps the first samples that are asked for, up to `room` bytes."""

    def __init__(self, read: Samples, room: float) -> None:
        self.read, self._room = read, room
        self._kept: dict[str, Encoded] = {}
        self._lock = threading.Lock()

    def __call__(self, name: str) -> Encoded:
        if name in self._kept:
            return self._kept[name]
        image, target = self.read(name)
        with self._lock:
            if image.nbytes + target.nbytes <= self._room and name not in self._kept:
                self._room -= image.nbytes + target.nbytes
                self._kept[name] = (image, target)
        return image, target


def open_samples(
    part: Subset, data: DataConfig, task: Task, given: InputConfig, folder: Path | None = None
) -> Samples:
    """Return the samples of a part, kept as `data.cache` says; `folder` is where they are kept on disk if it does not say.

    memory and disk are refused with a `ConfigError`, before anything is kept, where all samples will not fit. auto is
    memory if a quarter of what is free holds them, else disk if a quarter of that does, else as many as the memory's
    quarter holds.
    """
    read, folder, free = Read(part, task, given), data.cache_folder or folder, memory.free_memory()
    if data.cache == "none" or not part.names:
        return read
    wanted = check_memory([part], data, task, given, folder)
    if data.cache == "memory":
        return InMemory(read, min(MOST * free, MARGIN * wanted))
    if data.cache == "disk":
        return OnDisk(read, part, data, task, given, _known(folder))
    in_memory = InMemory(read, SHARE * free)
    size = _bytes_of_all(in_memory, part.names)
    if size <= SHARE * free or folder is None or not hasattr(part.source, "files"):
        return in_memory
    kept = OnDisk(read, part, data, task, given, folder)
    return kept if size * (1 - kept.share_kept(part.names)) <= SHARE * _room(folder) else in_memory


def check_memory(
    parts: Sequence[Subset],
    data: DataConfig,
    task: Task,
    given: InputConfig,
    folder: Path | None = None,
) -> float:
    """Return the bytes that the decoded samples of all parts take, where memory or disk is to hold them all.

    Raises `ConfigError` unless they fit.
    """
    if data.cache in ("none", "auto"):
        return 0.0
    wanted, where = 0.0, _known(data.cache_folder or folder) if data.cache == "disk" else None
    for part in parts:
        read = Read(part, task, given)
        missing = (
            1 - OnDisk(read, part, data, task, given, where).share_kept(part.names) if where else 1
        )
        wanted += missing * _bytes_of_all(read, part.names)
    if where:
        _refuse_more(wanted, _room(where), "disk", str(where), "memory")
    else:
        _refuse_more(wanted, MOST * memory.free_memory(), "memory", "memory", "disk")
    return wanted


def _room(folder: Path) -> float:
    """Return the bytes of the disk that decoded samples may take."""
    return shutil.disk_usage(nearest_folder(folder)).free - SPARE


def _bytes_of_all(read: Samples, names: Sequence[str]) -> float:
    """Return about how many bytes all samples take decoded, from a few of them, spread over the part."""
    sizes = []
    for name in names[:: max(1, len(names) // LOOKED_AT)][:LOOKED_AT]:
        with suppress(DataError):  # a broken one is told of when its turn comes
            sizes.append(sum(array.nbytes for array in read(name)))
    return sum(sizes) / max(1, len(sizes)) * len(names)


def _refuse_more(wanted: float, room: float, kind: str, where: str, other: str) -> None:
    if wanted > room:
        raise ConfigError(
            f"{kind} would take about {wanted / 1e9:,.2f} GB for the decoded samples, and {where} "
            f"has room for {max(0.0, room) / 1e9:,.2f} GB. Free some, or say data.cache: {other}, "
            f"or none; data.cache_folder names another folder for disk",
            "no-space",
            setting="data.cache",
        )


def _known(folder: Path | None) -> Path:
    if folder is None:
        raise ConfigError(
            "disk needs a folder outside a run",
            "missing-setting",
            setting="data.cache_folder",
        )
    return folder
