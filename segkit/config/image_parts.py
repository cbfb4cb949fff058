"""Settings of the section `data` about images that are parts of a file: planes and levels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from segkit.config.section import Positive, Section
from segkit.errors import ConfigError

AxisLetter = Annotated[str, Field(pattern="^[A-RT-WZ]$")]
"""The letter of an axis that is no side of a flat image (X, Y) and no sample of a colour (S)."""
AxisSetting = Literal["samples", "channels"] | Positive
"""The meaning of an axis, or the number of one position along it."""
WITH_SLIDES = ("folder", "qupath")
"""Sources that read whole slides."""


class ImageParts(Section):
    """Which planes of stacks, and which level of slides, are images."""

    axes: dict[AxisLetter, AxisSetting] | None = None
    """The meaning of the further axes of OME-TIFF, ImageJ, OME-Zarr, CZI, LIF and ND2 images, as in
    {T: samples, Z: samples, C: channels}: samples if each position is an image of its own, channels
    if they are the channels of one image, or the number of the only position that is read, from 1.
    P are the images of a file of several. C is channels by default; an axis of several positions
    without a meaning is an error (source folder)."""
    microns_per_pixel: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """The side in µm of the pixels with which whole slides, and TIFFs of several levels, are read:
    the level of that size, or the mean of several pixels of a larger level; null refuses slides and
    reads a TIFF at its full size (sources folder and qupath)."""

    def check_image_parts(self, source: str, pages: str | None) -> None:
        """Check that the settings are possible.

        Args:
            source: `data.source`.
            pages: `data.pages`.

        Raises:
            ConfigError: If the source does not read such files, or two settings exclude each other.
        """
        if self.axes is not None:
            why = ""
            if source != "folder":
                why = f"is a setting of the source folder; found the source {source}"
            elif pages is not None:
                why = (
                    "and data.pages exclude each other; name the meaning of each axis in data.axes"
                )
            elif self.microns_per_pixel is not None:
                why = (
                    "and data.microns_per_pixel exclude each other: the first reads planes of "
                    "stacks at full size, the second levels of slides. Remove one of them"
                )
            if why:
                raise ConfigError(why, "contradiction", setting="data.axes")
        if self.microns_per_pixel is not None and source not in WITH_SLIDES:
            raise ConfigError(
                f"is a setting of the sources {' and '.join(WITH_SLIDES)}; found {source}",
                "contradiction",
                setting="data.microns_per_pixel",
            )
