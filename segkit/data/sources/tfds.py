"""Prepared TensorFlow data sets. TensorFlow does not run: segkit seeks records and decodes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.config import DataConfig
from segkit.data.sources.labels import (
    YesNo,
    as_ids,
    check_mapped_names,
    check_mask_ids,
    check_other_values,
)
from segkit.data.sources.mask_colours import from_colours
from segkit.data.sources.pair_names import PARTS
from segkit.data.sources.source import Sample
from segkit.data.sources.tfds_folder import find_folder
from segkit.data.sources.tfds_labels import ReadyMap, find_ready, values_for
from segkit.data.sources.tfds_records import RecordLocation, Records, picture
from segkit.errors import ConfigError, DataError
from segkit.io import codecs
from segkit.task import Task
from segkit.task.layers import as_planes, stack_planes
from segkit.task.sets import Meaning

MASK_WORDS = ("mask", "segmentation", "label", "annotation")
"""Words in the name of a feature by which it is recognised as the mask."""


class MaskReading(NamedTuple):
    """How the values of the mask feature are read."""

    values: Mapping[int, Meaning] | None
    """What each value means; None if the values are class ids, or if other settings say it."""
    band: int | None = None
    """The channel that stores the values; None if the mask has one channel, or equal ones."""
    origin: str | None = None
    """The data set from whose ready map `values` come; None if they come from the config."""


class TfdsSource:
    """The records of a prepared data set.

    A sample's name is its split and its number there, such as "train/000012". A mask feature stores
    class ids (H, W) or (H, W, 1), or, in a multilabel task, one channel per class (H, W, C).
    `data.mask_values` or `data.mask_colours` say what the values mean. Without them a ready map of
    `tfds_labels` does; without a ready map the values are class ids.

    Args:
        folder: The folder of the data set, which contains dataset_info.json.
        data: The `data` section of a config.
        task: The task whose masks are read.

    Raises:
        ConfigError: If the settings do not fit the data set.
        DataError: If the data set cannot be opened.
    """

    def __init__(self, folder: Path, data: DataConfig, task: Task) -> None:
        self.folder = folder
        self.data = data
        self.task = task
        self._records = Records(folder, data.trust)
        info = self._records.info
        ready = find_ready(info.name, info.metadata)
        self.image_key, self.mask_key = _choose_keys(info.features, data, ready, folder)
        self._features, self._decoders = _select_features(
            info.features, self.image_key, self.mask_key, folder
        )
        self._reading = MaskReading(data.mask_values)
        if ready is not None and self.mask_key == ready.mask_key:
            self._reading = _choose_reading(ready, data, task, info.name)
        check_other_values(data)
        self._yes_no = YesNo(
            task,
            self._reading.values,
            instances=data.mask_ids == "instances",
            others_void=data.others_void,
        )
        self.parts: dict[str, list[str]] = {}
        self._locations: dict[str, RecordLocation] = {}
        without_masks = ready.without_masks if ready else ()
        for part, split in chosen_splits(list(info.splits), data, without_masks).items():
            locations = self._records.places(split)
            self.parts[part] = list(locations)
            self._locations |= locations
        self.names = list(self._locations)
        if len(self.parts) == 1:
            self.parts = {}

    @property
    def bands(self) -> int:
        """Number of channels of the masks as they are stored."""
        shape = _shape(self._features[self.mask_key])
        return int(shape[2] or 1) if len(shape) == 3 else 1

    def files(self, name: str) -> list[Path]:
        """Return all files that a sample is read from."""
        return [self._locations[name].path]

    def read(self, name: str) -> Sample:
        """Read a sample.

        Args:
            name: One of `names`.

        Returns:
            The image (H, W, C), uint8, uint16 or float32, and its mask.

        Raises:
            DataError: With the folder of the data set and the name of the record.
        """
        where = f"{self.folder}: {name}"
        record = self._records.read(self._locations[name], where)
        with codecs.naming(Path(where)):
            example = self._features.deserialize_example_np(record, decoders=self._decoders)
            image = _as_image(self._pixels(example, self.image_key))
            stored = self._pixels(example, self.mask_key, mask_of=where)
        mask_name = where
        if self._reading.origin:
            mask_name += f" (mask values as known for {self._reading.origin})"
        mask = self._as_mask(stored, mask_name)
        if mask.shape[:2] != image.shape[:2]:
            raise DataError(
                f"{where}: the mask is {mask.shape[:2]} (height, width), its image is "
                f"{image.shape[:2]}",
                "mask-size",
            )
        return Sample(name, image, mask)

    def _pixels(self, example: Any, key: str, mask_of: str | None = None) -> np.ndarray:
        """Return the pixels of a feature; `mask_of` names the record if the feature is the mask."""
        stored = example[key]
        if not isinstance(stored, bytes):
            pixels = np.asarray(stored)
            if pixels.ndim not in (2, 3):
                raise ValueError(f"the record has no pixels of the feature {key}")
            return pixels
        lossy_too = self.data.mask_threshold is not None
        return picture(stored, self._features[key], mask_of, lossy_too)

    def _as_mask(self, stored: np.ndarray, where: str) -> np.ndarray:
        if self.data.mask_colours is not None:
            return self._named_colours(stored, self.data.mask_colours, where)
        if self.data.mask_threshold is not None:
            stored = stored >= self.data.mask_threshold
        if stored.dtype == bool:
            stored = stored.astype(np.uint8)
        if self.task.layered:
            return self._one_band_per_class(as_planes(stored), where)
        values = _one_channel(stored, self._reading.band, where)
        if self.task.stores_ids:
            mapping = self._reading.values
            return as_ids(values, self.task, mapping, where, self.data.others_void)
        return self._yes_no(values, where)

    def _named_colours(
        self, stored: np.ndarray, colours: Mapping[str, Meaning], where: str
    ) -> np.ndarray:
        if stored.dtype != np.uint8 or stored.shape[2:] != (3,):
            raise DataError(
                f"{where}: a colour mask is 8-bit RGB; found {stored.dtype} {stored.shape}",
                "mask-channels",
            )
        tolerance = self.data.colour_tolerance
        return from_colours(stored, self.task, colours, tolerance, where, self.data.others_void)

    def _one_band_per_class(self, stored: np.ndarray, where: str) -> np.ndarray:
        if stored.shape[-1] != self.task.channels:
            raise DataError(
                f"{where}: a multilabel mask has one channel per class, {self.task.channels} "
                f"({', '.join(self.task.classes)}); found {stored.shape[-1]}",
                "mask-channels",
            )
        planes = [self._yes_no(band, where) for band in np.moveaxis(stored, -1, 0)]
        return stack_planes(self.task, planes)


def open_tfds(data: DataConfig, task: Task) -> TfdsSource:
    """Open the prepared data set of a config's `data` section.

    Args:
        data: The section. `name` or `data_dir` names the data set.
        task: The task whose masks are read.

    Returns:
        The source.

    Raises:
        ConfigError: If a setting does not fit the task or the data set.
        DataError: If there is no such data set, or if it cannot be opened.
    """
    check_mask_ids(data, task)
    if data.mask_values is not None:
        check_mapped_names(data.mask_values, task)
    if data.mask_colours is not None:
        check_mapped_names(data.mask_colours, task, "mask_colours")
        if task.layered:
            raise ConfigError(
                "a colour names one class, but in a multilabel task a pixel may belong to several",
                "not-for-task",
                setting="data.mask_colours",
            )
    return TfdsSource(find_folder(data), data, task)


def _choose_keys(
    features: Any, data: DataConfig, ready: ReadyMap | None, folder: Path
) -> tuple[str, str]:
    """Return the names of the image feature and of the mask feature."""
    pixels = [key for key in sorted(features) if len(_shape(features[key])) in (2, 3)]
    masks = []
    images = []
    for key in pixels:
        if any(word in key.lower() for word in MASK_WORDS):
            masks.append(key)
        elif "image" in key.lower():
            images.append(key)
    if ready is not None and ready.image_key in pixels:
        images = [ready.image_key]
    if ready is not None and ready.mask_key in pixels:
        masks = [ready.mask_key]
    image_key = _choose_key("data.image_key", data.image_key, images, features, folder)
    mask_key = _choose_key("data.mask_key", data.mask_key, masks, features, folder)
    return image_key, mask_key


def _choose_key(
    setting: str, configured: str | None, candidates: Sequence[str], features: Any, folder: Path
) -> str:
    """Return the configured feature, or the only candidate."""
    listed = ", ".join(f"{name} {_shape(features[name])}" for name in sorted(features))
    if configured:
        if configured in features:
            return configured
        raise ConfigError(
            f"there is no feature {configured}; {folder} has {listed}",
            "unknown-name",
            setting=setting,
        )
    if len(candidates) == 1:
        return candidates[0]
    raise ConfigError(
        f"segkit cannot choose one of the features, so set it; {folder} has {listed}",
        "missing-setting",
        setting=setting,
    )


def _shape(feature: Any) -> tuple[int | None, ...]:
    """Return the shape of a feature; () for a feature of several shapes, such as a dictionary."""
    shape = feature.shape
    return tuple(shape) if isinstance(shape, tuple) else ()


def _choose_reading(ready: ReadyMap, data: DataConfig, task: Task, name: str) -> MaskReading:
    """Return how the mask of a ready map is read; the settings of the config come first."""
    if data.mask_colours is not None:
        return MaskReading(None)
    if data.mask_values is not None or data.mask_threshold is not None:
        return MaskReading(data.mask_values, ready.band)
    return MaskReading(values_for(ready, task, name), ready.band, name)


def _select_features(
    features: Any, image_key: str, mask_key: str, folder: Path
) -> tuple[Any, dict[str, Any]]:
    """Return the two features, and decoders that leave pictures encoded.

    TensorFlow Datasets would decode pictures with OpenCV, which turns palette indices into colours.
    """
    import tensorflow_datasets as tfds  # type: ignore[import-untyped]

    _check_feature(features[image_key], image_key, "uif", "numbers", folder)
    _check_feature(features[mask_key], mask_key, "uib", "whole numbers or true/false", folder)
    selected = {key: features[key] for key in (image_key, mask_key)}
    decoders = {}
    for key, feature in selected.items():
        if isinstance(feature, tfds.features.Image):
            decoders[key] = tfds.decode.SkipDecoding()
    return tfds.features.FeaturesDict(selected), decoders


def _check_feature(feature: Any, key: str, kinds: str, description: str, folder: Path) -> None:
    shape = _shape(feature)
    dtype = np.dtype(feature.np_dtype)
    if len(shape) not in (2, 3) or dtype.kind not in kinds:
        raise DataError(
            f"{folder}: the feature {key} must be (height, width) or (height, width, channels) of "
            f"{description}; found {shape} {dtype.name}",
            "features",
        )


def chosen_splits(
    splits: Sequence[str], data: DataConfig, without_masks: Sequence[str]
) -> dict[str, str]:
    """Choose the split of each part.

    Args:
        splits: The names of the data set's splits.
        data: The `data` section. If `split` is not the whole of "train", it is the only split.
        without_masks: Splits without usable masks, which are never chosen.

    Returns:
        The split by part, in the order "train", "validation", "test".

    >>> chosen_splits(["val", "train"], DataConfig(), ())
    {'train': 'train', 'validation': 'val'}
    """
    by_part = {}
    for split in sorted(splits):
        if split in PARTS and split not in without_masks:
            by_part[PARTS[split]] = split
    if data.split != "train" or by_part.get("train") != "train":
        return {"train": data.split}
    return {part: by_part[part] for part in ("train", "validation", "test") if part in by_part}


def _as_image(array: np.ndarray) -> np.ndarray:
    """Return an image as (H, W, C) uint8, uint16 or float32."""
    if array.ndim == 2:
        array = array[..., None]
    if array.dtype in (np.uint8, np.uint16):
        return array
    array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError("the image holds NaN or infinite values; replace them by a number")
    return array


def _one_channel(stored: np.ndarray, band: int | None, where: str) -> np.ndarray:
    """Return the channel (H, W) of a mask that stores its values: `band`, or any of equal ones."""
    if stored.ndim == 2:
        return stored
    if band is not None and stored.shape[-1] > band:
        return stored[..., band]
    if stored.shape[-1] > 1 and (stored != stored[..., :1]).any():
        raise DataError(
            f"{where}: the mask has {stored.shape[-1]} different channels, but each pixel needs "
            f"one value. If colours stand for classes, name them with data.mask_colours; if a "
            f"pixel may belong to several classes, the task is multilabel",
            "mask-colours",
        )
    return stored[..., 0]
