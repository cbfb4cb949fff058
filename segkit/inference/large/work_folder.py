"""The work folder of an image: finished rows of its mask, and the sums for the next row."""

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
    """Some rows of an image in a file, stored column by column."""

    path: Path
    rows: int
    width: int
    channels: int
    dtype: str

    @property
    def bytes(self) -> int:
        """Size of the whole file."""
        return self.width * self._column_values * np.dtype(self.dtype).itemsize

    @property
    def _column_values(self) -> int:
        return self.rows * self.channels

    def read(self, columns: slice) -> np.ndarray:
        """Return some columns, (rows, n, channels)."""
        count = columns.stop - columns.start
        offset = columns.start * self._column_values * np.dtype(self.dtype).itemsize
        values = np.fromfile(self.path, self.dtype, count * self._column_values, offset=offset)
        return values.reshape(count, self.rows, self.channels).swapaxes(0, 1)

    @contextmanager
    def writing(self) -> Iterator[Callable[[np.ndarray], None]]:
        """Yield a function that appends columns (rows, n, channels).

        The file is written to a temporary name and renamed when all columns are written.
        """
        temporary = self.path.with_suffix(".new")
        with temporary.open("wb") as stream:

            def append(array: np.ndarray) -> None:
                stream.write(array.astype(self.dtype, copy=False).swapaxes(0, 1).tobytes())

            yield append
            stream.flush()
            os.fsync(stream.fileno())  # a power cut must not leave the name without the content
        os.replace(temporary, self.path)

    def is_whole(self) -> bool:
        """Return whether the file exists with all its columns."""
        return self.path.is_file() and self.path.stat().st_size == self.bytes


def work_folder(mask: Path) -> Path:
    """Return the work folder of a mask. It is hidden, so that no source of images searches it.

    >>> work_folder(Path("masks/monday/slide.tif")).as_posix()
    'masks/monday/.slide.part'
    """
    return mask.with_name(f".{mask.stem}.part")


def begin(folder: Path, fingerprint: dict[str, Any]) -> None:
    """Make the work folder, or keep the existing one if it was begun with the same fingerprint."""
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
