"""Reads masks that store the probability of each class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from segkit.errors import DataError
from segkit.io import codecs
from segkit.io.image_files import list_contents
from segkit.io.images import read_pixels
from segkit.io.pages import Pages
from segkit.io.pixels import Pixels, both
from segkit.task import Task
from segkit.task.soft import check_sums, encode_probabilities

ARRAY = ".npy"
"""The suffix of an array of NumPy."""
LARGEST = {"u1": 255, "u2": 65535}
"""The value of probability 1 in files of whole numbers."""
SUSPICIOUS = 0.01
"""If no probability of files of whole numbers is larger, they may be masks of class numbers."""


class Probabilities:
    """Reads the files of probabilities of a data set.

    Args:
        task: The task, with `soft`.
        pages: The meaning of the pages of a file (`data.pages`).
    """

    def __init__(self, task: Task, pages: Pages | None) -> None:
        self.task = task
        self.pages = pages
        self._highest = 0.0
        self._reads_whole_numbers = False

    @property
    def decisions(self) -> list[tuple[str, str]]:
        """The doubt that the files may not be probabilities: a code and a sentence, or nothing."""
        if not self._reads_whole_numbers or self._highest > SUSPICIOUS:
            return []
        return [
            (
                "probabilities",
                f"the highest probability in all masks is {self._highest:.2g}, because the highest "
                f"value of their type means 1 (255 in 8 bits, 65535 in 16 bits). If the values are "
                f"numbers of classes, remove data.mask_probabilities",
            )
        ]

    def read(self, paths: Mapping[str, Path]) -> dict[str, Pixels]:
        """Read the files of one image.

        Args:
            paths: The file of each class, or one file with all classes as "".

        Returns:
            The values of each file, (H, W, C) or (H, W, 1) float32.

        Raises:
            DataError: If a file cannot be read or has another number of bands.
        """
        return {label: self._read_file(path, label) for label, path in paths.items()}

    def combine(self, layers: Mapping[str, Pixels], where: str) -> np.ndarray:
        """Return the soft target of the files of one image.

        With one file per class, the background of an exclusive task has what the others leave.

        Args:
            layers: The values of each file, from `read`, all of one size.
            where: The files, for errors.

        Returns:
            (H, W, C) uint8.

        Raises:
            DataError: If the values are no probabilities.
        """
        valid = None
        for layer in layers.values():
            valid = both(valid, layer.valid)
        if "" in layers:
            return encode_probabilities(self.task, layers[""].values, where, valid)
        planes = {label: layer.values[..., 0] for label, layer in layers.items()}
        missing = [name for name in self.task.classes if name not in planes]
        for name in missing:  # only the background can be missing
            others = np.sum(list(planes.values()), axis=0)
            check_sums(np.maximum(others, 1), where, self.task.channels)
            planes[name] = np.clip(1 - others, 0, 1)
        values = np.stack([planes[name] for name in self.task.classes], axis=-1)
        return encode_probabilities(self.task, values, where, valid)

    def _read_file(self, path: Path, label: str) -> Pixels:
        bands = 1 if label else self.task.channels
        stored = self._stored(path, bands)
        values = stored.values
        if values.shape[-1] != bands:
            needed = f"one band, the probability of {label}"
            if not label:
                needed = f"one band per class, {bands} ({', '.join(self.task.classes)})"
            raise DataError(
                f"{path}: a mask of probabilities has {needed}; found {values.shape[-1]} bands",
                "mask-channels",
            )
        whole = LARGEST.get(values.dtype.str[1:])
        values = values.astype(np.float32)
        if whole is not None:
            values /= whole
            self._reads_whole_numbers = True
            self._highest = max(self._highest, float(values.max(initial=0)))
        return stored._replace(values=values)

    def _stored(self, path: Path, bands: int) -> Pixels:
        """Return what a file stores, (H, W, bands)."""
        if path.suffix.lower() == ARRAY:
            return Pixels(_read_array(path))
        try:
            return read_pixels(path, self.pages, bands)
        except DataError as problem:
            if problem.code != "not-finite":
                raise
            raise DataError(
                f"{path}: a soft label is a probability from 0 to 1; found NaN or infinite values. "
                f"Pixels without a label need a nodata value in the header of the file",
                "probabilities",
            ) from problem


def with_arrays(files: Mapping[str, Path], folder: Path) -> dict[str, Path]:
    """Return mask files together with the arrays of NumPy in the same folder.

    Args:
        files: The image files by name, as `list_images` returns them.
        folder: The folder of the masks.

    Raises:
        DataError: If two files have one name.
    """
    found = dict(files)
    for path in list_contents(folder).others:
        if path.suffix.lower() != ARRAY:
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise DataError(f"{path} and {found[name]}: two masks of one name", "duplicate-name")
        found[name] = path
    return found


def _read_array(path: Path) -> np.ndarray:
    """Return an array of a file of NumPy, (H, W, bands)."""
    with codecs.naming(path):
        values = np.load(path, allow_pickle=False)
    is_known = values.dtype.kind == "f" or values.dtype.str[1:] in LARGEST
    if not is_known or values.ndim not in (2, 3):
        raise DataError(
            f"{path}: probabilities are an array (height, width, classes) of floating-point "
            f"numbers, or of uint8 or uint16; found {values.dtype} of shape {values.shape}",
            "mask-channels",
        )
    return np.atleast_3d(values)
