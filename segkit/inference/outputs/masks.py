"""Masks, as training reads them, and pictures of them to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from segkit.inference.outputs.prediction import Answer, Output
from segkit.io.masks import mask_paths, save_mask
from segkit.io.names import file_in
from segkit.io.overlay import overlay


class Masks(Output):
    """DIR/NAME.png, or DIR/CLASS/NAME.png in a multilabel task: this folder holds masks alone."""

    def paths(self, name: str) -> list[Path]:
        return mask_paths(self.task, self.folder, name)

    def write(self, answer: Answer, paths: Sequence[Path]) -> None:
        save_mask(answer.task, answer.mask, paths)


class Overlays(Output):
    """DIR-overlays/NAME.png: the image with the mask drawn over it."""

    ending = "-overlays"

    def paths(self, name: str) -> list[Path]:
        return [file_in(self.folder, name, ".png")]

    def write(self, answer: Answer, paths: Sequence[Path]) -> None:
        Image.fromarray(overlay(answer.task, answer.image, answer.mask)).save(paths[0])
