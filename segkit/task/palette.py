"""Colours of classes."""

from __future__ import annotations

import colorsys

Colour = tuple[int, int, int]
"""Red, green and blue from 0 to 255."""
GOLDEN_ANGLE = 0.381966
"""Step between the hues of two classes, as a share of the colour circle."""


def default_palette(classes: list[str], background: str | None) -> list[Colour]:
    """Return one colour per class.

    The background is black. The hues of the other classes are a golden angle apart.

    Args:
        classes: The names of the classes.
        background: The class that is the background; None for none.
    """
    colours: list[Colour] = []
    for i, name in enumerate(classes):
        if name == background:
            colours.append((0, 0, 0))
            continue
        hue = (i * GOLDEN_ANGLE) % 1.0
        saturation = 0.85 - 0.3 * (i % 2)
        brightness = 1.0 - 0.25 * (i // 4 % 3)
        red, green, blue = colorsys.hsv_to_rgb(hue, saturation, brightness)
        colours.append((round(red * 255), round(green * 255), round(blue * 255)))
    return colours
