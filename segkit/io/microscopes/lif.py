"""Reads LIF, the files of Leica's microscopes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from segkit.io.microscopes.open_file import (
    MICROMETRES,
    PER_METRE,
    ImageAxes,
    MicroscopeFile,
    reader,
)

LETTERS = {"λ": "E", "Λ": "W"}
"""The letters of axes that liffile calls otherwise: wavelengths of emission and of excitation."""
DESCRIPTIONS = "./Data/Image/ImageDescription/Dimensions/DimensionDescription"
"""The place of the dimensions in the metadata of an image."""
AXES_OF_DIMENSIONS = {"1": "X", "2": "Y", "3": "Z"}
"""The axes of space by their number in the metadata."""


class LifFile(MicroscopeFile):
    """An open LIF file."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = reader("liffile").LifFile(path)
        self._images = list(self._file.images)
        if not self._images:
            self._file.close()
            raise ValueError("it holds no image")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @cached_property
    def images(self) -> Sequence[ImageAxes]:
        found = []
        for image in self._images:
            lengths = {LETTERS.get(axis, axis): int(n) for axis, n in image.sizes.items()}
            found.append(ImageAxes(lengths, _spacing(image)))
        return found

    def read(
        self, image: int, position: Mapping[str, int], rows: slice, columns: slice
    ) -> np.ndarray:
        chosen = self._images[image]
        window = {"Y": rows, "X": columns}
        axes = [LETTERS.get(axis, axis) for axis in chosen.dims]
        has_colours = "S" in axes
        if has_colours:  # the order of colours may be reversed, which a mapped file cannot be
            stored = chosen.asarray()
        else:
            stored = chosen.asarray(out="memmap")
        index: list[int | slice] = []
        for axis in axes:
            if axis in window:
                index.append(window[axis])
            elif axis == "S":
                index.append(slice(None))
            else:
                index.append(position.get(axis, 0))
        values = np.array(stored[tuple(index)])
        kept = [axis for axis in axes if axis in "YXS"]
        order = [kept.index(axis) for axis in ("Y", "X", "S") if axis in kept]
        return values.transpose(order)


def _spacing(image: Any) -> dict[str, tuple[Any, str]]:
    """Return the distances that the metadata state.

    The length of an axis reaches from the centre of its first pixel to that of its last one.
    """
    found = {}
    for description in image.xml_element.iterfind(DESCRIPTIONS):
        axis = AXES_OF_DIMENSIONS.get(str(description.get("DimID")))
        count = int(description.get("NumberOfElements", 0))
        if axis and count > 1 and description.get("Unit") == "m":
            metres = float(description.get("Length", 0)) / (count - 1)
            found[axis] = (metres * PER_METRE, MICROMETRES)
    return found
