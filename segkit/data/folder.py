"""Images and masks in folders, paired by name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from segkit import files
from segkit.config import DataConfig
from segkit.data.labels import as_ids, as_yes_no, check_values
from segkit.data.source import Sample
from segkit.errors import ConfigError, DataError
from segkit.task import Task


class FolderSource:
    """IMAGES/a.jpg with MASKS/a.png, or with MASKS/CLASS/a.png for each class of a multilabel task.

    Masks are PNG, TIFF, BMP, GIF or WebP of one channel, palette or bits; see `data.mask_values` for other values
    than class ids, 0/1 and 0/255.
    """

    def __init__(self, images: Path, masks: Path, task: Task, data: DataConfig | None = None) -> None:
        self.task, self.data = task, data or DataConfig(source="folder")
        if self.data.mask_values is not None:
            check_values(self.data.mask_values, task)
        self.images = files.list_images(images)
        if not self.images:
            raise DataError(f"{images}: holds no image; segkit reads {', '.join(files.SUFFIXES)}")
        folders = _class_folders(masks, task) if task.kind == "multilabel" else [masks]
        self.masks = [files.list_images(folder) for folder in folders]
        for folder, found in zip(folders, self.masks, strict=True):
            _check_pairs(self.images, found, images, folder)
        self.names = list(self.images)
        self._yes: tuple[int, str] | None = None

    def read(self, name: str) -> Sample:
        """Return the sample; raises `DataError` with the file's path if the image or a mask does not fit."""
        image = files.read_image(self.images[name])
        layers = [self._read_mask(masks[name], image.shape[:2], self.images[name]) for masks in self.masks]
        return Sample(name, image, np.stack(layers, axis=-1) if self.task.kind == "multilabel" else layers[0])

    def _read_mask(self, path: Path, size: tuple[int, ...], image: Path) -> np.ndarray:
        raw = files.read_mask(path, self.data.mask_threshold)
        if raw.shape != size:
            turned = (
                " The image seems to be turned by its EXIF orientation, and the mask not" if raw.T.shape == size else ""
            )
            raise DataError(f"{path}: the mask is {_size(raw.shape)}, its image {image} is {_size(size)}.{turned}")
        if self.task.exclusive:
            return as_ids(raw, self.task, self.data.mask_values, str(path))
        mask, yes = as_yes_no(raw, self.data.mask_values, str(path))
        self._check_same_yes(yes, path)
        return mask

    def _check_same_yes(self, yes: int | None, path: Path) -> None:
        """In a data set where some masks are 0/1, a mask of 0 and 255 may have no object and 255 for unlabelled."""
        if yes is None:
            return
        if self._yes is None:
            self._yes = (yes, str(path))
        elif self._yes[0] != yes:
            raise DataError(
                f"{path}: yes is {yes} here and {self._yes[0]} in {self._yes[1]}. Say what each value means, as in "
                f"data.mask_values: {{0: absent, 1: present, 255: void}}"
            )


def open_folder(data: DataConfig, task: Task) -> FolderSource:
    """Return the folder source of a config's `data` section."""
    if data.images is None or data.masks is None:
        raise ConfigError("data: the folder source needs data.images and data.masks")
    return FolderSource(data.images, data.masks, task, data)


def _class_folders(masks: Path, task: Task) -> list[Path]:
    folders = [masks / name for name in task.classes]
    missing = [folder.name for folder in folders if not folder.is_dir()]
    if missing:
        found = sorted(path.name for path in masks.iterdir()) if masks.is_dir() else "no such folder"
        raise DataError(
            f"{masks}: a multilabel task has one sub-folder a class; missing: {', '.join(missing)}; found: {found}"
        )
    return folders


def _check_pairs(images: Iterable[str], masks: Iterable[str], image_folder: Path, mask_folder: Path) -> None:
    wanted, found = set(images), set(masks)
    for names, what, where in (
        (wanted - found, "images without a mask of the same name in", mask_folder),
        (found - wanted, "masks without an image of the same name in", image_folder),
    ):
        if names:
            shown = ", ".join(sorted(names)[:5]) + (", ..." if len(names) > 5 else "")
            raise DataError(
                f"{len(names)} {what} {where}: {shown}. Masks pair with images by name (a.jpg with a.png); add what is "
                f"missing or move the others away"
            )


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} wide and {shape[0]} high"
