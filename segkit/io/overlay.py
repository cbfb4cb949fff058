"""Masks drawn over images, and panels to look at them side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from segkit.io.images import as_display
from segkit.task import Task
from segkit.task.layers import labelled_pixels, layer_of

UNLABELLED = (128, 128, 128)


def overlay(task: Task, image: np.ndarray, mask: np.ndarray, opacity: float = 0.4) -> np.ndarray:
    """Return the image (H, W, 3) uint8 with each foreground class tinted and outlined in its palette colour.

    `mask` is a decoded mask, or a target: VOID pixels become grey.
    """
    shown = as_display(image).astype(np.float32)
    for index in task.foreground:
        inside = layer_of(task, mask, index)
        colour = np.array(task.palette[index], np.float32)
        shown[inside] = (1 - opacity) * shown[inside] + opacity * colour
        shown[inside & ~_eroded(inside)] = colour
    void = ~labelled_pixels(mask)
    shown[void] = 0.5 * shown[void] + 0.5 * np.array(UNLABELLED, np.float32)
    return shown.astype(np.uint8)


def panel(task: Task, rows: Sequence[Sequence[np.ndarray]], titles: Sequence[str]) -> np.ndarray:
    """Return rows of equally many RGB pictures as one (H, W, 3) uint8 picture, with titles above and a legend below."""
    size, gap = 224, 6
    font = ImageFont.load_default(14)
    columns = len(titles)
    width = columns * (size + gap) + gap
    heights = [max(_fitted(picture, size).height for picture in row) for row in rows]
    legend = [(task.classes[i], task.palette[i]) for i in task.foreground]
    places, legend_height = _legend_places(legend, width, font)
    sheet = Image.new("RGB", (width, 24 + sum(heights) + gap * len(rows) + legend_height), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        draw.text((gap + column * (size + gap), 4), title, fill="black", font=font)
    top = 24
    for row, height in zip(rows, heights, strict=True):
        for column, picture in enumerate(row):
            sheet.paste(_fitted(picture, size), (gap + column * (size + gap), top))
        top += height + gap
    for (name, colour), (left, line) in zip(legend, places, strict=True):
        y = top + 20 * line
        draw.rectangle((left, y + 3, left + 12, y + 15), fill=colour)
        draw.text((left + 17, y + 1), name, fill="black", font=font)
    return np.asarray(sheet)


def _legend_places(
    legend: Sequence[tuple[str, object]],
    width: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> tuple[list[tuple[int, int]], int]:
    places, left, line = [], 6, 0
    for name, _ in legend:
        needed = 17 + round(font.getlength(name)) + 14
        if left > 6 and left + needed > width:
            left, line = 6, line + 1
        places.append((left, line))
        left += needed
    return places, 20 * (line + 1) + 2


def _fitted(picture: np.ndarray, size: int) -> Image.Image:
    image = Image.fromarray(picture)
    scale = size / image.width
    return image.resize(
        (size, max(1, round(image.height * scale))),
        Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX,
    )


def _eroded(inside: np.ndarray) -> np.ndarray:
    """Return the pixels whose four neighbours lie inside too; beyond the border counts as inside."""
    padded = np.pad(inside, 1, constant_values=True)
    return inside & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
