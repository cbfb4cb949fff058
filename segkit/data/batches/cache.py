"""Decoded samples in the form that the model needs, cached in memory or on disk."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from segkit.config import DataConfig, InputConfig
from segkit.data.batches.disk_cache import SPARE, OnDisk, nearest_folder
from segkit.data.sources.source import Sample, Subset
from segkit.errors import ConfigError, DataError
from segkit.io.images import fit_channels
from segkit.system import memory
from segkit.task import VOID, Task
from segkit.task.soft import soft_of_mask

Batch = tuple[np.ndarray, np.ndarray]
"""Images (B, H, W, C) in their own dtype (the model scales them), and encoded targets."""

Encoded = tuple[np.ndarray, np.ndarray]
"""An image (H, W, C) and its target (`target_of`), which several users share and nobody changes."""
Samples = Callable[[str], Encoded]
"""Reads a sample by name."""

SHARE = 0.25
"""Share of the free memory, or free disk, that `data.cache: auto` uses for one part of the data."""
MOST = 0.8
"""Share of the free memory that `data.cache: memory` may use; the network needs memory, too."""
MARGIN = 1.2
"""Memory limit of a part, relative to its estimated size, so that it leaves room for the others."""
ESTIMATED_FROM = 8
"""Number of samples from which the size of all is estimated."""


class Read:
    """Reads and encodes a sample at every call.

    Args:
        part: The samples.
        task: Encodes the masks.
        input_config: The model's input; images get its number of channels.
    """

    def __init__(self, part: Subset, task: Task, input_config: InputConfig) -> None:
        self.source = part.source
        self.task = task
        self.input_config = input_config

    def __call__(self, name: str) -> Encoded:
        """Read a sample; raises `DataError` if it cannot be read or encoded."""
        sample = self.source.read(name)
        image = fit_channels(sample.image, self.input_config.channels, name)
        return image, target_of(self.task, sample, name)


def target_of(task: Task, sample: Sample, name: str) -> np.ndarray:
    """Return what a training learns from a sample: its mask, or its soft target.

    Args:
        task: The task.
        sample: The sample.
        name: Its name in errors.

    Returns:
        uint8: the encoded mask, or (H, W, C) of `segkit.task.soft` if the task is soft.

    Raises:
        DataError: If the mask does not fit the task.
    """
    if task.soft and sample.soft is not None:
        return sample.soft
    target = task.encode(sample.mask, name, void=VOID)
    return soft_of_mask(task, target) if task.soft else target


class InMemory:
    """Stores the first samples that are read, until the memory limit is reached.

    Args:
        read: Reads a sample.
        room: The memory limit, in bytes.
    """

    def __init__(self, read: Samples, room: float) -> None:
        self.read = read
        self._room = room
        self._stored: dict[str, Encoded] = {}
        self._lock = threading.Lock()

    def __call__(self, name: str) -> Encoded:
        """Return a sample from memory, or read it."""
        if name in self._stored:
            return self._stored[name]
        image, target = self.read(name)
        size = image.nbytes + target.nbytes
        with self._lock:
            if size <= self._room and name not in self._stored:
                self._room -= size
                self._stored[name] = (image, target)
        return image, target


def open_samples(
    part: Subset,
    data: DataConfig,
    task: Task,
    input_config: InputConfig,
    folder: Path | None = None,
) -> Samples:
    """Open the samples of a part with the cache that `data.cache` sets.

    "memory" and "disk" store all samples. "auto" stores them in memory if they fit into a quarter
    of the free memory; otherwise on disk if they fit into a quarter of the free disk; otherwise as
    many in memory as fit into its quarter.

    Args:
        part: The samples.
        data: The `data` section of a config.
        task: Encodes the masks.
        input_config: The model's input; images get its number of channels.
        folder: Folder of the cache on disk, if `data.cache_folder` is not set.

    Returns:
        A function that reads a sample by name.

    Raises:
        ConfigError: If "memory" or "disk" is set and not all samples fit. Nothing is stored then.
    """
    read = Read(part, task, input_config)
    folder = data.cache_folder or folder
    if data.cache == "none" or not part.names:
        return read
    needed = check_memory([part], data, task, input_config, folder)
    if data.cache == "memory":
        return InMemory(read, min(MOST * memory.free_memory(), MARGIN * needed))
    if data.cache == "disk":
        return OnDisk(read, part, data, task, input_config, _require_folder(folder))
    return _choose_cache(read, part, data, task, input_config, folder)


def _choose_cache(
    read: Read,
    part: Subset,
    data: DataConfig,
    task: Task,
    input_config: InputConfig,
    folder: Path | None,
) -> Samples:
    """Return the cache that `data.cache: auto` means."""
    free = SHARE * memory.free_memory()
    in_memory = InMemory(read, free)
    size = _estimate_size(in_memory, part.names)
    if size <= free or folder is None or not hasattr(part.source, "files"):
        return in_memory
    on_disk = OnDisk(read, part, data, task, input_config, folder)
    missing = size * (1 - on_disk.share_on_disk(part.names))
    return on_disk if missing <= SHARE * _free_disk(folder) else in_memory


def check_memory(
    parts: Sequence[Subset],
    data: DataConfig,
    task: Task,
    input_config: InputConfig,
    folder: Path | None = None,
) -> float:
    """Check that the decoded samples fit if `data.cache` is "memory" or "disk".

    Args:
        parts: All parts that are cached.
        data: The `data` section of a config.
        task: Encodes the masks.
        input_config: The model's input.
        folder: Folder of the cache on disk, if `data.cache_folder` is not set.

    Returns:
        The estimated size in bytes of all samples that are not yet on disk; 0 with other caches.

    Raises:
        ConfigError: If they do not fit.
    """
    if data.cache == "memory":
        needed = 0.0
        for part in parts:
            needed += _estimate_size(Read(part, task, input_config), part.names)
        _check_room(needed, MOST * memory.free_memory(), "memory", "memory", "disk")
        return needed
    if data.cache == "disk":
        place = _require_folder(data.cache_folder or folder)
        needed = 0.0
        for part in parts:
            read = Read(part, task, input_config)
            on_disk = OnDisk(read, part, data, task, input_config, place)
            missing = 1 - on_disk.share_on_disk(part.names)
            needed += missing * _estimate_size(read, part.names)
        _check_room(needed, _free_disk(place), "disk", str(place), "memory")
        return needed
    return 0.0


def _free_disk(folder: Path) -> float:
    """Return the number of bytes on disk that decoded samples may use."""
    return shutil.disk_usage(nearest_folder(folder)).free - SPARE


def _estimate_size(read: Samples, names: Sequence[str]) -> float:
    """Estimate the size in bytes of all decoded samples from a few, spread over the part."""
    step = max(1, len(names) // ESTIMATED_FROM)
    sizes = []
    for name in names[::step][:ESTIMATED_FROM]:
        with suppress(DataError):  # a broken sample is reported when training reads it
            image, target = read(name)
            sizes.append(image.nbytes + target.nbytes)
    return sum(sizes) / max(1, len(sizes)) * len(names)


def _check_room(needed: float, room: float, kind: str, where: str, other: str) -> None:
    if needed > room:
        raise ConfigError(
            f"{kind} would need about {needed / 1e9:,.2f} GB for the decoded samples, but {where} "
            f"has room for {max(0.0, room) / 1e9:,.2f} GB. Free some, or set data.cache: {other}, "
            f"or none; data.cache_folder sets another folder for disk",
            "no-space",
            setting="data.cache",
        )


def _require_folder(folder: Path | None) -> Path:
    if folder is None:
        raise ConfigError(
            "data.cache: disk needs a folder outside a run",
            "missing-setting",
            setting="data.cache_folder",
        )
    return folder
