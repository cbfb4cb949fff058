"""Shows masks as pictures in notebooks."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from segkit.io.overlay import overlay, overlay_palette
from segkit.task import VOID, Task, as_task, values_of
from segkit.task.html import swatch
from segkit.task.layers import layer_of


class Picture:
    """A mask as a picture with a legend, which notebooks display.

    Attributes:
        task: The task of the mask.
        mask: The mask or target, (H, W) or (H, W, P).
        pixels: The picture, (H, W, 3) uint8.
    """

    def __init__(self, task: Task, mask: np.ndarray, pixels: np.ndarray) -> None:
        self.task = task
        self.mask = mask
        self.pixels = pixels

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        Image.fromarray(self.pixels).save(stream, "PNG")
        return stream.getvalue()

    def _repr_html_(self) -> str:
        encoded = base64.b64encode(self._repr_png_()).decode("ascii")
        palette = overlay_palette(self.task)
        legend = []
        for index in self.task.foreground:
            share = float(layer_of(self.task, self.mask, index).mean())
            name = escape(self.task.classes[index])
            legend.append(f"{swatch(palette[index])} {name} {share:.1%}")
        style = "max-width:100%;image-rendering:pixelated"
        return (
            f'<img src="data:image/png;base64,{encoded}" style="{style}" alt="mask">'
            f"<br>{' &nbsp; '.join(legend)}"
        )


def show(mask: Any, task: Task, image: Any = None) -> Picture:
    """Return a mask as a picture that a notebook displays with a legend.

    Args:
        mask: A decoded mask, as `Predictor` returns it, or a target with VOID: (H, W) or (H, W, C).
        task: The task of the mask.
        image: The image, (H, W) or (H, W, bands), to draw over; without it the mask is drawn on
            black.

    Raises:
        DataError: If the mask holds values that the task does not have.
    """
    task = as_task(task)
    values = np.asarray(mask)
    void = None
    if VOID in values_of(values):
        void = VOID
    target = task.encode(values, void=void)
    if target.ndim == 3 and not task.layered:
        target = target[..., 0]
    if image is None:
        black = np.zeros((*target.shape[:2], 3), np.uint8)
        return Picture(task, target, overlay(task, black, target, opacity=1.0))
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    return Picture(task, target, overlay(task, pixels, target))
