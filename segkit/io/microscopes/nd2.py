"""Reads ND2, the files of Nikon's microscopes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from segkit.errors import DataError
from segkit.io.microscopes.open_file import MICROMETRES, ImageAxes, MicroscopeFile, reader
from segkit.io.plane_addresses import IMAGE_AXIS

IN_A_FRAME = "CYXS"
"""The axes of a frame: channels, rows, columns and colours."""
LOSSY = "lossy"
"""The compression that nd2 would return undecoded."""
COLOURS = (1, 3)
"""Components of a channel that are read: one value, or red, green and blue."""


class Nd2File(MicroscopeFile):
    """An open ND2 file. Its positions of the stage are its images."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = reader("nd2").ND2File(path)
        try:
            self._check()
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @cached_property
    def images(self) -> Sequence[ImageAxes]:
        lengths = {axis: int(length) for axis, length in self._file.sizes.items()}
        lengths = {"Y": 1, "X": 1, **lengths}  # nd2 leaves out axes of one position
        count = lengths.pop(IMAGE_AXIS, 1)
        return [ImageAxes(lengths, self._spacing())] * count

    def read(
        self, image: int, position: Mapping[str, int], rows: slice, columns: slice
    ) -> np.ndarray:
        number = 0
        for axis, length in self._loops.items():
            place = image if axis == IMAGE_AXIS else position.get(axis, 0)
            number = number * length + place
        if number >= int(self._file.attributes.sequenceCount):
            raise self.not_recorded(image, position)  # nd2 would return zeros
        lengths = self.images[0].lengths
        shape = [lengths.get(axis, 1) for axis in IN_A_FRAME]
        frame = self._file.read_frame(number).reshape(shape)
        values = np.array(frame[position.get("C", 0), rows, columns])
        return values if "S" in lengths else values[..., 0]

    @property
    def _loops(self) -> dict[str, int]:
        """The axes whose positions are frames, the slowest first, and their lengths."""
        sizes = self._file.sizes
        return {axis: int(sizes[axis]) for axis in sizes if axis not in IN_A_FRAME}

    def _check(self) -> None:
        """Check that nothing of the file would be ignored.

        Raises:
            DataError: If it has frames that no axis names, a lossy compression, or pixels of
                several values that are no colours.
        """
        frames = int(self._file.attributes.sequenceCount)
        named = math.prod(self._loops.values())
        if frames > named:
            raise DataError(
                f"{self.path}: holds {frames} frames, and its metadata name the axes of {named}; "
                f"export it as OME-TIFF",
                "pages",
            )
        if self._file.attributes.compressionType == LOSSY:
            raise DataError(
                f"{self.path}: is compressed with loss, which nd2 does not decode; export it as "
                f"OME-TIFF",
                "unreadable",
            )
        components = self._file.components_per_channel
        if components not in COLOURS:
            raise DataError(
                f"{self.path}: has {components} values for each channel of a pixel; 1 or 3 are "
                f"read. Export it as OME-TIFF",
                "channels",
            )

    def _spacing(self) -> dict[str, tuple[Any, str]]:
        """Return the distances that the metadata state; an uncalibrated file states 1."""
        found: dict[str, tuple[Any, str]] = {}
        try:
            channels = getattr(self._file.metadata, "channels", None)
        except Exception:  # incomplete metadata do not mean broken pixels
            channels = None
        if channels:
            volume = channels[0].volume
            for axis, is_measured, distance in zip(
                "XYZ", volume.axesCalibrated, volume.axesCalibration, strict=False
            ):
                if is_measured:
                    found[axis] = (distance, MICROMETRES)
        for loop in self._file.experiment:
            if loop.type == "ZStackLoop" and loop.parameters.stepUm:
                found["Z"] = (loop.parameters.stepUm, MICROMETRES)
        return found
