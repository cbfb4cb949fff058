"""Images and masks in files, paired by name or by a list."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from segkit.config import DataConfig, MaskFilesConfig
from segkit.data.sources.coding import check_written
from segkit.data.sources.labels import YesNo, as_ids, check_mapped_names, check_mask_ids
from segkit.data.sources.mask_colours import from_colours
from segkit.data.sources.mask_layers import check_on_top, from_layers
from segkit.data.sources.pairs import find_pairs
from segkit.data.sources.palettes import Palettes, is_black_and_white
from segkit.data.sources.source import Sample, void_where_invalid
from segkit.errors import ConfigError, DataError
from segkit.io.coding import MaskLayout
from segkit.io.image_files import left_out_in
from segkit.io.images import read_pixels
from segkit.io.masks import read_colour_pixels, read_layer_pixels, read_mask_pixels
from segkit.io.pages import file_of
from segkit.io.pixels import Pixels
from segkit.task import VOID, Task
from segkit.task.layers import stack_planes


class FolderSource:
    """IMAGES/a.jpg with MASKS/a.png, or with one mask file a class: MASKS/CLASS/a.png.

    A mask file holds class ids, 0/1 or 0/255, or what `data.mask_values` or `data.mask_colours` say; in a multilabel task
    without class folders one band a class.
    """

    def __init__(self, data: DataConfig, task: Task) -> None:
        self.task, self.data = task, data
        check_on_top(data.on_top, task)
        check_mask_ids(data, task)
        layers = tuple(task.classes[i] for i in task.foreground)
        if not task.stores_ids:
            _check_meanings(data, task)  # before any file is looked for
        self.pairs, self.parts = find_pairs(data, layers)
        self.names = list(self.pairs)
        self.left_out = [] if data.list_file else left_out_in([data.images, data.masks])
        """Files in the folders that look like images, and are not read."""
        layered = "" not in next(iter(self.pairs.values())).masks
        if data.mask_colours is not None and task.layered and not layered:
            raise ConfigError(
                "a colour names one class, and in a multilabel task several may hold",
                "not-for-task",
                setting="data.mask_colours",
            )
        self._file_task = task.layer_task if layered else task
        _check_meanings(data, self._file_task)
        if data.masks is not None and data.list_file is None:
            check_written(data.masks, data, self._file_task)
        self._yes_no = YesNo(
            self._file_task, data.mask_values, instances=data.mask_ids == "instances"
        )
        self._palettes = Palettes(
            yes_no=not self._file_task.stores_ids and data.mask_values is None
        )
        self._layout = _layout_of(task, layered)
        self.kept: dict[Path, np.ndarray] = {}
        """Masks, as they are stored, that somebody has read already; each is taken from here once."""

    @property
    def stored(self) -> MaskFilesConfig:
        """How the masks are stored, as far as those that were read show it."""
        return MaskFilesConfig(
            layout=self._layout, yes=None if self.data.mask_threshold else self._yes_no.yes
        )

    def image_file(self, name: str) -> Path:
        """Return where the sample's image stands."""
        return file_of(self.pairs[name].image)

    def is_page(self, name: str) -> bool:
        """Return whether the sample is one page of a file of several."""
        return file_of(self.pairs[name].image) != self.pairs[name].image

    def files(self, name: str) -> list[Path]:
        """Return all files that the sample is read from."""
        return [
            file_of(path) for path in (self.pairs[name].image, *self.pairs[name].masks.values())
        ]

    def read(self, name: str) -> Sample:
        """Return the sample; raises `DataError` with the file's path if the image or a mask does not fit."""
        pair = self.pairs[name]
        image = read_pixels(pair.image, self.data.pages)
        read = self._one_file if "" in pair.masks else self._layer
        found = {label: read(path) for label, path in pair.masks.items()}
        for label, mask in found.items():
            _check_size(mask, pair.masks[label], image.values, pair.image)
        mask = (
            found[""]
            if "" in found
            else from_layers(found, self.task, self.data.on_top, f"masks of {pair.image}")
        )
        return Sample(name, image.values, void_where_invalid(mask, image.valid), image.valid)

    def _one_file(self, path: Path) -> np.ndarray:
        if self.data.mask_colours is not None:
            return self._from_colours(path)
        if self.task.layered:
            return self._bands(path)
        if not self.task.stores_ids:
            return self._layer(path)
        return self._decoded(self._stored(path), path, self._ids)

    def _layer(self, path: Path) -> np.ndarray:
        if self.data.mask_colours is not None:
            return self._from_colours(path)
        return self._decoded(self._stored(path), path, self._yes_or_no)

    def _stored(self, path: Path) -> Pixels:
        kept = self.kept.pop(path, None)
        if kept is not None and self.data.mask_threshold is None:
            return Pixels(kept)
        return read_mask_pixels(path, self.data.mask_threshold, self.data.pages)

    def _ids(self, stored: Pixels, where: str) -> np.ndarray:
        self._palettes.check(stored.values, stored.palette, where)
        return as_ids(stored.values, self.task, self.data.mask_values, where)

    def _yes_or_no(self, stored: Pixels, where: str) -> np.ndarray:
        if self.data.mask_ids == "instances":
            return self._yes_no(stored.values, where)
        decided = self.data.mask_values is None and self.data.mask_threshold is None
        palette = stored.palette if decided else None
        if palette is None or not is_black_and_white(stored.values, palette):
            self._palettes.check(stored.values, stored.palette, where)
        return self._yes_no(stored.values, where, palette)

    def _decoded(
        self, stored: Pixels, path: Path, read: Callable[[Pixels, str], np.ndarray]
    ) -> np.ndarray:
        """Return what `read` makes of the valid pixels (H, W); the others are void."""
        where = str(path)
        valid = stored.valid
        if valid is not None and self._is_meant(stored, where):
            valid = valid | (stored.values == stored.nodata)
        if valid is None or valid.all():
            return read(stored, where)
        if not valid.any():
            return np.full(valid.shape, VOID, np.uint8)
        filled = np.where(valid, stored.values, stored.values[valid][0])
        return void_where_invalid(read(stored._replace(values=filled, valid=None), where), valid)

    def _is_meant(self, stored: Pixels, where: str) -> bool:
        """Return whether the settings give the nodata value a meaning; raises `DataError` if the task alone does."""
        if stored.nodata is None:
            return False
        if self.data.mask_values is not None:
            return stored.nodata in self.data.mask_values
        if self.data.mask_threshold is not None:
            return stored.nodata == 0
        meant = {value: name for name, value in self._file_task.named_values.items()}
        if stored.nodata in meant:
            name, value = meant[int(stored.nodata)], int(stored.nodata)
            raise DataError(
                f"{where}: the file says that {value} is unlabelled (GDAL_NODATA {value}), and {value} is {name} in this "
                f"task. If it is {name}, name it in data.mask_values ({{{value}: {name}, ...}}), else as void",
                "mask-nodata",
            )
        return False

    def _from_colours(self, path: Path) -> np.ndarray:
        named = self.data.mask_colours or {}
        stored = read_colour_pixels(path, self.data.pages, lossy_too=self.data.colour_tolerance > 0)
        meant = stored.nodata is not None and f"#{int(stored.nodata):06x}" in named
        if meant or stored.valid is None:
            return self._named_colours(stored.values, path)
        if not stored.valid.any():
            return np.full(stored.valid.shape, VOID, np.uint8)
        colours = np.where(stored.valid[..., None], stored.values, stored.values[stored.valid][0])
        return void_where_invalid(self._named_colours(colours, path), stored.valid)

    def _named_colours(self, colours: np.ndarray, path: Path) -> np.ndarray:
        named = self.data.mask_colours or {}
        return from_colours(colours, self._file_task, named, self.data.colour_tolerance, str(path))

    def _bands(self, path: Path) -> np.ndarray:
        stored = read_layer_pixels(path, self.data.mask_threshold, self.data.pages)
        bands = stored.values
        if bands.shape[-1] != self.task.channels:
            raise DataError(
                f"{path}: a multilabel mask file has one band a class, {self.task.channels} "
                f"({', '.join(self.task.classes)}); found {bands.shape[-1]}. Or give each class a sub-folder of the masks",
                "mask-channels",
            )
        planes = [stored._replace(values=band) for band in np.moveaxis(bands, -1, 0)]
        return stack_planes(
            self.task, [self._decoded(plane, path, self._yes_or_no) for plane in planes]
        )


