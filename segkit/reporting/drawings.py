"""Pictures of an image, its masks and its errors, small enough to be part of a page."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from segkit.evaluation.counts import Layers, split_layers
from segkit.evaluation.measurements import Scene
from segkit.html.page import data_url
from segkit.io.images import as_display
from segkit.io.overlay import SAFE_COLOURS, UNLABELLED, is_mostly_unlabelled, overlay
from segkit.task import Task
from segkit.task.layers import labelled_pixels

MISSED = SAFE_COLOURS[1]
INVENTED = SAFE_COLOURS[0]
CONFUSED = SAFE_COLOURS[2]
FINER = 2
"""Masks are drawn this many times as large as they are shown, so that thin ones stay visible."""
DARKER = 0.6
"""Brightness of an image below its errors."""
LOSSLESS = 128
"""Pictures up to this side, in pixels, are stored without loss."""
QUALITIES = (88, 70, 45)
"""Qualities of JPEG, tried one after the other until a picture is small enough."""


class Errors(NamedTuple):
    """Wrong pixels of an image, each (H, W) bool; no pixel is in two of them."""

    missed: np.ndarray
    """A foreground class is missing, and none is predicted instead."""
    invented: np.ndarray
    """A foreground class is predicted where there is none."""
    confused: np.ndarray
    """One foreground class is predicted in the place of another."""


class Drawing(NamedTuple):
    """The pictures of one image as data URLs, all of the same size."""

    image: str
    truth: str
    prediction: str
    errors: str
    width: int
    """Width of the pictures in pixels."""
    height: int


def find_errors(task: Task, layers: Layers) -> Errors:
    """Return the wrong pixels of an image by their kind.

    Args:
        task: The task.
        layers: The layers of the image; pixels without a label are left out.
    """
    missing = np.zeros(layers.truth[0].shape, bool)
    wrong = np.zeros_like(missing)
    for label in task.foreground:
        missing |= layers.truth[label] & ~layers.predicted[label]
        wrong |= layers.predicted[label] & ~layers.truth[label]
    return Errors(missing & ~wrong, wrong & ~missing, missing & wrong)


def draw_scene(task: Task, scene: Scene, side: int, most_bytes: int) -> Drawing:
    """Draw an image, its true and its predicted mask, and its errors.

    Args:
        task: The task of the masks.
        scene: The image with its masks, from `reduced`.
        side: Longest side of a picture in pixels. Smaller images keep their size.
        most_bytes: Largest size of the file of a picture. Quality and then size are reduced until
            it fits.
    """
    image = scene.image
    pictures = [
        image,
        overlay(task, image, scene.target, has_strokes=is_mostly_unlabelled(scene.target)),
        overlay(task, image, scene.mask),
        _draw_errors(task, scene),
    ]
    size = _size_within(image.shape[1], image.shape[0], side)
    urls = [_encode(Image.fromarray(picture), size, most_bytes) for picture in pictures]
    return Drawing(urls[0], urls[1], urls[2], urls[3], width=size[0], height=size[1])


def reduced(scene: Scene, side: int) -> Scene:
    """Return a scene in the size that `draw_scene` needs, whose image is a picture (H, W, 3) uint8.

    Args:
        scene: The image with its masks.
        side: Longest side of a picture, pixels.
    """
    step = max(1, max(scene.target.shape[:2]) // (FINER * side))
    return Scene(
        scene.name,
        as_display(scene.image[::step, ::step]),
        scene.target[::step, ::step].copy(),
        scene.mask[::step, ::step].copy(),
    )


def _draw_errors(task: Task, scene: Scene) -> np.ndarray:
    """Return the errors in colours on a dark grey image, (H, W, 3) uint8."""
    grey = np.asarray(Image.fromarray(scene.image).convert("L"), np.float32) * DARKER
    picture = np.repeat(grey.astype(np.uint8)[..., None], 3, axis=-1)
    picture[~labelled_pixels(scene.target)] = UNLABELLED
    errors = find_errors(task, split_layers(task, scene.target, scene.mask))
    for wrong, colour in zip(errors, (MISSED, INVENTED, CONFUSED), strict=True):
        picture[wrong] = colour
    return picture


def _size_within(width: int, height: int, side: int) -> tuple[int, int]:
    """Return the size of a picture whose longest side is at most `side`."""
    scale = min(1.0, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _encode(picture: Image.Image, size: tuple[int, int], most_bytes: int) -> str:
    """Return the data URL of a picture in a size, or in a smaller one if it needs too many bytes.

    A picture that was reduced to fewer pixels is shown in its old size.
    """
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.BOX)
    if max(size) <= LOSSLESS:
        content = _saved(picture, "PNG")
        if len(content) <= most_bytes:
            return data_url(content, "image/png")
    while True:
        for quality in QUALITIES:
            content = _saved(picture, "JPEG", quality=quality, subsampling=0)
            if len(content) <= most_bytes or max(picture.size) == 1:
                return data_url(content, "image/jpeg")
        width, height = picture.size
        picture = picture.resize((max(1, width // 2), max(1, height // 2)), Image.Resampling.BOX)


def _saved(picture: Image.Image, kind: str, **settings: int) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **settings)
    return stream.getvalue()
