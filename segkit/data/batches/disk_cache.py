"""Decoded samples on disk, one file a sample; large ones are mapped into memory: only the rows that a patch needs are read.

A file's name is a hash of all that the sample depends on, so what changed is never found again; a file is written under a
temporary name, so it is whole; hence any number of processes may share a folder, and it may be deleted.
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
"""Bytes of the disk that are left free for what else a run writes."""
SMALL = 2**20
"""Bytes of a file that is read whole: mapping costs more there, as each unmapping stops all threads for a moment."""
HEADER = struct.Struct("<8s4Q24x")
"""The image's dtype, height, width, channels, and the target's channels, 0 for (H, W); image and target follow."""
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
}
"""Settings of `data` that do not change how a sample is read."""


class OnDisk:
    """Reads a sample once and keeps it in `folder`, for this process and others, now and later.

    Samples depend on (segkit's version, task, reading settings, channels, name) and on path, time and size of the files
    that they are read from. When the disk is nearly full, samples are no longer kept, with a warning.
    """

    def __init__(
        self,
        read: Callable[[str], Encoded],
        part: Subset,
        data: DataConfig,
        task: Task,
        given: InputConfig,
        folder: Path,
    ) -> None:
        if not hasattr(part.source, "files"):
            raise ConfigError(
                f"disk needs a source that says by `files(name)` what a sample is read from; "
                f"data.source: {data.source} does not. Say data.cache: memory",
                "contradiction",
                setting="data.cache",
            )
        self.read, self.folder, self._files = read, folder, part.source.files
        settings = data.model_dump(mode="json", exclude=NOT_READING)
        about = [__version__, task.model_dump(mode="json"), settings, given.channels]
        self._about = hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=20)
        self._full = False
        remove_leftovers(folder)

    def __call__(self, name: str) -> Encoded:
        path = self._path(name)
        kept = _mapped(path) if path else None
        if kept is not None:
            return kept
        image, target = self.read(name)
        if path and not self._full:
            self._keep(path, image, target)
        return image, target

    def share_kept(self, names: Sequence[str]) -> float:
        """Return which share of the samples is kept already."""
        paths = [self._path(name) for name in names]
        return sum(path is not None and path.is_file() for path in paths) / max(1, len(names))

    def _path(self, name: str) -> Path | None:
        """Return where a sample is kept; None if a file of it is missing, which reading it will tell."""
        about = self._about.copy()
        about.update(name.encode())
        try:
            for file in self._files(name):
                found = file.stat()
                about.update(f"\0{file}\0{found.st_mtime_ns}\0{found.st_size}".encode())
        except OSError:
            return None
        digest = about.hexdigest()
        return self.folder / digest[:2] / f"{digest}.sample"

    def _keep(self, path: Path, image: np.ndarray, target: np.ndarray) -> None:
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
            self._full = True
            warnings.warn(
                f"{self.folder}: no more samples are kept, training goes on slower ({problem})",
                stacklevel=2,
            )


def nearest_folder(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _mapped(path: Path) -> Encoded | None:
    """Return the image and target of a file, of a large one without reading it; None if there is none, or not a whole one."""
    try:
        with path.open("rb", buffering=0) as stream:
            size = os.fstat(stream.fileno()).st_size
            held = (
                stream.read(size)
                if size <= SMALL
                else mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            )
    except (OSError, ValueError):  # not there; empty
        return None
    if len(held) < HEADER.size:
        return None
    kind, height, width, channels, layers = HEADER.unpack_from(held)
    image, target = (
        (height, width, channels),
        (height, width, layers) if layers else (height, width),
    )
    try:
        dtype = np.dtype(kind.rstrip(b"\0").decode())
    except (TypeError, ValueError):  # a machine that lost its power may leave a file of zeros
        return None
    end = HEADER.size + math.prod(image) * dtype.itemsize
    if len(held) != end + math.prod(target):
        return None
    pixels = np.frombuffer(held, dtype, math.prod(image), HEADER.size).reshape(image)
    return pixels, np.frombuffer(held, np.uint8, math.prod(target), end).reshape(target)
