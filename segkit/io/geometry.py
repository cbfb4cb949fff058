"""The physical size and place of an image: `Geometry`, which every reader may fill in."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

METRES = {"nm": 1e-9, "µm": 1e-6, "mm": 1e-3, "cm": 1e-2, "m": 1.0, "km": 1e3}
"""The units of length by name, in metres."""
SPELLINGS = {
    "nanometer": "nm",
    "nanometre": "nm",
    "um": "µm",
    "\u03bcm": "µm",  # the Greek letter instead of the micro sign
    "micron": "µm",
    "micrometer": "µm",
    "micrometre": "µm",
    "millimeter": "mm",
    "millimetre": "mm",
    "centimeter": "cm",
    "centimetre": "cm",
    "meter": "m",
    "metre": "m",
    "kilometer": "km",
    "kilometre": "km",
}
"""Other names of the units, in the singular."""
AREA = re.compile(r"(?P<value>[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?) *(?P<unit>[^\W\d_]+)[2²]")
"""A number and the square of a unit, as in "12 mm2"."""


def as_unit(name: Any) -> str | None:
    """Return the unit of `METRES` that a file or a user calls `name`; None if there is none.

    >>> as_unit("microns"), as_unit("um"), as_unit("pixel")
    ('µm', 'µm', None)
    """
    text = str(name).strip()
    for spelling in (text, text.lower(), text.lower().removesuffix("s")):
        unit = SPELLINGS.get(spelling, spelling)
        if unit in METRES:
            return unit
    return None


class Area(NamedTuple):
    """An area such as 12 mm²."""

    value: float
    """0 or more."""
    unit: str
    """A key of `METRES`; the area is in its square."""

    @classmethod
    def parse(cls, text: str) -> Area | None:
        """Return the area that a text states; None if it states none.

        >>> Area.parse("12 mm2"), Area.parse("0.5 um²"), Area.parse("12 mm")
        (Area(value=12.0, unit='mm'), Area(value=0.5, unit='µm'), None)
        """
        found = AREA.fullmatch(text.strip())
        unit = as_unit(found["unit"]) if found else None
        if found is None or unit is None:
            return None
        value = float(found["value"])
        return cls(value, unit) if math.isfinite(value) else None

    def __str__(self) -> str:
        return f"{self.value:.12g} {self.unit}2"

    @property
    def square_metres(self) -> float:
        """The area in m²."""
        return self.value * METRES[self.unit] ** 2

    def pixels(self, size: tuple[float, float], unit: str) -> int:
        """Return the smallest number of pixels that cover the area.

        Args:
            size: Height and width of a pixel.
            unit: Their unit, a key of `METRES`.

        >>> Area(2, "mm").pixels((0.5, 0.5), "mm"), Area(2.1, "mm").pixels((500, 500), "µm")
        (8, 9)
        """
        of_a_pixel = size[0] * size[1] * METRES[unit] ** 2
        exact = self.square_metres / of_a_pixel
        nearest = round(exact)
        if math.isclose(exact, nearest, rel_tol=1e-9):  # a rounded product is no further pixel
            return nearest
        return math.ceil(exact)


class Georeference(NamedTuple):
    """The transformation from pixels to a map."""

    transform: tuple[float, float, float, float, float, float]
    """(a, b, c, d, e, f), in the order of `affine.Affine` and rasterio: the pixel corner at column
    x and row y, with y down, lies at (a x + b y + c, d x + e y + f) on the map."""
    crs: str | None = None
    """The coordinate system, "EPSG:32632" or its WKT; None if it is unknown."""

    @property
    def matrix(self) -> np.ndarray:
        """The transformation as a matrix (2, 3) float64 of (x, y, 1)."""
        return np.array(self.transform, float).reshape(2, 3)

    @property
    def epsg(self) -> int | None:
        """The EPSG code of the coordinate system; None if it has none."""
        authority, _, code = (self.crs or "").partition(":")
        if authority.upper() == "EPSG" and code.isdecimal():
            return int(code)
        return None

    def __call__(self, points: Any) -> np.ndarray:
        """Return pixel corners (N, 2) in the coordinates of the map, (N, 2) float64."""
        matrix = self.matrix
        return np.asarray(points, float) @ matrix[:, :2].T + matrix[:, 2]


@dataclass(frozen=True)
class Geometry:
    """The physical size and place of the pixels of one image, as its file states them.

    A reader of a file format makes it by `Geometry.measured` and passes it on as
    `Sample.geometry`. The rules for readers:

    * Fill in only what the file states as a measurement. The defaults of displays and printers
      (72 dpi) are none. What is unknown stays None; a sample without any of it has no Geometry.
    * `pixel_size` is (height, width) of the pixels of `Sample.image`, after it was turned upright
      and after a pyramid level was chosen. It is a length. A map in degrees has none, only a
      `georeference`.
    * `georeference` belongs to the same pixels. Leave it out where the image was turned.
    * `orientation` is for scans (DICOM, NIfTI).
    * `read_from` is how `segkit inspect` calls the place: "the DICOM header".

    Examples:
        DICOM: `Geometry.measured(*dataset.PixelSpacing, "mm", read_from="the DICOM header")`;
        slides: `Geometry.measured(mpp_y, mpp_x, "µm", read_from="the slide's header")`;
        rasterio: `Geometry.measured(height, width, "m", georeference=Georeference(
        tuple(src.transform)[:6], src.crs.to_string()), read_from="the GeoTIFF header")`.
    """

    pixel_size: tuple[float, float] | None = None
    """Height and width of a pixel in `unit`, above 0; None if they are unknown."""
    unit: str | None = None
    """A key of `METRES`; None if and only if `pixel_size` is None."""
    georeference: Georeference | None = None
    """Where the pixels lie on a map; None if the image lies on no map."""
    orientation: str | None = None
    """The directions towards which the rows' index, the columns' index and, if there is one, the
    slices' index grow: one of L R A P S I for each, like nibabel's `aff2axcodes`; "PLS" for an
    axial scan. None if it is unknown."""
    read_from: str = ""
    """The place in the file that states the pixel size, for people; empty if there is none."""

    @classmethod
    def measured(
        cls,
        height: Any,
        width: Any,
        unit: Any,
        *,
        georeference: Georeference | None = None,
        orientation: str | None = None,
        read_from: str = "",
    ) -> Geometry | None:
        """Return the geometry of a file, of which values may be missing or make no sense.

        Args:
            height: Height of a pixel in `unit`, in any type; its sign is ignored.
            width: Width of a pixel in `unit`.
            unit: The unit as the file spells it. An unknown one means that the size is unknown.
            georeference: Where the pixels lie on a map.
            orientation: The orientation of a scan.
            read_from: The place in the file that states the size.

        Returns:
            The geometry; None if nothing is known.
        """
        known_unit = as_unit(unit)
        rows = _length(height)
        columns = _length(width)
        if known_unit is None or rows is None or columns is None:
            if georeference is None and orientation is None:
                return None
            return cls(georeference=georeference, orientation=orientation)
        return cls((rows, columns), known_unit, georeference, orientation, read_from)

    def size_in(self, unit: str) -> tuple[float, float] | None:
        """Return the height and width of a pixel in a unit of `METRES`; None if unknown."""
        if self.pixel_size is None or self.unit is None:
            return None
        factor = METRES[self.unit] / METRES[unit]
        return self.pixel_size[0] * factor, self.pixel_size[1] * factor

    def area_moved(self, row: int, column: int) -> Geometry:
        """Return the geometry of an area of the image.

        Args:
            row: First row of the area.
            column: First column of the area.
        """
        if self.georeference is None:
            return self
        a, b, c, d, e, f = self.georeference.transform
        moved = (a, b, c + a * column + b * row, d, e, f + d * column + e * row)
        return replace(self, georeference=self.georeference._replace(transform=moved))


def _length(value: Any) -> float | None:
    """Return a length above 0; None if the value is none."""
    try:
        length = abs(float(value))
    except (TypeError, ValueError):
        return None
    if not 0 < length < math.inf:
        return None
    return length
