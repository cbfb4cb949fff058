"""The coding of masks: which values or colours stand for the classes, and in which files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from segkit.io.names import file_in
from segkit.task import VOID, YES_NO, Task
from segkit.task.layers import as_planes, layer_of, plane_of

MaskLayout = Literal["file", "bands", "folders"]
YES = 255
"""Yes in segkit's own yes/no files."""
YES_NO_VOID = (0, YES, 128)
"""No, yes and unlabelled in segkit's own yes/no files; 128 is read only with data.mask_values."""
Stored = int | tuple[int, int, int]
"""The content of a file at a pixel: a whole number, or a colour (red, green, blue)."""
WHITE = (255, 255, 255)


@dataclass(frozen=True, eq=False)
class Coding:
    """The way masks are stored: the files of an image, and their content for each mask value.

    The values of a mask are class ids where the task stores ids in one file, otherwise 0 (no) and 1
    (yes), and VOID.
    """

    task: Task
    layout: MaskLayout
    """One file for each image, one file with a band for each class, or one file for each class."""
    stored: Mapping[int, Stored]
    """The content of a file for each value of a mask; all are numbers, or all are colours."""
    mask_suffix: str = ""
    """The text that a mask's name has after the part that it shares with the name of its image."""
    image_suffix: str = ""
    """The text that an image's name has after the part that it shares with the name of its mask."""
    in_greys: bool = False
    """Whether files are read by their grey values, so that they must not have a palette."""

    @property
    def labels(self) -> tuple[int, ...]:
        """The classes with a file of their own; empty if one file holds all."""
        if self.layout != "folders":
            return ()
        return self.task.foreground

    @property
    def holds_ids(self) -> bool:
        """Whether a file holds class ids; otherwise it holds yes and no."""
        return self.task.stores_ids and self.layout == "file"

    @property
    def in_colours(self) -> bool:
        """Whether a file holds colours."""
        return isinstance(self.stored[VOID], tuple)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest type that holds every stored number; uint8 for colours."""
        if self.in_colours:
            return np.dtype(np.uint8)
        return _smallest_dtype(self.stored.values())

    @property
    def ending(self) -> str:
        """The suffix of the files: ".png" if a PNG can hold them, else ".tif"."""
        if self.layout != "bands" and self.dtype in (np.uint8, np.uint16):
            return ".png"
        return ".tif"

    @property
    def nodata(self) -> int | None:
        """The number that means void in each band; None if it also means something else there."""
        of_void: set[int] = set()
        of_others: set[int] = set()
        for value, stored in self.stored.items():
            numbers = of_void if value == VOID else of_others
            if isinstance(stored, tuple):
                numbers.update(stored)
            else:
                numbers.add(stored)
        if len(of_void) != 1 or of_void & of_others:
            return None
        return of_void.pop()

    @property
    def palette(self) -> np.ndarray | None:
        """The colours (256, 3) uint8 that a file of 8-bit ids shows; None for other files."""
        if not self.holds_ids or self.in_colours or self.in_greys or self.dtype != np.uint8:
            return None
        colours = np.full((256, 3), WHITE, np.uint8)
        for value, colour in enumerate(self.task.palette):
            colours[self.stored[value]] = colour
        return colours

    def paths(self, folder: Path, name: str, tiff: bool = False) -> list[Path]:
        """Return the files of a mask.

        Args:
            folder: The folder of the masks.
            name: The name of the image.
            tiff: Whether the files are TIFF even if a PNG can hold the mask.

        Raises `DataError` if a name leads out of the folder, or is no file name on some operating
        system.
        """
        shared = name.removesuffix(self.image_suffix)
        file = f"{shared}{self.mask_suffix}"
        ending = self.ending
        if tiff:
            ending = ".tif"
        if not self.labels:
            return [file_in(folder, file, ending)]
        return [
            file_in(folder, f"{self.task.classes[label]}/{file}", ending) for label in self.labels
        ]

    def encode(self, mask: np.ndarray, file: int = 0) -> np.ndarray:
        """Return the content of one of the files of a mask.

        Args:
            mask: A decoded mask or target of one image, (H, W) or (H, W, P); VOID is void.
            file: Which file, an index of `paths`.

        Returns:
            (H, W) of `dtype`, (H, W, 3) for colours, or (H, W, C) for bands.
        """
        if self.layout == "bands":
            values = as_planes(mask)
        elif self.labels:
            label = self.labels[file]
            inside = layer_of(self.task, mask, label).view(np.uint8)
            values = np.where(plane_of(self.task, mask, label) == VOID, np.uint8(VOID), inside)
        else:
            values = plane_of(self.task, mask, 0)
        return self._table()[values]

    def _table(self) -> np.ndarray:
        table = np.zeros(256, self.dtype)
        if self.in_colours:
            table = np.zeros((256, 3), self.dtype)
        for value, stored in self.stored.items():
            table[value] = stored
        return table

    def names(self) -> dict[str, Stored]:
        """Return the content by meaning: each class, or "absent" and "present", and "void"."""
        names: Sequence[str] = YES_NO
        if self.holds_ids:
            names = self.task.classes
        stored = {name: self.stored[value] for value, name in enumerate(names)}
        stored["void"] = self.stored[VOID]
        return stored


def segkit_coding(task: Task) -> Coding:
    """Return segkit's own coding of masks.

    It stores class ids, with 255 for void, where a mask holds ids. Otherwise it stores 0 and 255,
    with 128 for void. In a multilabel task each class has a file.
    """
    if task.stores_ids:
        return Coding(task, "file", {value: value for value in (*range(task.channels), VOID)})
    layout: MaskLayout = "file"
    if task.layered:
        layout = "folders"
    return Coding(task, layout, dict(zip((0, 1, VOID), YES_NO_VOID, strict=True)))


def as_text(stored: Stored) -> str:
    """Return a stored number, or a colour as "#rrggbb".

    >>> as_text(7), as_text((255, 0, 16))
    ('7', '#ff0010')
    """
    if isinstance(stored, tuple):
        return f"#{bytes(stored).hex()}"
    return str(stored)


def _smallest_dtype(values: Iterable[Any]) -> np.dtype[Any]:
    numbers = list(values)
    for kind in (np.uint8, np.uint16, np.int16, np.int32, np.uint32):
        limits = np.iinfo(kind)
        if limits.min <= min(numbers) and max(numbers) <= limits.max:
            return np.dtype(kind)
    return np.dtype(np.int64)
