"""Finds the glass of a whole slide, so that windows without tissue are not predicted.

Stained tissue has colour, and glass has not. The saturation of the smallest level is divided by
Otsu's threshold (IEEE Transactions on Systems, Man, and Cybernetics 9, 1979), which is limited, so
that pale tissue beside dark tissue stays tissue. Dark grey is tissue, too; black is the area around
the scanned fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segkit.errors import ConfigError
from segkit.inference.tiles import Predict
from segkit.io import codecs
from segkit.io.slide_addresses import Reading, split_level
from segkit.io.slides import Slide
from segkit.task import Task

MOST_SATURATED = 20
"""The largest saturation of glass, of 255, whatever Otsu's threshold is."""
DARK = 128
"""Grey pixels below this value are tissue."""
MARGIN = 1
"""Pixels of the smallest level around a window that must be glass, too."""
MOST_PIXELS = 2**26
"""The largest level that is read whole to find glass."""


class Window(NamedTuple):
    """A window of an image."""

    shape: tuple[int, int]
    """Height and width."""
    is_glass: bool
    pixels: np.ndarray | None
    """(h, w, C); None for glass."""


class Glass:
    """The glass of an image.

    Args:
        tissue: (h, w) bool, the image at a smaller size.
        height: Rows of the image.
        width: Columns of the image.
    """

    def __init__(self, tissue: np.ndarray, height: int, width: int) -> None:
        self.tissue = tissue
        self.down = tissue.shape[0] / height
        self.across = tissue.shape[1] / width

    def covers(self, rows: slice, columns: slice) -> bool:
        """Return whether an area of the image is glass only."""
        top = max(0, int(rows.start * self.down) - MARGIN)
        bottom = int(np.ceil(rows.stop * self.down)) + MARGIN
        left = max(0, int(columns.start * self.across) - MARGIN)
        right = int(np.ceil(columns.stop * self.across)) + MARGIN
        return not self.tissue[top:bottom, left:right].any()


def find_glass(path: Path, height: int, width: int) -> Glass | None:
    """Return the glass of a slide.

    Args:
        path: The address of a level.
        height: Rows of the image of the address.
        width: Columns of it.

    Returns:
        The glass; None for images that are no slides, that have no three channels of 8 bits, or
        whose smallest level is too large.

    Raises:
        DataError: If the slide cannot be read.
    """
    file, reading = split_level(path)
    if reading is None:
        return None
    with closing(Slide(file)) as slide, codecs.naming(path):
        smallest = Reading(len(slide.levels) - 1)
        rows, columns = slide.shape(smallest)
        if rows * columns > MOST_PIXELS:
            return None
        small = slide.read(smallest, slice(0, rows), slice(0, columns))
    if small.shape[-1] < 3 or small.dtype != np.uint8:
        return None
    return Glass(tissue_of(small[..., :3]), height, width)


def tissue_of(rgb: np.ndarray) -> np.ndarray:
    """Return where a picture (H, W, 3) uint8 of a stained slide shows tissue, (H, W) bool."""
    import cv2

    hsv = cv2.cvtColor(np.ascontiguousarray(rgb), cv2.COLOR_RGB2HSV)
    saturation = np.ascontiguousarray(hsv[..., 1])
    value = hsv[..., 2]
    black = value == 0
    known = saturation[~black]
    if known.size == 0:
        return np.zeros(rgb.shape[:2], bool)
    otsu, _ = cv2.threshold(known, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    coloured = saturation > min(otsu, MOST_SATURATED)
    return np.asarray((coloured | (value < DARK)) & ~black)


def predict_tissue(
    predict: Predict, windows: Iterable[Window], task: Task, batch_size: int
) -> Iterator[np.ndarray]:
    """Yield the probabilities of windows of one shape, in order.

    Windows of glass are background and do not go through the network. At most `batch_size` windows
    with pixels wait for the others of their batch.

    Args:
        predict: The network.
        windows: The windows.
        task: A task with background.
        batch_size: The windows that go through the network at once.
    """
    batch: list[np.ndarray] = []
    waiting: list[Window] = []
    for window in windows:
        waiting.append(window._replace(pixels=None))
        if window.pixels is not None:
            batch.append(window.pixels.copy())  # frees the piece that it is a part of
        if len(batch) in (0, batch_size):
            yield from _predict_waiting(predict, waiting, batch, task)
            waiting = []
            batch = []
    yield from _predict_waiting(predict, waiting, batch, task)


def _predict_waiting(
    predict: Predict, waiting: Sequence[Window], batch: Sequence[np.ndarray], task: Task
) -> Iterator[np.ndarray]:
    """Yield the probabilities of windows, of which those in `batch` are the tissue."""
    probabilities = iter(predict(np.stack(batch)) if batch else ())
    for window in waiting:
        if window.is_glass:
            yield task.sure_background(window.shape)
        else:
            yield next(probabilities)


def check_glass_is_background(task: Task) -> None:
    """Raise `ConfigError` for a task in which glass has no class."""
    if not task.can_be_nothing:
        raise ConfigError(
            "makes glass background, and the task has no class called background",
            "not-for-task",
            setting="predict.skip_glass",
        )
