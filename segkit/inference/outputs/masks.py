"""Masks, as training reads them, and pictures of them to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from segkit.inference.outputs.prediction import Answer, Output
from segkit.io.coding import Coding
from segkit.io.masks import save_mask
from segkit.io.names import file_in
from segkit.io.overlay import OverlayStyle, overlay
from segkit.task import Task


class Masks(Output):
    """DIR/NAME.png, or DIR/CLASS/NAME.png where each class has a folder: this folder holds masks alone.

    The mask of an image that has a place is a .tif, and lies in the same place.
    """

    def __init__(self, coding: Coding, masks: Path) -> None:
        super().__init__(coding.task, masks)
        self.coding = coding

    def paths(self, name: str, placed: bool = False) -> list[Path]:
        return self.coding.paths(self.folder, name, tiff=placed)

    def write(self, answer: Answer, paths: Sequence[Path]) -> None:
        tags = answer.place.tags_with(self.coding.nodata) if answer.place else ()
        save_mask(self.coding, answer.mask, paths, tags)


class Overlays(Output):
    """DIR-overlays/NAME.png: the image with the mask drawn over it."""

    ending = "-overlays"

    def __init__(self, task: Task, masks: Path, style: OverlayStyle = "both") -> None:
        super().__init__(task, masks)
        self.style = style

    def paths(self, name: str) -> list[Path]:
        return [file_in(self.folder, name, ".png")]

    def write(self, answer: Answer, paths: Sequence[Path]) -> None:
        valid = None if answer.missing is None else ~answer.missing
        picture = overlay(answer.task, answer.image, answer.mask, style=self.style, valid=valid)
        Image.fromarray(picture).save(paths[0])
