"""Probabilities (H, W, classes), 0 to 1, for tools that decide for themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segkit.inference.outputs.prediction import Answer, Output
from segkit.io.names import file_in
from segkit.io.tiff_files import save_tiff


class Tiff(Output):
    """DIR-probabilities/NAME.tif: float32, a band a class, compressed; NaN where the image has no data."""

    ending = "-probabilities"
    kind: type = np.float32

    def paths(self, name: str) -> list[Path]:
        return [file_in(self.folder, name, ".tif")]

    def write(self, answer: Answer, paths: Sequence[Path]) -> None:
        bands: np.ndarray = self.bands(answer).astype(self.kind)
        if answer.missing is not None:
            bands[answer.missing] = np.nan
        tags = answer.place.tags_with(np.nan) if answer.place else ()
        save_tiff(paths[0], bands, tags)

    def bands(self, answer: Answer) -> np.ndarray:
        """Return what is written, (H, W, bands)."""
        return answer.calibrated


class HalfTiff(Tiff):
    """The same as float16: half the size, off by at most 1/4096."""

    kind = np.float16


class Uncertainty(HalfTiff):
    """DIR-uncertainty/NAME.tif: 0 to 1; a second band is the disagreement of several runs or views."""

    ending = "-uncertainty"

    def bands(self, answer: Answer) -> np.ndarray:
        if answer.doubt is None:
            raise ValueError("an answer whose uncertainty is not known")
        return answer.doubt()


class Npy(Output):
    """DIR-probabilities/NAME.npy: float32 as `numpy.load` reads it, also memory-mapped."""

    ending = "-probabilities"

    def paths(self, name: str) -> list[Path]:
        return [file_in(self.folder, name, ".npy")]

    def write(self, answer: Answer, paths: Sequence[Path]) -> None:
        np.save(paths[0], answer.calibrated.astype(np.float32))
