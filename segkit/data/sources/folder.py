"""Images and masks in files, paired by name or by a list."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from segkit.config import DataConfig, MaskFilesConfig
from segkit.config.sets import annotated, for_new_masks
from segkit.data.sources.coding import check_written
from segkit.data.sources.labels import (
    YesNo,
    as_ids,
    check_mapped_names,
    check_mask_ids,
    check_other_values,
)
from segkit.data.sources.mask_colours import from_colours
from segkit.data.sources.mask_layers import check_on_top, from_layers
from segkit.data.sources.pair_pages import Pairs
from segkit.data.sources.pairs import find_pairs
from segkit.data.sources.palettes import Palettes, is_black_and_white
from segkit.data.sources.partly_labelled import leave_classes_open
from segkit.data.sources.probabilities import Probabilities
from segkit.data.sources.source import Sample, Source, void_where_invalid
from segkit.errors import ConfigError, DataError
from segkit.io.coding import MaskLayout
from segkit.io.geometry import Geometry
from segkit.io.image_files import LeftOut, left_out_in
from segkit.io.images import list_images, read_pixels
from segkit.io.masks import read_colour_pixels, read_layer_pixels, read_mask_pixels
from segkit.io.pages import file_of
from segkit.io.physical_size import read_geometry
from segkit.io.pixels import Pixels
from segkit.task import VOID, Task
from segkit.task.layers import stack_layers
from segkit.task.soft import hard_target


class FolderSource:
    """IMAGES/a.jpg with the mask MASKS/a.png, or with one mask file per class: MASKS/CLASS/a.png.

    A mask file stores class ids, 0/1 or 0/255, or what `data.mask_values` or `data.mask_colours`
    say. In a multilabel task without class folders it stores one band per class.

    Args:
        data: The `data` section of a config.
        task: The task whose masks are read.
        pairs: Images and masks that are paired already; None to pair them by the settings.

    Raises:
        ConfigError: If a setting is missing or does not fit.
        DataError: If images and masks do not pair.
    """

    def __init__(self, data: DataConfig, task: Task, pairs: Pairs | None = None) -> None:
        self.task = task
        self.data = data
        check_on_top(data.on_top, task)
        check_mask_ids(data, task)
        if not task.stores_ids:
            _check_meanings(data, task)  # before the search for files, which may take long
        labels = tuple(annotated([task.classes[i] for i in task.foreground], data))
        self.pairs, self.parts, self.unlabelled = pairs or find_pairs(data, labels)
        self.names = list(self.pairs)
        self.left_out = [] if data.list_file else left_out_in([data.images, data.masks])
        self.left_out += self._without_masks()
        """Files in the folders that look like images but are not read."""
        first = next(iter(self.pairs.values()))
        has_class_files = "" not in first.masks
        if data.mask_colours is not None and task.layered and not has_class_files:
            raise ConfigError(
                "a colour names one class, but in a multilabel task a pixel may belong to several",
                "not-for-task",
                setting="data.mask_colours",
            )
        self._file_task = task.layer_task if has_class_files else task
        self._layout = _layout_of(task, has_class_files)
        _check_meanings(data, self._file_task)
        if data.masks is not None and data.list_file is None:
            check_written(data.masks, data, self._file_task)
        self._yes_no = YesNo(
            self._file_task,
            data.mask_values,
            instances=data.mask_ids == "instances",
            others_void=data.others_void,
        )
        are_yes_no = not self._file_task.stores_ids and data.mask_values is None
        self._palettes = Palettes(yes_no=are_yes_no)
        self._probabilities = Probabilities(task, data.pages)
        self.masks_in_memory: dict[Path, np.ndarray] = {}
        """Stored values of masks that were read before, by file; each is used once and dropped."""

    @property
    def stored(self) -> MaskFilesConfig:
        """How the masks are stored, as far as the masks read so far show it."""
        yes = None if self.data.mask_threshold else self._yes_no.yes
        return MaskFilesConfig(layout=self._layout, yes=yes)

    @property
    def decisions(self) -> list[tuple[str, str]]:
        """Guesses about the files that the user should check: a code and a sentence."""
        return self._probabilities.decisions

    def _without_masks(self) -> list[LeftOut]:
        """Return the images of the folder that are left out because they have no mask."""
        if self.data.missing_masks != "leave_out" or self.data.images is None:
            return []
        used = {file_of(pair.image) for pair in self.pairs.values()}
        used |= {file_of(path) for pair in self.pairs.values() for path in pair.masks.values()}
        images = list_images(self.data.images).values()
        return [LeftOut(path, "it has no mask") for path in images if path not in used]

    def image_file(self, name: str) -> Path:
        """Return the file of a sample's image."""
        return file_of(self.pairs[name].image)

    def is_page(self, name: str) -> bool:
        """Return whether a sample is one page of a file with several."""
        return file_of(self.pairs[name].image) != self.pairs[name].image

    def files(self, name: str) -> list[Path]:
        """Return all files that a sample is read from."""
        image, masks = self.pairs[name]
        return [file_of(path) for path in (image, *masks.values())]

    def geometry(self, name: str) -> Geometry | None:
        """Return the physical size and place of a sample's image, from the header of its file."""
        return read_geometry(self.pairs[name].image, self.data.pages)

    def read(self, name: str) -> Sample:
        """Read a sample.

        Args:
            name: One of `names`.

        Returns:
            The image (H, W, C), uint8, uint16 or float32, and its mask.

        Raises:
            DataError: With the path, if the image or a mask cannot be read or does not fit.
        """
        pair = self.pairs[name]
        image = self._read_image(pair.image)
        if self.data.mask_probabilities:
            return self._read_soft(name, image)
        masks = {}
        for label, path in pair.masks.items():
            masks[label] = self._read_layer(path) if label else self._read_mask(path)
        for label, mask in masks.items():
            _check_size(mask, pair.masks[label], image.values, pair.image)
        if "" in masks:
            mask = masks[""]
        else:
            mask = from_layers(masks, self.task, self.data.on_top, f"masks of {pair.image}")
        visible = void_where_invalid(mask, image.valid)
        return Sample(name, image.values, visible, image.valid, self.geometry(name))

    def _read_soft(self, name: str, image: Pixels) -> Sample:
        """Return a sample whose mask files store probabilities."""
        pair = self.pairs[name]
        layers = self._probabilities.read(pair.masks)
        for label, layer in layers.items():
            _check_size(layer.values, pair.masks[label], image.values, pair.image)
        where = str(pair.masks[""]) if "" in pair.masks else f"masks of {pair.image}"
        soft = self._probabilities.combine(layers, where)
        soft = void_where_invalid(soft, image.valid)
        mask = hard_target(self.task, soft)
        return Sample(name, image.values, mask, image.valid, self.geometry(name), soft)

    def _read_image(self, path: Path) -> Pixels:
        """Return the pixels of an image (H, W, C)."""
        return read_pixels(path, self.data.pages, bands=self.data.bands)

    def _read_mask(self, path: Path) -> np.ndarray:
        """Return the mask in a file with all classes."""
        if self.data.mask_colours is not None:
            return self._read_colours(path)
        if self.task.layered:
            return self._read_bands(path)
        if not self.task.stores_ids:
            return self._read_layer(path)
        return self._convert_valid(self._read_stored(path), path, self._as_ids)

    def _read_layer(self, path: Path) -> np.ndarray:
        """Return the layer in a file with one class."""
        if self.data.mask_colours is not None:
            return self._read_colours(path)
        return self._convert_valid(self._read_stored(path), path, self._as_yes_no)

    def _read_stored(self, path: Path) -> Pixels:
        values = self.masks_in_memory.pop(path, None)
        if values is not None and self.data.mask_threshold is None:
            return Pixels(values)
        return read_mask_pixels(
            path, self.data.mask_threshold, self.data.pages, self.data.transparent == "void"
        )

    def _as_ids(self, stored: Pixels, where: str) -> np.ndarray:
        self._palettes.check(stored.values, stored.palette, where)
        mapping = self.data.mask_values
        return as_ids(stored.values, self.task, mapping, where, self.data.others_void)

    def _as_yes_no(self, stored: Pixels, where: str) -> np.ndarray:
        if self.data.mask_ids == "instances":
            return self._yes_no(stored.values, where)
        palette = stored.palette
        if self.data.mask_values is not None or self.data.mask_threshold is not None:
            palette = None  # these settings are about indices, not colours
        if palette is None or not is_black_and_white(stored.values, palette):
            self._palettes.check(stored.values, stored.palette, where)
        return self._yes_no(stored.values, where, palette)

    def _convert_valid(
        self, stored: Pixels, path: Path, convert: Callable[[Pixels, str], np.ndarray]
    ) -> np.ndarray:
        """Convert the valid pixels (H, W) of a mask; the others become void."""
        where = str(path)
        valid = stored.valid
        if valid is not None and self._nodata_has_meaning(stored, where):
            valid = valid | (stored.values == stored.nodata)
        if valid is None or valid.all():
            return convert(stored, where)
        if not valid.any():
            return np.full(valid.shape, VOID, np.uint8)
        filled = np.where(valid, stored.values, stored.values[valid][0])
        converted = convert(stored._replace(values=filled, valid=None), where)
        return void_where_invalid(converted, valid)

    def _nodata_has_meaning(self, stored: Pixels, where: str) -> bool:
        """Return whether the settings give the nodata value a meaning.

        Raises `DataError` if only the task gives it one, because then both meanings are possible.
        """
        if stored.nodata is None:
            return False
        if self.data.mask_values is not None:
            return stored.nodata in self.data.mask_values
        if self.data.mask_threshold is not None:
            return stored.nodata == 0
        names = {value: name for name, value in self._file_task.named_values.items()}
        if stored.nodata not in names:
            return False
        value = int(stored.nodata)
        name = names[value]
        raise DataError(
            f"{where}: the file says that {value} is unlabelled (GDAL_NODATA {value}), but {value} "
            f"is {name} in this task. Set data.mask_values: {{{value}: {name}, ...}} if it is "
            f"{name}, or {{{value}: void, ...}} if it is unlabelled",
            "mask-nodata",
        )

    def _read_colours(self, path: Path) -> np.ndarray:
        colours = self.data.mask_colours or {}
        lossy_too = self.data.colour_tolerance > 0
        stored = read_colour_pixels(
            path, self.data.pages, lossy_too, opaque_only=self.data.transparent == "void"
        )
        has_meaning = stored.nodata is not None and f"#{int(stored.nodata):06x}" in colours
        if has_meaning or stored.valid is None:
            return self._named_colours(stored.values, path)
        if not stored.valid.any():
            return np.full(stored.valid.shape, VOID, np.uint8)
        filled = np.where(stored.valid[..., None], stored.values, stored.values[stored.valid][0])
        return void_where_invalid(self._named_colours(filled, path), stored.valid)

    def _named_colours(self, rgb: np.ndarray, path: Path) -> np.ndarray:
        data = self.data
        colours = data.mask_colours or {}
        return from_colours(
            rgb, self._file_task, colours, data.colour_tolerance, str(path), data.others_void
        )

    def _read_bands(self, path: Path) -> np.ndarray:
        """Return the multilabel mask in a file with one band per class."""
        stored = read_layer_pixels(path, self.data.mask_threshold, self.data.pages)
        names = self._names_of_bands(stored.values.shape[-1], path)
        planes = {}
        for name, band in zip(names, np.moveaxis(stored.values, -1, 0), strict=True):
            plane = stored._replace(values=band)
            planes[name] = self._convert_valid(plane, path, self._as_yes_no)
        return stack_layers(self.task, planes)

    def _names_of_bands(self, bands: int, path: Path) -> list[str]:
        """Return the classes of the bands of a file: all, or those that were annotated."""
        for names in (list(self.task.classes), annotated(self.task.classes, self.data)):
            if len(names) == bands:
                return names
        raise DataError(
            f"{path}: a multilabel mask file has one band per class, {self.task.channels} "
            f"({', '.join(self.task.classes)}), or one per class of data.labelled_classes; found "
            f"{bands}. Or give each class a sub-folder of the masks",
            "mask-channels",
        )


