"""Which objects are written, and how their polygons are thinned: --smallest and --simplify."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from segkit import catalog
from segkit.data.pixel_size import PixelSize
from segkit.errors import ConfigError, DataError
from segkit.io.geometry import Area
from segkit.system.packages import need

SMALLEST = "--smallest"
SIMPLIFY = "--simplify"


class ShapeOptions(NamedTuple):
    """How objects and polygons are written; the masks do not depend on it."""

    smallest: int | str = 0
    """Smaller objects are left out: a number of pixels, or an area such as "20 m2"."""
    simplify: float = 0.0
    """The distance in pixels up to which the line of a polygon may move when points are removed."""

    @classmethod
    def parse(cls, smallest: int | str, simplify: float) -> ShapeOptions:
        """Return the options of a command.

        Args:
            smallest: A number of pixels, as a number or a text, or an area such as "20 m2".
            simplify: A distance in pixels.

        Raises:
            ConfigError: For other values, or if shapely is needed and not installed.
        """
        if isinstance(smallest, str) and smallest.strip().isdecimal():
            smallest = int(smallest)
        area = None
        if isinstance(smallest, str):
            area = Area.parse(smallest)
        if area is None and (isinstance(smallest, str) or smallest < 0):
            raise ConfigError(
                f"a number of pixels from 0 on, or an area such as '20 m2'; found {smallest}",
                setting=SMALLEST,
            )
        if not 0 <= simplify < math.inf:
            raise ConfigError(
                f"a distance in pixels from 0 on; found {simplify:g}", setting=SIMPLIFY
            )
        if simplify > 0:
            need("shapely", "geo")
        return cls(smallest, simplify)

    def smallest_in_pixels(self, size: PixelSize | None, where: str) -> int:
        """Return the smallest object in pixels.

        Args:
            size: The size of the image's pixels; None if it is unknown.
            where: The image, for the message.

        Raises:
            DataError: If an area is wanted, and the size or its unit is unknown.
        """
        if isinstance(self.smallest, int):
            return self.smallest
        area = Area.parse(self.smallest)
        assert area is not None  # the option was checked
        if size is None or size.unit is None:
            raise DataError(
                f"{where}: {SMALLEST} {self.smallest} is an area, but the size of the pixels is "
                f"unknown; use a number of pixels, or set data.pixel_size and data.pixel_unit",
                "pixel-size",
            )
        return area.pixels(size.size, size.unit)


ALL_SHAPES = ShapeOptions()
"""All objects, with all points."""


def check_shapes(shapes: ShapeOptions, formats: Sequence[str]) -> None:
    """Check that options change a file.

    Args:
        shapes: The options.
        formats: Names of `catalog.ALL_OUTPUTS`.

    Raises:
        ConfigError: If none of the formats has objects, or polygons to thin.
    """
    kinds = [catalog.load_part(catalog.ALL_OUTPUTS, name) for name in formats]
    if shapes.smallest and not any(kind.has_objects for kind in kinds):
        raise ConfigError(
            "removes small objects from the files of --format, and none of objects is chosen; "
            "add one, such as --format geojson. For masks set decode.smallest in the config",
            "missing-setting",
            setting=SMALLEST,
        )
    if shapes.simplify and not any(kind.has_polygons for kind in kinds):
        raise ConfigError(
            "thins polygons, and no format of polygons is chosen; add one, such as --format "
            "geojson",
            "missing-setting",
            setting=SIMPLIFY,
        )
