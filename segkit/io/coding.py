"""Which values or colours stand for the classes in mask files, and in which files they stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
"""What no, yes and unlabelled become in segkit's own yes/no files; 128 is read only with data.mask_values."""
Stored = int | tuple[int, int, int]
"""What a file stores at a pixel: a whole number, or a colour (red, green, blue)."""
WHITE = (255, 255, 255)


@dataclass(frozen=True, eq=False)
class Coding:
    """How masks are stored: the files of an image, and what they hold for each value of a mask.

    The values of a mask are class ids where the task stores ids in one file, otherwise 0 (no) and 1 (yes), and VOID.
    """

    task: Task
    layout: MaskLayout
    """One file for each image, one file with a band for each class, or one file for each class."""
    stored: Mapping[int, Stored]
    """What a file holds for each value of a mask; all of them are numbers, or all are colours."""
    mask_suffix: str = ""
    """What a mask's name has more than its image's."""
    image_suffix: str = ""
    """What an image's name has more than the part that its mask's name shares."""
    in_greys: bool = False
    """Whether files are read by their grey values, so that they must not have a palette."""

    @property
    def labels(self) -> tuple[int, ...]:
        """The classes with a file of their own; empty if one file holds all."""
        return self.task.foreground if self.layout == "folders" else ()

    @property
    def holds_ids(self) -> bool:
        """Whether a file holds class ids; otherwise it answers yes or no."""
        return self.task.stores_ids and self.layout == "file"

    @property
    def in_colours(self) -> bool:
        """Whether a file holds colours."""
        return isinstance(self.stored[VOID], tuple)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest type that holds every stored number; uint8 for colours."""
        return np.dtype(np.uint8) if self.in_colours else _smallest_dtype(self.stored.values())

    @property
    def ending(self) -> str:
        """The suffix of the files: ".png" where a PNG can hold them."""
        fits = self.layout != "bands" and self.dtype in (np.uint8, np.uint16)
        return ".png" if fits else ".tif"

    @property
    def nodata(self) -> int | None:
        """The number that means void in each band; None if it means something else as well, in one of the bands."""
        bands = {
            value: stored if isinstance(stored, tuple) else (stored,)
            for value, stored in self.stored.items()
        }
        void = set(bands.pop(VOID))
        others = {number for numbers in bands.values() for number in numbers}
        return void.pop() if len(void) == 1 and not void & others else None

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
        """Return the files of an image's mask below `folder`; with `tiff` they are TIFF in any case.

        Raises `DataError` if a name leads out of the folder, or is no file name on some operating system.
        """
        shared = name.removesuffix(self.image_suffix)
        file = f"{shared}{self.mask_suffix}"
        ending = ".tif" if tiff else self.ending
        if not self.labels:
            return [file_in(folder, file, ending)]
        return [
            file_in(folder, f"{self.task.classes[label]}/{file}", ending) for label in self.labels
        ]

    def encode(self, mask: np.ndarray, file: int = 0) -> np.ndarray:
        """Return what one of the files of a mask stores.

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
        table = np.zeros((256, 3) if self.in_colours else 256, self.dtype)
        for value, stored in self.stored.items():
            table[value] = stored
        return table

    def names(self) -> dict[str, Stored]:
        """Return what is stored for each class, or for "absent" and "present", and for "void"."""
        values = self.task.classes if self.holds_ids else YES_NO
        return {
            **{name: self.stored[value] for value, name in enumerate(values)},
            "void": self.stored[VOID],
        }


def segkit_coding(task: Task) -> Coding:
    """Return segkit's own coding: ids with 255 for void, or 0/255 with 128, in a multilabel task a file for each class."""
    if task.stores_ids:
        return Coding(task, "file", {value: value for value in (*range(task.channels), VOID)})
    return Coding(
        task,
        "folders" if task.layered else "file",
        dict(zip((0, 1, VOID), YES_NO_VOID, strict=True)),
    )


def as_text(stored: Stored) -> str:
    """Return a stored number, or a colour as "#rrggbb".

    >>> as_text(7), as_text((255, 0, 16))
    ('7', '#ff0010')
    """
    return f"#{bytes(stored).hex()}" if isinstance(stored, tuple) else str(stored)


def _smallest_dtype(values: Iterable[Any]) -> np.dtype[Any]:
    numbers = list(values)
    for kind in (np.uint8, np.uint16, np.int16, np.int32, np.uint32):
        limits = np.iinfo(kind)
        if limits.min <= min(numbers) and max(numbers) <= limits.max:
            return np.dtype(kind)
    return np.dtype(np.int64)
