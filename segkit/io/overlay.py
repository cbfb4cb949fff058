"""Masks drawn over images, and sheets that show pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from segkit.errors import ConfigError
from segkit.io.images import as_display
from segkit.task import Task
from segkit.task.layers import any_plane, decided_pixels, labelled_pixels, layer_of
from segkit.task.palette import Colour, default_palette

OverlayStyle = Literal["both", "fill", "outlines"]
"""How a class is drawn: tinted, outlined, or both."""
STYLES: tuple[str, ...] = get_args(OverlayStyle)

UNLABELLED = (128, 128, 128)
"""The colour of pixels without a label."""
NO_CLASS = (20, 20, 20)
"""The colour of pixels that are known to have no foreground class, where most have no label."""
FEW_LABELLED = 0.5
"""Share of labelled pixels below which a mask consists of strokes, points or the like."""
SAFE_COLOURS = (
    (213, 94, 0),  # vermilion
    (86, 180, 233),  # sky blue
    (240, 228, 66),  # yellow
    (0, 114, 178),  # blue
    (204, 121, 167),  # reddish purple
    (0, 158, 115),  # bluish green
    (230, 159, 0),  # orange
)
"""The colours of Okabe and Ito, 2008 (https://jfly.uni-koeln.de/color/).

They are ordered so that the first ones differ most.
"""

OUTLINE_PER_PIXELS = 800
"""An outline is wider by a pixel per this many pixels of the shorter side of the image."""
STRIPES_PER_SIDE = 80
LEAST_STRIPE = 3
"""The least width of a stripe in pixels; in large images it is a share of the shorter side."""

TILE = 224
"""Width of each picture in a sheet, in pixels."""
GAP = 6
TITLE_HEIGHT = 24
NAME_HEIGHT = 17
LEGEND_LINE = 20
TITLE_SIZE = 14
NAME_SIZE = 12
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def overlay(
    task: Task,
    image: np.ndarray,
    mask: np.ndarray,
    opacity: float = 0.4,
    style: OverlayStyle = "both",
    valid: np.ndarray | None = None,
    has_strokes: bool = False,
) -> np.ndarray:
    """Draw a mask over an image; colours of overlapping classes alternate in diagonal stripes.

    Args:
        task: The task of the mask. The colours are those of `overlay_palette`.
        image: The image, (H, W, channels), of any depth.
        mask: A decoded mask or a target, (H, W) or (H, W, P). VOID pixels become grey, and pixels
            with several possible classes half as grey.
        opacity: The weight of the colour in a tinted area, 0 to 1.
        style: Whether each class is tinted, outlined, or both.
        valid: Where the image has data, (H, W) bool; None if everywhere. Other pixels do not
            influence the contrast.
        has_strokes: Whether pixels that are known to have no foreground class become dark, so that
            they can be seen among pixels without a label.

    Returns:
        The picture, (H, W, 3) uint8.
    """
    picture = as_display(image, valid).astype(np.float32)
    _draw_classes(task, picture, mask, opacity, style)
    if has_strokes:
        _veil(picture, _known_absent(task, mask), 0.7, NO_CLASS)
    _veil(picture, ~labelled_pixels(mask), 0.5)
    if task.sets:
        _veil(picture, labelled_pixels(mask) & ~decided_pixels(task, mask), 0.25)
    return picture.astype(np.uint8)


def _draw_classes(
    task: Task, picture: np.ndarray, mask: np.ndarray, opacity: float, style: OverlayStyle
) -> None:
    """Draw the areas and outlines of the classes into a picture, (H, W, 3) float32, in place."""
    shorter = min(picture.shape[:2])
    stripes = _diagonal_stripes(picture, max(LEAST_STRIPE, shorter // STRIPES_PER_SIDE))
    areas = _StripedLayer(stripes)
    outlines = _StripedLayer(stripes)
    palette = overlay_palette(task)
    for index in task.foreground:
        inside = layer_of(task, mask, index)
        if style != "outlines":
            areas.add(inside, palette[index])
        if style != "fill":
            outlines.add(_outline(inside, 1 + shorter // OUTLINE_PER_PIXELS), palette[index])
    areas.blend_into(picture, opacity)
    outlines.blend_into(picture, 1.0)


def _known_absent(task: Task, mask: np.ndarray) -> np.ndarray:
    """Return the pixels that are known to have no foreground class, (H, W) bool."""
    absent = ~any_plane(~decided_pixels(task, mask))
    for index in task.foreground:
        absent &= ~layer_of(task, mask, index)
    return absent


def is_mostly_unlabelled(mask: np.ndarray) -> bool:
    """Return whether most pixels of a mask have no label, as around strokes.

    Args:
        mask: The mask or target of one image, (H, W) or (H, W, P).
    """
    if not mask.size:
        return False
    return bool(labelled_pixels(mask).mean() < FEW_LABELLED)


def _veil(
    picture: np.ndarray, area: np.ndarray, opacity: float, colour: Colour = UNLABELLED
) -> None:
    """Blend a colour into an area (H, W) of a picture, (H, W, 3) float32, in place."""
    picture[area] = (1 - opacity) * picture[area] + opacity * np.array(colour, np.float32)


def check_overlay(overlay: bool | str) -> OverlayStyle | None:
    """Return the style of the overlays that a user asks for.

    Args:
        overlay: False for none, True for the usual style, or the name of a style.

    Returns:
        The style; None if no overlays are wanted.

    Raises:
        ConfigError: If there is no such style ("unknown-name").
    """
    if overlay is True:
        return "both"
    if overlay is False:
        return None
    if overlay not in STYLES:
        message = f"unknown style {overlay!r}; known are {', '.join(STYLES)}"
        raise ConfigError(message, "unknown-name", setting="overlay")
    return overlay  # type: ignore[return-value]


def overlay_palette(task: Task) -> Sequence[Colour]:
    """Return the colours of the classes in pictures, in the order of `task.classes`.

    These are the colours that the user chose for the task. A task with the default colours gets
    `SAFE_COLOURS`, which colour-blind people can tell apart. No such colours are known for more
    classes than those; then the default colours are used.
    """
    default = default_palette(list(task.classes), task.background)
    if list(task.palette) != default or len(task.foreground) > len(SAFE_COLOURS):
        return task.palette
    colours = list(task.palette)
    for index, colour in zip(task.foreground, SAFE_COLOURS, strict=False):
        colours[index] = colour
    return colours


def legend_of(task: Task, has_strokes: bool = False) -> list[tuple[str, Colour]]:
    """Return the names and colours of what `overlay` draws.

    Args:
        task: The task.
        has_strokes: Whether most pixels of the masks are unlabelled, so that pixels of no class
            have a colour, too.
    """
    palette = overlay_palette(task)
    entries = [(task.classes[index], palette[index]) for index in task.foreground]
    if has_strokes:
        absent = _name_of_absence(task)
        if absent is not None:
            entries.append((absent, NO_CLASS))
        entries.append(("unlabelled", UNLABELLED))
    return entries


def _name_of_absence(task: Task) -> str | None:
    """Return the name of pixels without a foreground class; None if every pixel has one."""
    if task.implies_background:
        return "background"
    if task.background is None and task.can_be_nothing:
        return "none of the classes"
    return task.background


class _StripedLayer:
    """Coloured areas. Where areas overlap, the n-th area gets every n-th diagonal stripe."""

    def __init__(self, stripes: np.ndarray) -> None:
        self.stripes = stripes
        self.colours = np.zeros((*stripes.shape, 3), np.uint8)
        self.count = np.zeros(stripes.shape, np.uint8)

    def add(self, inside: np.ndarray, colour: Colour) -> None:
        """Add an area, (H, W) bool."""
        if not inside.any():
            return
        self.count += inside
        count = np.maximum(self.count, 1)
        own = inside & (self.stripes % count == count - 1)
        self.colours[own] = colour

    def blend_into(self, picture: np.ndarray, opacity: float) -> None:
        """Blend the colours into a picture, (H, W, 3) float32, in place."""
        covered = self.count > 0
        picture[covered] = (1 - opacity) * picture[covered] + opacity * self.colours[covered]


def _diagonal_stripes(picture: np.ndarray, width: int) -> np.ndarray:
    """Return the number of the diagonal stripe of each pixel of a picture, (H, W) int32."""
    rows = np.arange(picture.shape[0], dtype=np.int32)[:, None]
    columns = np.arange(picture.shape[1], dtype=np.int32)[None]
    return (rows + columns) // np.int32(width)


def _outline(inside: np.ndarray, width: int) -> np.ndarray:
    """Return the outermost pixels of an area; the border of the image is no outline."""
    if not inside.any():
        return inside
    import cv2  # takes longer to import than all of this module

    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    inner = cv2.erode(inside.astype(np.uint8), cross, iterations=width)
    return inside & (inner == 0)


def panel(
    task: Task,
    rows: Sequence[Sequence[np.ndarray]],
    titles: Sequence[str],
    names: Sequence[Sequence[str]] = (),
    has_strokes: bool = False,
) -> np.ndarray:
    """Tile pictures in one sheet, with titles above and a legend of the classes below.

    Args:
        task: The task whose classes are in the legend.
        rows: Rows of equally many RGB pictures, (H, W, 3) uint8 each.
        titles: One per column.
        names: A name per picture, which is written below it; empty strings and missing names take
            no space.
        has_strokes: As in `legend_of`.

    Returns:
        The sheet, (H, W, 3) uint8.
    """
    title_font = ImageFont.load_default(TITLE_SIZE)
    name_font = ImageFont.load_default(NAME_SIZE)
    width = len(titles) * (TILE + GAP) + GAP
    tiles = [[_fit_to_tile(picture) for picture in row] for row in rows]
    names_of_rows = [*names, *[()] * (len(rows) - len(names))]
    row_heights = []
    for row, own_names in zip(tiles, names_of_rows, strict=True):
        name_height = NAME_HEIGHT if any(own_names) else 0
        row_heights.append(max(tile.height for tile in row) + name_height + GAP)
    legend = _place_legend(legend_of(task, has_strokes), width, title_font)
    sheet = Image.new("RGB", (width, TITLE_HEIGHT + sum(row_heights) + legend.height), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        draw.text((GAP + column * (TILE + GAP), 4), title, fill="black", font=title_font)
    top = TITLE_HEIGHT
    for row, own_names, height in zip(tiles, names_of_rows, row_heights, strict=True):
        _draw_row(sheet, draw, top, row, own_names, name_font)
        top += height
    _draw_legend(draw, top, legend, title_font)
    return np.asarray(sheet)


def _draw_row(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    top: int,
    tiles: Sequence[Image.Image],
    names: Sequence[str],
    font: Font,
) -> None:
    for column, tile in enumerate(tiles):
        sheet.paste(tile, (GAP + column * (TILE + GAP), top))
    name_top = top + max(tile.height for tile in tiles) + 1
    for column, name in enumerate(names):
        text = _shorten(name, TILE, font)
        draw.text((GAP + column * (TILE + GAP), name_top), text, fill="black", font=font)


def _shorten(name: str, width: int, font: Font) -> str:
    """Return a name that fits into a width; a long name loses its beginning."""
    text = name
    for start in range(len(name)):
        if font.getlength(text) <= width:
            break
        text = f"...{name[start + 1 :]}"
    return text


class _LegendEntry(NamedTuple):
    name: str
    colour: Colour
    left: int
    line: int


class _Legend(NamedTuple):
    entries: list[_LegendEntry]
    height: int


def _place_legend(named: Sequence[tuple[str, Colour]], width: int, font: Font) -> _Legend:
    """Place names and colours in lines of a width."""
    entries = []
    left = GAP
    line = 0
    for name, colour in named:
        needed = 17 + round(font.getlength(name)) + 14
        if left > GAP and left + needed > width:
            left = GAP
            line += 1
        entries.append(_LegendEntry(name, colour, left, line))
        left += needed
    return _Legend(entries, LEGEND_LINE * (line + 1) + 2)


def _draw_legend(draw: ImageDraw.ImageDraw, top: int, legend: _Legend, font: Font) -> None:
    for entry in legend.entries:
        y = top + LEGEND_LINE * entry.line
        draw.rectangle((entry.left, y + 3, entry.left + 12, y + 15), fill=entry.colour)
        draw.text((entry.left + 17, y + 1), entry.name, fill="black", font=font)


def _fit_to_tile(picture: np.ndarray) -> Image.Image:
    image = Image.fromarray(picture)
    scale = TILE / image.width
    resampling = Image.Resampling.BOX
    if scale > 1:
        resampling = Image.Resampling.NEAREST
    return image.resize((TILE, max(1, round(image.height * scale))), resampling)
