"""The section `augment`: random changes of training samples."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from segkit.config.section import Section, Share


class AugmentConfig(Section):
    """Random changes of training samples. Each is off at 0 or false; new mask pixels are VOID."""

    flip_horizontal: bool = True
    flip_vertical: bool = False
    rotate: Annotated[float, Field(ge=0, le=180)] = 15.0
    """Largest turn either way, degrees."""
    scale: Share = 0.2
    """Largest change of size: 0.2 is 1/1.2 to 1.2 times."""
    elastic: Annotated[float, Field(ge=0)] = 0.0
    """Largest displacement of a smooth random warp, pixels."""
    brightness: Share = 0.15
    contrast: Share = 0.15
    gamma: Share = 0.0
    noise: Share = 0.0
    """Largest standard deviation of Gaussian noise, as a share of the intensity range."""
    blur: Annotated[float, Field(ge=0)] = 0.0
    """Largest standard deviation of a Gaussian blur, pixels."""

    @property
    def flips(self) -> bool:
        """Whether images are mirrored."""
        return self.flip_horizontal or self.flip_vertical
