"""Masks as pictures in notebooks."""

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
    """A mask as a notebook shows it: a picture and a legend.

    `pixels` is the picture, (H, W, 3) uint8.
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
        legend = []
        for index in self.task.foreground:
            share = float(layer_of(self.task, self.mask, index).mean())
            legend.append(
                f"{swatch(overlay_palette(self.task)[index])} {escape(self.task.classes[index])} {share:.1%}"
            )
        return (
            f'<img src="data:image/png;base64,{encoded}" style="max-width:100%;image-rendering:pixelated" alt="mask">'
            f"<br>{' &nbsp; '.join(legend)}"
        )


def show(mask: Any, task: Task, image: Any = None) -> Picture:
    """Return a mask as a picture, which a notebook displays with a legend.

    Args:
        mask: A decoded mask, as `Predictor` returns it, or a target with VOID: (H, W) or (H, W, C).
        task: What a pixel can be.
        image: The image (H, W, bands) to draw over; without it the mask is drawn on black.

    Raises:
        DataError: If the mask is none of this task.
    """
    task = as_task(task)
    values = np.asarray(mask)
    void = VOID if VOID in values_of(values) else None
    target = task.encode(values, void=void)
    shown = target[..., 0] if target.ndim == 3 and not task.layered else target
    if image is None:
        return Picture(
            task,
            shown,
            overlay(task, np.zeros((*shown.shape[:2], 3), np.uint8), shown, opacity=1.0),
        )
    pixels = np.asarray(image)
    return Picture(
        task, shown, overlay(task, pixels[..., None] if pixels.ndim == 2 else pixels, shown)
    )
