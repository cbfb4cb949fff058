"""What the formats of microscopes have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.errors import DataError
from segkit.io.plane_addresses import IMAGE_AXIS
from segkit.system.packages import need

MICROMETRES = "µm"
PER_METRE = 1e6
"""Micrometres in a metre, in which CZI and LIF state distances."""
EXTRA = "microscopy"
"""The extra of keras-segkit that installs the readers."""


class ImageAxes(NamedTuple):
    """The axes of one image of a file."""

    lengths: Mapping[str, int]
    """The length of each axis by its letter; S are the colours of a pixel."""
    spacing: Mapping[str, tuple[Any, str]]
    """The distance of positions along axes, and its unit."""


class MicroscopeFile(ABC):
    """An open file of one or several images. Close it after use. Threads may not share it.

    Args:
        path: The file.

    Raises:
        DataError: If the package of the format is not installed.
    """

    may_have_gaps = False
    """Whether areas of a plane may not have been recorded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    @abstractmethod
    def images(self) -> Sequence[ImageAxes]:
        """The images in the order of the file."""

    @abstractmethod
    def read(
        self, image: int, position: Mapping[str, int], rows: slice, columns: slice
    ) -> np.ndarray:
        """Return an area of a plane.

        Args:
            image: The number of the image, from 0.
            position: The position, from 0, along each axis of several positions except Y, X and S.
            rows: Rows within the image, with start and stop.
            columns: Columns within the image, with start and stop.

        Returns:
            (h, w), or (h, w, S) if there are colours.
        """

    def covered(
        self, image: int, position: Mapping[str, int], rows: slice, columns: slice
    ) -> np.ndarray | None:
        """Return where an area of a plane was recorded, (h, w) bool; None if everywhere.

        The arguments are those of `read`.
        """
        return None

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    def not_recorded(self, image: int, position: Mapping[str, int]) -> DataError:
        """Return the error for a plane that the file does not hold."""
        places = [f"{IMAGE_AXIS} {image + 1}"]
        places += [f"{axis} {number + 1}" for axis, number in position.items()]
        return DataError(
            f"{self.path}: its metadata name a plane that the file does not hold, at "
            f"{', '.join(places)}; it may not have been recorded. Save the file without such "
            f"planes, or name the positions to read in data.axes",
            "pages",
        )


def reader(module: str) -> Any:
    """Import and return the package of a format.

    Raises:
        ConfigError: If it is not installed.
    """
    return need(module, EXTRA)
