"""The meaning of the axes of stacks for one prediction (`--axes`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segkit.config import RunConfig
from segkit.config.image_parts import ImageParts
from segkit.errors import ConfigError
from segkit.io.plane_addresses import Axes
from segkit.io.yaml_text import parse_yaml

SETTING = "--axes"


def parse_axes(axes: Mapping[str, Any] | str | None) -> Axes | None:
    """Return the meaning of axes, which has the form of `data.axes`.

    Args:
        axes: A mapping, or its text as "T: samples, Z: 3", with or without braces; None for the
            meaning that a run was trained with.

    Raises:
        ConfigError: If it is no such mapping.

    >>> parse_axes("T: samples, Z: 3"), parse_axes({"Z": "channels"})
    ({'T': 'samples', 'Z': 3}, {'Z': 'channels'})
    """
    if axes is None:
        return None
    stated: Any = axes
    try:
        if isinstance(axes, str):
            text = axes.strip()
            stated = parse_yaml(text if text.startswith("{") else f"{{{text}}}")
        if not isinstance(stated, Mapping):
            raise ConfigError("is no mapping of axes to their meanings")
        return ImageParts(axes=dict(stated)).axes
    except ConfigError as problem:
        raise ConfigError(
            f"has the form of data.axes, such as 'T: samples, Z: 3'; found {axes!r} ({problem})",
            "wrong-value",
            setting=SETTING,
        ) from problem


def with_axes(config: RunConfig, axes: Axes | None) -> RunConfig:
    """Return the config of a run with the meaning of axes instead of its own; None keeps that.

    `data.pages` of the run does not apply then, as the two settings exclude each other.

    Raises:
        ConfigError: If the run reads levels of slides, whose pixels have another size than planes.
    """
    if axes is None:
        return config
    if config.data.microns_per_pixel is not None:
        raise ConfigError(
            "reads planes at full size, and this run was trained on pixels of "
            f"{config.data.microns_per_pixel:g} µm (data.microns_per_pixel in its config.yaml)",
            "contradiction",
            setting=SETTING,
        )
    data = config.data.model_copy(update={"axes": axes, "pages": None})
    return config.model_copy(update={"data": data})
