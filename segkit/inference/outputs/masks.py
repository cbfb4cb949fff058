"""Masks in the way that training reads them, and overlays to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from segkit.inference.outputs.prediction import Output, PredictedImage
from segkit.io.coding import Coding
from segkit.io.masks import save_mask
from segkit.io.names import file_in
from segkit.io.overlay import OverlayStyle, overlay
from segkit.task import Task


class Masks(Output):
    """Writes DIR/NAME.png, or DIR/CLASS/NAME.png if each class has a folder.

    This folder holds nothing but masks. The mask of an image that lies on a map is a .tif with the
    same location. The other masks state the size of their pixels, if the image does.
    """

    def __init__(self, coding: Coding, masks: Path) -> None:
        super().__init__(coding.task, masks)
        self.coding = coding

    def paths(self, name: str, on_map: bool = False) -> list[Path]:
        return self.coding.paths(self.folder, name, tiff=on_map)

    def write(self, predicted: PredictedImage, paths: Sequence[Path]) -> None:
        location = predicted.location
        tags = location.tags_with(self.coding.nodata) if location else ()
        save_mask(self.coding, predicted.mask, paths, tags, predicted.pixel_mm)


class Overlays(Output):
    """Writes DIR-overlays/NAME.png: the image with the mask drawn over it."""

    ending = "-overlays"

    def __init__(self, task: Task, masks: Path, style: OverlayStyle = "both") -> None:
        super().__init__(task, masks)
        self.style = style

    def paths(self, name: str) -> list[Path]:
        return [file_in(self.folder, name, ".png")]

    def write(self, predicted: PredictedImage, paths: Sequence[Path]) -> None:
        valid = None if predicted.no_data is None else ~predicted.no_data
        picture = overlay(
            predicted.task, predicted.image, predicted.mask, style=self.style, valid=valid
        )
        Image.fromarray(picture).save(paths[0])
