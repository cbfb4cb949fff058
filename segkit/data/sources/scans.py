"""Slices of volumes and of DICOM series, with their masks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from segkit.config import DataConfig, MaskFilesConfig
from segkit.data.sources.labels import (
    YesNo,
    as_ids,
    check_mapped_names,
    check_mask_ids,
    check_other_values,
)
from segkit.data.sources.mask_layers import check_on_top, from_layers
from segkit.data.sources.pair_names import parts_by_folder
from segkit.data.sources.scan_masks import Layer, Segments
from segkit.data.sources.scan_pairs import ScanPair, find_scan_pairs, settings_of
from segkit.data.sources.source import Sample
from segkit.errors import ConfigError, DataError
from segkit.io.geometry import Geometry
from segkit.io.scans.slices import (
    open_volume,
    place_of_slice,
    slice_at,
    slice_name,
    slice_path,
    view_of_volume,
    volume_name,
)
from segkit.io.scans.volume import Volume
from segkit.task import Task


class ScanSource:
    """The slices of volumes: IMAGES/a.nii.gz with the mask MASKS/a.nii.gz is a/slice_001 and so on.

    Args:
        data: The `data` section of a config.
        task: The task whose masks are read.

    Raises:
        ConfigError: If a setting is missing or does not fit, or a package is not installed.
        DataError: If volumes and masks do not pair.
    """

    def __init__(self, data: DataConfig, task: Task) -> None:
        self.data = data
        self.task = task
        _check_settings(data, task)
        self.pairs, self.has_class_files, self.left_out = find_scan_pairs(data, task)
        self._settings = settings_of(data)
        self._slices: dict[str, tuple[ScanPair, int]] = {}
        for pair in self.pairs:
            for index in range(pair.slices):
                self._slices[slice_name(pair.name, index, pair.slices)] = (pair, index)
        self.names = list(self._slices)
        self.parts = parts_by_folder(self.names)
        self.planes = self._find_planes()
        file_task = task.layer_task if self.has_class_files else task
        if data.mask_values is not None:
            check_mapped_names(data.mask_values, file_task)
        check_other_values(data)
        self._yes_no = YesNo(
            file_task,
            data.mask_values,
            instances=data.mask_ids == "instances",
            others_void=data.others_void,
        )
        self._check_layers()

    @property
    def plane(self) -> str:
        """The plane of all slices, for `data.axis`."""
        return next(iter(self.planes))

    @property
    def stored(self) -> MaskFilesConfig:
        """How predicted masks are stored, as far as the masks read so far show it."""
        layout = "file"
        if self.task.layered or self.has_class_files:
            layout = "folders"
        yes = None if self.data.mask_threshold else self._yes_no.yes
        return MaskFilesConfig.model_validate({"layout": layout, "yes": yes})

    @property
    def decisions(self) -> list[tuple[str, str]]:
        """Code and message of each remark about the volumes: missing slices, unsure spacing."""
        found: list[tuple[str, str]] = []
        for pair in self.pairs:
            found += open_volume(pair.path).remarks
        return list(dict.fromkeys(found))

    @property
    def read_as(self) -> str:
        """What the volumes are: their number, slices, spacing and unit."""
        counts = [pair.slices for pair in self.pairs]
        volumes = [open_volume(pair.path) for pair in self.pairs]
        spacings = Counter(_spacing_in_words(volume) for volume in volumes)
        units = {volume.unit for volume in volumes}
        words = f"{len(volumes)} volume(s), {sum(counts)} {self.plane} slices"
        if max(counts) == 1:
            words = f"{len(volumes)} single slice(s)"
        elif min(counts) < max(counts):
            words += f" ({min(counts)} to {max(counts)} in each)"
        [(spacing, _)] = spacings.most_common(1)
        words += f", spacing {spacing}"
        if len(spacings) > 1:
            words += f" and {len(spacings) - 1} other(s)"
        if units == {"HU"}:
            words += ", values in Hounsfield units (HU)"
        return words

    def image_of(self, name: str) -> str:
        """Return the name of the volume that a slice is cut from."""
        return volume_name(name)

    def files(self, name: str) -> list[Path]:
        """Return all files that a sample is read from."""
        pair, _ = self._slices[name]
        return [*open_volume(pair.path).files, *pair.masks.files]

    def geometry(self, name: str) -> Geometry | None:
        """Return the size of the pixels of a slice, and its directions, from the headers."""
        pair, index = self._slices[name]
        place = place_of_slice(slice_path(pair.path, index), self._settings)
        return place.view.geometry(place.volume)

    def read(self, name: str) -> Sample:
        """Read a slice.

        Args:
            name: One of `names`.

        Returns:
            The image (H, W, C), float32 or in colours, and its mask.

        Raises:
            DataError: With the path, if the volume or a mask cannot be read or does not fit.
        """
        pair, index = self._slices[name]
        place = place_of_slice(slice_path(pair.path, index), self._settings)
        image = slice_at(place, self._settings)
        layers = pair.masks.layers(place)
        mask = self._mask(layers, name)
        return Sample(name, image.values, mask, geometry=image.geometry)

    def _mask(self, layers: dict[str, Layer], name: str) -> np.ndarray:
        """Return the mask that consists of a layer of all classes, or of one for each class."""
        if "" in layers:
            layer = layers[""]
            if self.task.stores_ids:
                mapping = self.data.mask_values
                others_void = self.data.others_void
                return as_ids(layer.values, self.task, mapping, layer.where, others_void)
            return self._yes_no(layer.values, layer.where)
        masks = {}
        for label, layer in layers.items():
            if layer.is_present:
                masks[label] = layer.values
            else:
                masks[label] = self._yes_no(layer.values, layer.where)
        return from_layers(masks, self.task, self.data.on_top, f"masks of {name}")

    def _check_layers(self) -> None:
        """Raise `DataError` if a mask holds one class per pixel, but classes may overlap."""
        if not self.task.layered or self.has_class_files:
            return
        for pair in self.pairs:
            is_by_label = isinstance(pair.masks, Segments) and not pair.masks.by_number
            if not is_by_label:
                raise DataError(
                    f"{pair.masks.files[0]}: holds one number per pixel, but in a multilabel task "
                    f"a pixel may belong to several classes. Give each class a sub-folder of masks "
                    f"({', '.join(self.task.classes)}), or use a multiclass task",
                    "mask-channels",
                )

    def _find_planes(self) -> list[str]:
        """Return the plane of the slices; raises `ConfigError` if volumes differ in it."""
        planes: dict[str, str] = {}
        for pair in self.pairs:
            view = view_of_volume(open_volume(pair.path), self._settings)
            planes.setdefault(view.plane, pair.name)
        if len(planes) > 1:
            listed = ", ".join(f"{name} is {plane}" for plane, name in planes.items())
            raise ConfigError(
                f"volumes were scanned in different directions ({listed}); name the slices to use",
                "missing-setting",
                setting="data.axis",
            )
        return list(planes)


def open_scans(data: DataConfig, task: Task) -> ScanSource:
    """Open the scans of a config's `data` section; see `ScanSource`."""
    return ScanSource(data, task)


def _check_settings(data: DataConfig, task: Task) -> None:
    check_on_top(data.on_top, task)
    check_mask_ids(data, task)
    for name in ("mask_colours", "list_file"):
        if getattr(data, name) is not None:
            raise ConfigError(
                "is not for scans: their masks are volumes of numbers, DICOM segmentations or "
                "pictures of numbers, paired by name",
                "contradiction",
                setting=f"data.{name}",
            )


def _spacing_in_words(volume: Volume) -> str:
    """Return the spacing of a volume along the axes of its file, in mm."""
    grid = volume.grid
    if not grid.has_spacing:
        return "unknown"
    sides = list(grid.spacing)
    if not grid.has_place:
        del sides[2]  # it is no measurement
    return " x ".join(f"{side:.3g}" for side in sides) + " mm"
