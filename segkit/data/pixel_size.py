"""The pixel sizes of images: by the setting `data.pixel_size`, or by the headers of their files.

The setting is used for all images if it is set. Otherwise the files are believed, if all of them
state a size; sizes may differ from image to image, and their units are converted to one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from segkit.config import DataConfig
from segkit.data.sources.source import Subset, geometry_of
from segkit.errors import DataError, SegkitWarning
from segkit.io.geometry import METRES, Geometry

PIXELS = "pixels"
"""The unit of distances in images without a known size."""
SETTING = "data.pixel_size"
ALIKE = 0.01
"""The relative difference up to which two pixel sizes are the same."""
Size = tuple[float, float]
"""Height and width of a pixel."""


class PixelSize(NamedTuple):
    """The size of the pixels of one image."""

    size: Size
    """Height and width in `unit`."""
    unit: str | None
    """A key of `METRES`; None if only `data.pixel_size` is set, without `data.pixel_unit`."""


class PixelSizes(NamedTuple):
    """The sizes of the pixels of several images, in one unit."""

    sizes: Mapping[str, Size]
    """Height and width in `unit`, by name; empty if distances are in pixels."""
    unit: str | None
    """A key of `METRES`, "pixels", or None for the unit that `data.pixel_size` does not name."""
    read_from: str
    """The origin of the sizes, for people: "data.pixel_size" or "the GeoTIFF headers"."""
    warnings: tuple[SegkitWarning, ...] = ()

    @property
    def from_files(self) -> bool:
        """Whether the sizes are those that the files state."""
        return bool(self.sizes) and self.read_from != SETTING

    def of(self, name: str) -> Size:
        """Return height and width of a pixel of the image called `name`; (1, 1) for pixels."""
        if not self.sizes:
            return 1.0, 1.0
        return self.sizes[name]

    def median(self) -> Size:
        """Return the medians of heights and widths; (1, 1) for pixels."""
        if not self.sizes:
            return 1.0, 1.0
        height, width = np.median(list(self.sizes.values()), axis=0).tolist()
        return height, width

    def differ(self) -> bool:
        """Return whether two images differ by more than `ALIKE`."""
        median = self.median()
        return any(not _alike(size, median) for size in self.sizes.values())


IN_PIXELS = PixelSizes({}, PIXELS, "")
"""What is known of images without a size: distances are in pixels."""


def pixel_size_of(data: DataConfig, geometry: Geometry | None) -> PixelSize | None:
    """Return the pixel size of one image: by the setting, else by its file; None if unknown.

    Args:
        data: The section `data`.
        geometry: What the image's file states.
    """
    if data.pixel_size is not None:
        return PixelSize(data.pixel_size, data.pixel_unit)
    if geometry is None or geometry.pixel_size is None:
        return None
    return PixelSize(geometry.pixel_size, geometry.unit)


def pixel_size_of_new(data: DataConfig, geometry: Geometry | None) -> PixelSize | None:
    """Return the pixel size of an image that is no sample of the data set; None if unknown.

    Its own file comes first, because `data.pixel_size` describes the data set.
    """
    if geometry is not None and geometry.pixel_size is not None:
        return PixelSize(geometry.pixel_size, geometry.unit)
    return pixel_size_of(data, None)


def find_geometries(part: Subset) -> dict[str, Geometry | None]:
    """Return what the file of each image of a part states, by name.

    Samples that cannot be read state nothing.
    """
    geometries = {}
    for name in part.names:
        try:
            geometries[name] = geometry_of(part.source, name)
        except DataError:  # reading the sample raises the same error
            geometries[name] = None
    return geometries


def common_sizes(data: DataConfig, geometries: Mapping[str, Geometry | None]) -> PixelSizes:
    """Return the pixel sizes of several images in one unit.

    Args:
        data: The section `data`.
        geometries: What the file of each image states, by name.
    """
    if data.pixel_size is not None:
        sizes = dict.fromkeys(geometries, data.pixel_size)
        warnings = _contradictions(data, geometries)
        return PixelSizes(sizes, data.pixel_unit, SETTING, warnings)
    known: dict[str, Geometry] = {}
    for name, geometry in geometries.items():
        if geometry is not None and geometry.pixel_size is not None:
            known[name] = geometry
    if not known:
        return IN_PIXELS
    if len(known) < len(geometries):
        return IN_PIXELS._replace(warnings=(_incomplete(known, len(geometries)),))
    unit = _usual([str(geometry.unit) for geometry in known.values()])
    read_from = _usual([geometry.read_from for geometry in known.values()])
    in_one_unit = {}
    for name, geometry in known.items():
        size = geometry.size_in(unit)
        assert size is not None
        in_one_unit[name] = size
    return PixelSizes(in_one_unit, unit, read_from)


def _usual(values: list[str]) -> str:
    """Return the most frequent value, of equally frequent ones the first."""
    return Counter(values).most_common(1)[0][0]


def _incomplete(known: Mapping[str, Geometry], total: int) -> SegkitWarning:
    return SegkitWarning(
        f"the files of {len(known)} images state the size of their pixels, and those of "
        f"{total - len(known)} do not, so distances are in pixels. Set data.pixel_size and "
        f"data.pixel_unit if all images have the same size",
        "pixel-size",
    )


def _contradictions(
    data: DataConfig, geometries: Mapping[str, Geometry | None]
) -> tuple[SegkitWarning, ...]:
    """Return a warning if files state another size than `data.pixel_size`."""
    other: dict[str, Geometry] = {}
    for name, geometry in geometries.items():
        if geometry is not None and contradicts(data, geometry):
            other[name] = geometry
    if not other:
        return ()
    name, first = next(iter(other.items()))
    return (
        SegkitWarning(
            f"data.pixel_size is {size_in_words(data.pixel_size or (1, 1), data.pixel_unit)}, but "
            f"the files of {len(other)} images state another size ({name}: "
            f"{size_in_words(first.pixel_size or (1, 1), first.unit)}, from {first.read_from}). "
            f"The setting is used. Remove data.pixel_size if the files are right",
            "pixel-size",
        ),
    )


def contradicts(data: DataConfig, geometry: Geometry) -> bool:
    """Return whether a file states a size that differs from `data.pixel_size` by more than 1 %.

    Without `data.pixel_unit` the setting contradicts a size only if it does in every unit.
    """
    if data.pixel_size is None or geometry.pixel_size is None:
        return False
    units = [data.pixel_unit] if data.pixel_unit else list(METRES)
    for unit in units:
        size = geometry.size_in(unit)
        if size is not None and _alike(size, data.pixel_size):
            return False
    return True


def _alike(one: Size, other: Size) -> bool:
    differences = [abs(a - b) / b for a, b in zip(one, other, strict=True)]
    return max(differences) <= ALIKE


def size_in_words(size: Size, unit: str | None) -> str:
    """Return a pixel size as people write it.

    >>> size_in_words((0.5, 0.5), "m"), size_in_words((3, 0.7), "mm"), size_in_words((1, 1), None)
    ('0.5 m per pixel', '3 x 0.7 mm per pixel (height x width)', '1 per pixel')
    """
    height, width = size
    of_unit = f" {unit}" if unit else ""
    if _alike((height, height), (height, width)):
        return f"{height:.4g}{of_unit} per pixel"
    return f"{height:.4g} x {width:.4g}{of_unit} per pixel (height x width)"
