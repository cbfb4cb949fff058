"""Probabilities (H, W, classes) and uncertainty, from 0 to 1, for further processing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segkit.inference.outputs.prediction import Output, PredictedImage
from segkit.io.names import file_in
from segkit.io.tiff_files import save_tiff


class Tiff(Output):
    """Writes DIR-probabilities/NAME.tif: float32, one band per class, NaN without data."""

    ending = "-probabilities"
    dtype: type = np.float32

    def paths(self, name: str) -> list[Path]:
        return [file_in(self.folder, name, ".tif")]

    def write(self, predicted: PredictedImage, paths: Sequence[Path]) -> None:
        bands: np.ndarray = self.bands(predicted).astype(self.dtype)
        if predicted.no_data is not None:
            bands[predicted.no_data] = np.nan
        location = predicted.location
        tags = location.tags_with(np.nan) if location else ()
        save_tiff(paths[0], bands, tags)

    def bands(self, predicted: PredictedImage) -> np.ndarray:
        """Return the bands to write, (H, W, bands)."""
        return predicted.calibrated


class HalfTiff(Tiff):
    """Writes the same as float16: half the size, with an error of at most 1/4096."""

    dtype = np.float16


class Uncertainty(HalfTiff):
    """Writes DIR-uncertainty/NAME.tif: the bands of `segkit.inference.uncertainty.uncertainty`."""

    ending = "-uncertainty"

    def bands(self, predicted: PredictedImage) -> np.ndarray:
        if predicted.compute_uncertainty is None:
            raise ValueError("this prediction has no uncertainty")
        return predicted.compute_uncertainty()


class Npy(Output):
    """Writes DIR-probabilities/NAME.npy: float32, for `numpy.load`, also memory-mapped."""

    ending = "-probabilities"

    def paths(self, name: str) -> list[Path]:
        return [file_in(self.folder, name, ".npy")]

    def write(self, predicted: PredictedImage, paths: Sequence[Path]) -> None:
        np.save(paths[0], predicted.calibrated.astype(np.float32))
