"""Decoded samples on disk, one file per sample.

Large files are mapped into memory, so that only the rows that a patch needs are read. A file's name
is a hash of everything that the sample depends on, so a changed sample is never found. A file is
written under a temporary name first, so it is always whole. Therefore any number of processes may
share a folder, and the folder may be deleted.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
import shutil
import struct
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from segkit import __version__
from segkit.config import DataConfig, InputConfig
from segkit.data.sources.source import Subset
from segkit.errors import ConfigError
from segkit.io.atomic import atomic, remove_leftovers
from segkit.task import Task

Encoded = tuple[np.ndarray, np.ndarray]

SPARE = 10**9
"""Bytes on disk that stay free for the other files of a run."""
SMALL = 2**20
"""Files up to this size in bytes are not mapped, because an unmapping stops all threads briefly."""
HEADER = struct.Struct("<8s4Q24x")
"""The image's dtype, height, width, channels, and the target's channels (0 for (H, W)).

The pixels of the image and of the target follow.
"""
NOT_READING = {
    "cache",
    "cache_folder",
    "validation",
    "test",
    "fold",
    "skip_broken",
    "count",
    "download",
    "max_pixels",
    "pixel_size",
    "pixel_unit",
}
"""Settings of `data` that do not change how a sample is read."""


class OnDisk:
    """Reads a sample once and stores it on disk, for this and other processes, now and later.

    The hash in a file's name is of segkit's version, the task, the settings about reading, the
    number of channels, the sample's name, and path, time and size of the files that the sample is
    read from. When the disk is nearly full, a warning is given and no more samples are stored.

    Args:
        read: Reads a sample.
        part: The samples.
        data: The `data` section of a config.
        task: The task of the masks.
        input_config: The model's input.
        folder: The folder of the files.

    Raises:
        ConfigError: If the source does not say which files it reads.
    """

    def __init__(
        self,
        read: Callable[[str], Encoded],
        part: Subset,
        data: DataConfig,
        task: Task,
        input_config: InputConfig,
        folder: Path,
    ) -> None:
        if not hasattr(part.source, "files"):
            raise ConfigError(
                f"disk needs a source with a method `files(name)` that lists the files of a "
                f"sample; data.source: {data.source} has none. Set data.cache: memory",
                "contradiction",
                setting="data.cache",
            )
        self.read = read
        self.folder = folder
        self._files = part.source.files
        settings = data.model_dump(mode="json", exclude=NOT_READING)
        shared = [__version__, task.model_dump(mode="json"), settings, input_config.channels]
        self._hash = hashlib.blake2b(json.dumps(shared, sort_keys=True).encode(), digest_size=20)
        self._is_full = False
        remove_leftovers(folder)

    def __call__(self, name: str) -> Encoded:
        """Return a sample from disk, or read and store it."""
        path = self._path(name)
        if path is None:
            return self.read(name)
        stored = _load(path)
        if stored is not None:
            return stored
        image, target = self.read(name)
        if not self._is_full:
            self._store(path, image, target)
        return image, target

    def share_on_disk(self, names: Sequence[str]) -> float:
        """Return the share of some samples, from 0 to 1, that is on disk already."""
        count = 0
        for name in names:
            path = self._path(name)
            count += path is not None and path.is_file()
        return count / max(1, len(names))

    def _path(self, name: str) -> Path | None:
        """Return the file of a sample; None if a file that it is read from is missing."""
        own_hash = self._hash.copy()
        own_hash.update(name.encode())
        try:
            for file in self._files(name):
                status = file.stat()
                own_hash.update(f"\0{file}\0{status.st_mtime_ns}\0{status.st_size}".encode())
        except OSError:
            return None
        digest = own_hash.hexdigest()
        return self.folder / digest[:2] / f"{digest}.sample"

    def _store(self, path: Path, image: np.ndarray, target: np.ndarray) -> None:
        channels = target.shape[2] if target.ndim == 3 else 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(path.parent).free < SPARE + image.nbytes + target.nbytes:
                raise OSError("the disk is nearly full")
            with atomic(path) as temporary, temporary.open("wb") as stream:
                stream.write(HEADER.pack(image.dtype.str.encode(), *image.shape, channels))
                stream.write(np.ascontiguousarray(image).data)
                stream.write(np.ascontiguousarray(target).data)
        except OSError as problem:
            self._is_full = True
            warnings.warn(
                f"{self.folder}: no more samples are stored, so training is slower ({problem})",
                stacklevel=2,
            )


def nearest_folder(folder: Path) -> Path:
    """Return a folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _load(path: Path) -> Encoded | None:
    """Return the image and target of a file; None if there is no file, or not a whole one."""
    content = _open(path)
    if content is None or len(content) < HEADER.size:
        return None
    kind, height, width, channels, target_channels = HEADER.unpack_from(content)
    image_shape = (height, width, channels)
    target_shape: tuple[int, ...] = (height, width)
    if target_channels:
        target_shape = (height, width, target_channels)
    try:
        dtype = np.dtype(kind.rstrip(b"\0").decode())
    except (TypeError, ValueError):  # after a power failure the file may consist of zeros
        return None
    end = HEADER.size + math.prod(image_shape) * dtype.itemsize
    if len(content) != end + math.prod(target_shape):
        return None
    image = np.frombuffer(content, dtype, math.prod(image_shape), HEADER.size)
    target = np.frombuffer(content, np.uint8, math.prod(target_shape), end)
    return image.reshape(image_shape), target.reshape(target_shape)


def _open(path: Path) -> bytes | mmap.mmap | None:
    """Return the bytes of a small file, or map a large one; None if it is missing or empty."""
    try:
        with path.open("rb", buffering=0) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size <= SMALL:
                return stream.read(size)
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # ValueError: an empty file cannot be mapped
        return None
