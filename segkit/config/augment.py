"""The section `augment`: random changes of training samples."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from segkit.config.section import Section, Share


class AugmentConfig(Section):
    """Random changes of training samples, each of which is off at 0 or false.

    Mask pixels outside the original image become VOID.
    """

    flip_horizontal: bool = True
    """Whether half of the samples are mirrored left to right."""
    flip_vertical: bool = False
    """Whether half of the samples are mirrored top to bottom."""
    rotate: Annotated[float, Field(ge=0, le=180)] = 15.0
    """The largest rotation in degrees, in both directions."""
    scale: Share = 0.2
    """The largest change of size: 0.2 means a factor from 1/1.2 to 1.2."""
    elastic: Annotated[float, Field(ge=0)] = 0.0
    """The largest displacement of a smooth random deformation, in pixels."""
    brightness: Share = 0.15
    """The largest change of brightness, in both directions, as a share of the intensity range."""
    contrast: Share = 0.15
    """The largest change of contrast: 0.15 means a factor from 0.85 to 1.15."""
    gamma: Share = 0.0
    """The largest change of a gamma correction: 0.2 means an exponent from 0.8 to 1.2."""
    noise: Share = 0.0
    """The largest standard deviation of Gaussian noise, as a share of the intensity range."""
    blur: Annotated[float, Field(ge=0)] = 0.0
    """The largest standard deviation of a Gaussian blur, in pixels."""

    @property
    def flips(self) -> bool:
        """Whether images are mirrored."""
        return self.flip_horizontal or self.flip_vertical

    @property
    def changes_intensities(self) -> bool:
        """Whether brightness, contrast, gamma, noise or blur change."""
        changes = (self.brightness, self.contrast, self.gamma, self.noise, self.blur)
        return any(change > 0 for change in changes)
