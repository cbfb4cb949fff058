"""Warn of images whose values have another range than those of the training images.

An example: a run was trained on values from 0 to 255, and images with values from 0 to 1 arrive.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from segkit.config import InputConfig
from segkit.errors import SegkitWarning
from segkit.inference.tiles import Predict
from segkit.inspection.input_statistics import is_dark, is_outside
from segkit.inspection.intensities import usual_values
from segkit.system.terminal import shown

MIN_DARK_IMAGES = 3
"""Fewer images may all be dark by chance."""
MAX_NAMES = 5
"""Images that the warning names."""


class OutsideImage(NamedTuple):
    """An image with values outside the range of the training images."""

    name: str
    low: float
    """The lowest usual value."""
    high: float
    """The highest usual value."""


@dataclass
class ScaleFindings:
    """The value ranges of some images. Findings of several processes can be added."""

    outside: list[OutsideImage] = field(default_factory=list)
    """The first `MAX_NAMES` images with values outside the range of the training images."""
    number_outside: int = 0
    varied: list[str] = field(default_factory=list)
    """Names of the first `MIN_DARK_IMAGES` images that have more than one value."""
    highest: float = -np.inf
    """Highest usual value of all images that have more than one value."""

    def add_outside(self, image: OutsideImage) -> None:
        """Count an image with values outside the range."""
        self.number_outside += 1
        if len(self.outside) < MAX_NAMES:
            self.outside.append(image)

    def add_varied(self, name: str, high: float) -> None:
        """Note an image, or a window of it, that has more than one value."""
        self.highest = max(self.highest, high)
        if len(self.varied) < MIN_DARK_IMAGES and name not in self.varied:
            self.varied.append(name)

    def add(self, other: ScaleFindings) -> None:
        """Add the findings of other images."""
        unnamed = other.number_outside - len(other.outside)
        for image in other.outside:
            self.add_outside(image)
        self.number_outside += unnamed
        for name in other.varied:
            self.add_varied(name, other.highest)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ScaleFindings:
        """Return the findings whose fields (`dataclasses.asdict`) were sent as JSON."""
        outside = [OutsideImage(*image) for image in values["outside"]]
        return cls(**{**values, "outside": outside})


class ScaleWatch:
    """Compares the values of images with those of the training images. Threads may share one.

    8-bit images are not compared, because they all end at 255. An image is outside the range if
    more than 0.5 % of its values are clipped by the network's scaling. Dark images, all of whose
    values are close to the lowest of the training images, may be empty; so the watch warns of
    them only if all images are dark.
    """

    def __init__(self, input_config: InputConfig) -> None:
        self.input_config = input_config
        self.findings = ScaleFindings()
        self._lock = threading.Lock()
        self._last_outside = ""

    def see(self, name: str, image: np.ndarray) -> None:
        """Compare an image, or a window of it, (H, W, C) in the dtype of the training images."""
        if self.input_config.dtype == "uint8":
            return
        low, high = usual_values(image)
        with self._lock:
            is_new = name != self._last_outside  # otherwise another window of the same image
            if is_new and is_outside(self.input_config, low, high):
                self._last_outside = name
                self.findings.add_outside(OutsideImage(name, low, high))
            if low < high:
                self.findings.add_varied(name, high)

    def watched(self, predict: Predict, name: str) -> Predict:
        """Return a predict function that also compares each window of the image called `name`."""

        def predict_watched(batch: np.ndarray) -> np.ndarray:
            for window in batch:
                self.see(name, window)
            return predict(batch)

        return predict_watched

    def warning(self) -> SegkitWarning | None:
        """Return the warning for all images so far; None if their scale is that of the training."""
        findings = self.findings
        expected = self.input_config
        trained = (
            f"the run was trained on values of about {expected.low:g} to {expected.high:g} "
            f"(input.low, input.high)"
        )
        if findings.outside:
            names = ", ".join(shown(image.name) for image in findings.outside)
            if findings.number_outside > len(findings.outside):
                names += ", ..."
            last = findings.outside[-1]
            return SegkitWarning(
                f"{findings.number_outside} images have values of another range than the training "
                f"images ({names}): {shown(last.name)} goes from {last.low:g} to {last.high:g}, "
                f"and {trained}. Bring them to the scale of the training images",
                "other-scale",
            )
        several = len(findings.varied) >= MIN_DARK_IMAGES
        if several and is_dark(expected, findings.highest):
            return SegkitWarning(
                f"no image is brighter than about {findings.highest:g}, and {trained}. If these "
                f"are not dark images, bring them to the scale of the training images",
                "other-scale",
            )
        return None
