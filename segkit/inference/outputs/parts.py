"""`PartsOutput`: the base of formats with one file for the masks of several images."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.errors import DataError, one_line
from segkit.inference.outputs.listing import list_parts
from segkit.inference.outputs.prediction import Output
from segkit.io.files import check_is_file
from segkit.io.names import file_in

LARGEST_PART = 2**31
"""Bytes of the file of one mask."""


class Part(NamedTuple):
    """The mask of one image, as it is kept until all images of its file are predicted."""

    mask: np.ndarray
    """(H, W) or (H, W, P) uint8, as `Task.decode` returns it."""
    about: Mapping[str, Any]
    """What the format stored beside the mask."""


class PartsOutput(Output):
    """A format with one file for several images, such as all slices of a volume.

    The mask of each image is written to DIR-FORMAT/parts/NAME.npz. Once the masks of all images of
    a file exist, they make the file.
    """

    has_objects = False

    def paths(self, name: str) -> list[Path]:
        return [file_in(self.folder / "parts", name, ".npz")]

    def merge(self) -> None:
        wholes: dict[str, dict[str, Path]] = {}
        for name, path in list_parts(self.folder / "parts", ".npz").items():
            wholes.setdefault(self.whole_of(name), {})[name] = path
        problems = []
        for whole, parts in wholes.items():
            try:
                if not _is_written(self.paths_of_whole(whole), list(parts.values())):
                    self.merge_whole(whole, parts)
            except DataError as problem:  # the other files are written first
                problems.append(problem)
        if problems:
            raise problems[0]

    @abstractmethod
    def whole_of(self, name: str) -> str:
        """Return the name of the file that an image belongs to."""

    @abstractmethod
    def paths_of_whole(self, whole: str) -> list[Path]:
        """Return the files that several images make."""

    @abstractmethod
    def merge_whole(self, whole: str, parts: Mapping[str, Path]) -> None:
        """Write the files that several images make, if all of these images are predicted.

        Args:
            whole: The name of the file.
            parts: The parts by the names of their images.

        Raises:
            DataError: If a part is damaged, or does not belong to the others.
        """


def _is_written(paths: Sequence[Path], parts: Sequence[Path]) -> bool:
    """Return whether files exist and are not older than their parts."""
    if not all(path.exists() for path in paths):
        return False
    written_at = min(path.stat().st_mtime_ns for path in paths)
    return all(path.stat().st_mtime_ns <= written_at for path in parts)


def write_part(path: Path, part: Part) -> None:
    """Write the mask of an image."""
    with path.open("wb") as stream:
        about = np.array(json.dumps(part.about))
        np.savez_compressed(stream, mask=part.mask, about=about)


def read_part(path: Path) -> Part:
    """Read the mask of an image.

    Raises:
        DataError: For a file that `write_part` did not write.
    """
    check_is_file(path, LARGEST_PART)
    try:
        with np.load(path, allow_pickle=False) as stored:
            about = json.loads(str(stored["about"]))
            mask = stored["mask"]
        if mask.ndim not in (2, 3) or mask.dtype != np.uint8 or not isinstance(about, dict):
            raise ValueError("its values make no sense")
    except Exception as problem:  # NumPy raises errors of every type for damaged files
        raise damaged_part(path, problem) from problem
    return Part(mask, about)


def damaged_part(path: Path, problem: Exception) -> DataError:
    """Return the error for a file that holds no mask of an image."""
    return DataError(
        f"{path}: is no mask of a part ({one_line(problem)}); delete it and predict its image again"
    )
