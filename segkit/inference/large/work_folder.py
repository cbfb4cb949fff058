"""The work folder of an image that is being predicted: finished rows, and what the next row goes on from."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Strip(NamedTuple):
    """Some rows of an image (rows, width, channels) in a file, column after column: neighbours are one piece of it."""

    path: Path
    rows: int
    width: int
    channels: int
    dtype: str

    @property
    def bytes(self) -> int:
        """Size of the whole file."""
        return self.rows * self.width * self.channels * np.dtype(self.dtype).itemsize

    def read(self, columns: slice) -> np.ndarray:
        """Return some columns, (rows, n, channels)."""
        shape = (columns.stop - columns.start, self.rows, self.channels)
        offset = columns.start * self.rows * self.channels * np.dtype(self.dtype).itemsize
        return (
            np.fromfile(self.path, self.dtype, int(np.prod(shape)), offset=offset)
            .reshape(shape)
            .swapaxes(0, 1)
        )

    @contextmanager
    def writing(self) -> Iterator[Callable[[np.ndarray], None]]:
        """Yield a function that appends columns (rows, n, channels); the file has its name once all are written."""
        temporary = self.path.with_suffix(".new")
        with temporary.open("wb") as stream:
            yield lambda array: _append(stream, array.astype(self.dtype, copy=False))
            stream.flush()
            os.fsync(stream.fileno())  # a power cut must not leave the name without the content
        os.replace(temporary, self.path)

    def is_whole(self) -> bool:
        """Return whether the file is there with all its columns."""
        return self.path.is_file() and self.path.stat().st_size == self.bytes


def _append(stream: Any, array: np.ndarray) -> None:
    stream.write(array.swapaxes(0, 1).tobytes())


def work_folder(mask: Path) -> Path:
    """Return where the work on a mask is kept: beside it, hidden, so that no source of images looks into it.

    >>> work_folder(Path("masks/monday/slide.tif")).as_posix()
    'masks/monday/.slide.part'
    """
    return mask.with_name(f".{mask.stem}.part")


def begin(folder: Path, fingerprint: dict[str, Any]) -> None:
    """Make the work folder, or keep the one that is there if it was begun for the same `fingerprint`."""
    record = folder / "work.json"
    text = json.dumps(fingerprint, indent=2, sort_keys=True) + "\n"
    if record.is_file() and record.read_text(encoding="utf-8") == text:
        return
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    temporary = record.with_suffix(".new")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, record)