def in_folders(
    images: Path, masks: Path, task: Task, data: DataConfig | None = None
) -> FolderSource:
    """Return the source of two folders, whose masks are read as `data` says."""
    settings = (data or DataConfig()).model_dump() | {
        "images": images,
        "masks": masks,
        "list_file": None,
    }
    return FolderSource(DataConfig.model_validate(settings), task)


def open_folder(data: DataConfig, task: Task) -> FolderSource:
    """Return the folder source of a config's `data` section."""
    return FolderSource(data, task)


def _layout_of(task: Task, has_folders: bool) -> MaskLayout:
    """Return in which files the masks stand: a file for each class if they have folders, or columns, of their own."""
    if has_folders:
        return "folders"
    return "bands" if task.layered else "file"


def _check_meanings(data: DataConfig, task: Task) -> None:
    if data.mask_values is not None:
        check_mapped_names(data.mask_values, task)
    if data.mask_colours is not None:
        check_mapped_names(data.mask_colours, task, "mask_colours")


def _check_size(mask: np.ndarray, path: Path, image: np.ndarray, image_path: Path) -> None:
    rows, columns = image.shape[:2]
    if mask.shape[:2] != (rows, columns):
        turned = mask.shape[:2] == (columns, rows)
        why = (
            " The image seems to be turned by its EXIF orientation, and the mask not"
            if turned
            else ""
        )
        raise DataError(
            f"{path}: the mask is {_size(mask)}, its image {image_path} is {_size(image)}.{why}",
            "mask-size",
        )


def _size(array: np.ndarray) -> str:
    return f"{array.shape[1]} wide and {array.shape[0]} high"