def in_folders(images: Path, masks: Path, task: Task, data: DataConfig | None = None) -> Source:
    """Open the source of two folders.

    Args:
        images: The folder of images.
        masks: The folder of masks.
        task: The task whose masks are read.
        data: How masks are read. Its own folders and list are ignored.

    Returns:
        The source. If it leaves classes open, its `task` has all sets of classes that it needs.

    Raises:
        ConfigError: If a setting does not fit.
        DataError: If images and masks do not pair.
    """
    reading = for_new_masks(task, data or DataConfig(), images, masks)
    return leave_classes_open(FolderSource(reading, task), reading, task)


def open_folder(data: DataConfig, task: Task) -> FolderSource:
    """Open the folder source of a config's `data` section; see `FolderSource`."""
    return FolderSource(data, task)


def _layout_of(task: Task, has_class_files: bool) -> MaskLayout:
    if has_class_files:
        return "folders"
    return "bands" if task.layered else "file"


def _check_meanings(data: DataConfig, task: Task) -> None:
    """Raise `ConfigError` if a value or colour means something that the task does not have."""
    check_other_values(data)
    if data.mask_values is not None:
        check_mapped_names(data.mask_values, task)
    if data.mask_colours is not None:
        check_mapped_names(data.mask_colours, task, "mask_colours")


def _check_size(mask: np.ndarray, path: Path, image: np.ndarray, image_path: Path) -> None:
    """Raise `DataError` unless a mask has the size of its image."""
    rows, columns = image.shape[:2]
    if mask.shape[:2] == (rows, columns):
        return
    hint = ""
    if mask.shape[:2] == (columns, rows):
        hint = ". The image seems to be turned by its EXIF orientation, but the mask is not"
    raise DataError(
        f"{path}: the mask is {_size(mask)}, its image {image_path} is {_size(image)}{hint}",
        "mask-size",
    )


def _size(array: np.ndarray) -> str:
    return f"{array.shape[1]} wide and {array.shape[0]} high"
