"""Whether images have the scale of those that a run was trained on: values from 0 to 255 are not values from 0 to 1."""

from __future__ import annotations

import threading

import numpy as np

from segkit.config import InputConfig
from segkit.errors import SegkitWarning
from segkit.inference.tiles import Predict
from segkit.inspection.input_statistics import is_dark, is_outside
from segkit.inspection.intensities import usual_values
from segkit.system.terminal import shown

LEAST = 3
"""Images from which all of them being dark says something; one or two may be dark."""
SHOWN = 5
"""Images that are named."""


class ScaleWatch:
    """Looks at images on their way to the network. Threads may share it.

    Nothing is said of 8-bit images, which all end at 255. An image is too bright, or too dark, if more than 0.5 % of its
    values lie outside what the model tells apart. That all values are close to the lowest may be so in an empty image, so
    it is said of all images together or not at all.
    """

    def __init__(self, given: InputConfig) -> None:
        self.given = given
        self._lock = threading.Lock()
        self._outside: list[str] = []
        """Names of the first `SHOWN` images that lie outside."""
        self._number_outside = 0
        self._last_outside = ""
        self._values_outside = (0.0, 0.0)
        self._not_flat: set[str] = set()
        """Names of the first `LEAST` images of more than one value."""
        self._highest = -np.inf

    def see(self, name: str, image: np.ndarray) -> None:
        """Look at an image, or at a window of it, (H, W, B) in the dtype of the training images."""
        if self.given.dtype == "uint8":
            return
        low, high = usual_values(image)
        with self._lock:
            if is_outside(self.given, low, high):
                self._note_outside(name, low, high)
            if low < high:
                self._highest = max(self._highest, high)
                if len(self._not_flat) < LEAST:
                    self._not_flat.add(name)

    def _note_outside(self, name: str, low: float, high: float) -> None:
        if name == self._last_outside:  # another window of the same image
            return
        self._last_outside = name
        self._number_outside += 1
        if len(self._outside) < SHOWN:
            self._outside.append(name)
            self._values_outside = (low, high)

    def watched(self, predict: Predict, name: str) -> Predict:
        """Return the network, which now shows this watch every window of the image of that name that it predicts."""

        def predict_seen(batch: np.ndarray) -> np.ndarray:
            for window in batch:
                self.see(name, window)
            return predict(batch)

        return predict_seen

    def warning(self) -> SegkitWarning | None:
        """Return what is to be said of all images that were seen; None if nothing is."""
        given = self.given
        trained = f"the run was trained on values of about {given.low:g} to {given.high:g} (input.low, input.high)"
        if self._outside:
            names = ", ".join(map(shown, self._outside)) + (
                ", ..." if self._number_outside > SHOWN else ""
            )
            low, high = self._values_outside
            return SegkitWarning(
                f"{self._number_outside} images have values of another range than the training images ({names}): "
                f"{shown(self._outside[-1])} goes from {low:g} to {high:g}, and {trained}. Bring them to the scale of the "
                f"training images",
                "other-scale",
            )
        if len(self._not_flat) >= LEAST and is_dark(given, self._highest):
            return SegkitWarning(
                f"no image is brighter than about {self._highest:g}, and {trained}. If these are not dark "
                f"images, bring them to the scale of the training images",
                "other-scale",
            )
        return None
