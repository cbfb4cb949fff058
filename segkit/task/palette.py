"""Colours of classes."""

from __future__ import annotations

import colorsys

Colour = tuple[int, int, int]


def default_palette(classes: list[str], background: str | None) -> list[Colour]:
    """Return one colour a class: black for the background, hues a golden angle apart for the others."""
    colours: list[Colour] = []
    for i, name in enumerate(classes):
        red, green, blue = colorsys.hsv_to_rgb(
            (i * 0.381966) % 1.0, 0.85 - 0.3 * (i % 2), 1.0 - 0.25 * (i // 4 % 3)
        )
        colour = (round(red * 255), round(green * 255), round(blue * 255))
        colours.append((0, 0, 0) if name == background else colour)
    return colours
