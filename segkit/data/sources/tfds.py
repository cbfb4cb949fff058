"""Prepared TensorFlow data sets, read without TensorFlow: records by seeking, pictures by Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segkit.config import DataConfig
from segkit.config.trust import untrusted
from segkit.data.sources.labels import (
    YesNo,
    as_ids,
    check_mapped_names,
    check_mask_ids,
    from_colours,
)
from segkit.data.sources.pair_names import PARTS
from segkit.data.sources.source import Sample
from segkit.data.sources.tfds_labels import ReadyMap, find_ready, values_for
from segkit.data.sources.tfds_records import Records, picture
from segkit.errors import ConfigError, DataError
from segkit.io import codecs
from segkit.task import Task
from segkit.task.layers import as_planes, stack_planes

MASK_WORDS = ("mask", "segmentation", "label", "annotation")
INFO = "dataset_info.json"


class TfdsSource:
    """The records of a prepared data set's folder; names are the split and the number in it, "train/000012".

    A mask feature holds ids (H, W) or (H, W, 1), or one channel a class (H, W, C) of a multilabel task. What the values
    mean is said by `data.mask_values` or `data.mask_colours`, else by a ready map, else they are ids.
    """

    def __init__(self, folder: Path, data: DataConfig, task: Task) -> None:
        self.folder, self.data, self.task = folder, data, task
        self._records = Records(folder, data.trust)
        info = self._records.info
        ready = find_ready(info.name, info.metadata)
        self.image_key, self.mask_key = _keys(info.features, data, ready, folder)
        self.values, self.band, self._map = _values(ready, data, task, info.name, self.mask_key)
        self._features, self._decoders = _only(info.features, self.image_key, self.mask_key, folder)
        chosen = chosen_splits(list(info.splits), data, ready.without_masks if ready else ())
        places = {part: self._records.places(split) for part, split in chosen.items()}
        self._place = {name: place for part in places.values() for name, place in part.items()}
        self.names = list(self._place)
        self.parts = (
            {part: list(names) for part, names in places.items()} if len(places) > 1 else {}
        )
        self._yes_no = YesNo(task, self.values, instances=data.mask_ids == "instances")

    @property
    def bands(self) -> int:
        """Channels of the masks as they are stored."""
        shape = _shape(self._features[self.mask_key])
        return int(shape[2] or 1) if len(shape) == 3 else 1

    def files(self, name: str) -> list[Path]:
        """Return all files that the sample is read from."""
        return [self._place[name].path]

    def read(self, name: str) -> Sample:
        """Return the sample; raises `DataError` naming the data set's folder and the record."""
        place, where = self._place[name], f"{self.folder}: {name}"
        record = self._records.read(place, where)
        with codecs.naming(Path(where)):
            example = self._features.deserialize_example_np(record, decoders=self._decoders)
            image = _image(self._array(example, self.image_key))
            raw = self._array(example, self.mask_key, where)
        mask = self._mask(
            raw, where + (f" (mask values as known of {self._map})" if self._map else "")
        )
        if mask.shape[:2] != image.shape[:2]:
            raise DataError(
                f"{where}: the mask is {mask.shape[:2]} high and wide, its image {image.shape[:2]}",
                "mask-size",
            )
        return Sample(name, image, mask)

    def _array(self, example: Any, key: str, mask_of: str | None = None) -> np.ndarray:
        """Return the pixels of a feature; with `mask_of`, the record's name, as the values of a mask."""
        stored = example[key]
        if not isinstance(stored, bytes):
            return np.asarray(stored)
        return picture(stored, self._features[key], mask_of, self.data.mask_threshold is not None)

    def _mask(self, raw: np.ndarray, where: str) -> np.ndarray:
        if self.data.mask_colours is not None:
            if raw.dtype != np.uint8 or raw.shape[2:] != (3,):
                raise DataError(
                    f"{where}: a colour mask is 8-bit RGB; found {raw.dtype} {raw.shape}",
                    "mask-channels",
                )
            return from_colours(
                raw, self.task, self.data.mask_colours, self.data.colour_tolerance, where
            )
        if self.data.mask_threshold is not None:
            raw = raw >= self.data.mask_threshold
        raw = raw.astype(np.uint8) if raw.dtype == bool else raw
        if self.task.layered:
            return self._bands(as_planes(raw), where)
        values = _one_channel(raw, self.band, where)
        if self.task.stores_ids:
            return as_ids(values, self.task, self.values, where)
        return self._yes_no(values, where)

    def _bands(self, raw: np.ndarray, where: str) -> np.ndarray:
        if raw.shape[-1] != self.task.channels:
            raise DataError(
                f"{where}: a multilabel mask has one channel a class, {self.task.channels} "
                f"({', '.join(self.task.classes)}); found {raw.shape[-1]}",
                "mask-channels",
            )
        return stack_planes(
            self.task, [self._yes_no(band, where) for band in np.moveaxis(raw, -1, 0)]
        )


def open_tfds(data: DataConfig, task: Task) -> TfdsSource:
    """Return the source of a config's `data` section: the data set `name`, or the one prepared in `data_dir` itself."""
    check_mask_ids(data, task)
    if data.mask_values is not None:
        check_mapped_names(data.mask_values, task)
    if data.mask_colours is not None:
        check_mapped_names(data.mask_colours, task, "mask_colours")
        if task.layered:
            raise ConfigError(
                "a colour names one class, and in a multilabel task several may hold",
                "not-for-task",
                setting="data.mask_colours",
            )
    return TfdsSource(find_folder(data), data, task)


def find_folder(data: DataConfig) -> Path:
    """Return the folder of a prepared data set; it is downloaded and prepared only if `data.download` says so."""
    if data.data_dir is not None and (data.data_dir / INFO).is_file():
        return data.data_dir
    if data.name is not None:
        return _find_named(data, data.name)
    if data.data_dir is None:
        raise ConfigError(
            "the tfds source needs data.name, or data.data_dir with a prepared data set",
            "missing-setting",
            setting="data",
        )
    inside = [
        path.parent
        for depth in ("*", "*/*", "*/*/*")
        for path in sorted(data.data_dir.glob(f"{depth}/{INFO}"))
    ]
    hint = f"; there is one in {inside[0]}" if inside else ""
    raise DataError(f"{data.data_dir}: holds no prepared data set ({INFO}){hint}", "empty")


def _find_named(data: DataConfig, name: str) -> Path:
    import tensorflow_datasets as tfds  # type: ignore[import-untyped]

    # The builder's own code would look into a bucket of Google's first, and without a network wait for minutes.
    kept = str(data.data_dir) if data.data_dir else None
    try:
        return Path(tfds.core.read_only_builder.builder_from_files(name, data_dir=kept).data_dir)
    except tfds.core.DatasetNotFoundError as problem:
        if not data.download:
            place, option = (
                (kept, f" --data_dir {kept}") if kept else (tfds.core.constants.DATA_DIR, "")
            )
            raise DataError(
                f"{name}: is not prepared in {place}. Say data.download: true, or prepare it by "
                f"`tfds build {name}{option}`",
                "empty",
            ) from problem
    except (
        Exception
    ) as problem:  # versions, several places and the like; its words are the best there are
        raise DataError(f"{name}: {problem}") from problem
    if tfds.core.naming.parse_builder_name_kwargs(name)[0].namespace and not data.trust:
        raise untrusted(
            "data.name", name
        )  # the code of a community's data set is fetched and imported
    try:
        builder = tfds.builder(name, data_dir=kept)
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(try_download_gcs=False)
        )
    except Exception as problem:
        raise DataError(
            f"{name}: cannot be downloaded and prepared ({problem})",
            "not-fetched",
        ) from problem
    return Path(builder.data_dir)


def _keys(features: Any, data: DataConfig, ready: ReadyMap | None, folder: Path) -> tuple[str, str]:
    """Return the features of image and mask: as set, as known of the data set, or the only ones that can be meant."""
    pixels = [key for key in sorted(features) if len(_shape(features[key])) in (2, 3)]
    masks = [key for key in pixels if any(word in key.lower() for word in MASK_WORDS)]
    images = [key for key in pixels if "image" in key.lower() and key not in masks]
    known = (ready.image_key, ready.mask_key) if ready else (None, None)
    found = []
    for setting, own, usual, guesses in zip(
        ("image_key", "mask_key"),
        (data.image_key, data.mask_key),
        known,
        (images, masks),
        strict=True,
    ):
        key = own or (usual if usual in pixels else guesses[0] if len(guesses) == 1 else None)
        if key is None or key not in features:
            told = f"there is no feature {key}" if key else f"cannot be guessed, say data.{setting}"
            listed = ", ".join(f"{name} {_shape(features[name])}" for name in sorted(features))
            raise ConfigError(
                f"{told}; {folder} has {listed}",
                "unknown-name" if key else "missing-setting",
                setting=f"data.{setting}",
            )
        found.append(key)
    return found[0], found[1]


def _shape(feature: Any) -> tuple[int | None, ...]:
    shape = feature.shape
    return tuple(shape) if isinstance(shape, tuple) else ()


def _values(
    ready: ReadyMap | None, data: DataConfig, task: Task, name: str, mask_key: str
) -> tuple[dict[int, str] | None, int | None, str | None]:
    """Return what mask values mean, the channel that holds them, and the data set whose ready map said so."""
    if ready is None or mask_key != ready.mask_key:
        return data.mask_values, None, None
    if (
        data.mask_values is not None
        or data.mask_colours is not None
        or data.mask_threshold is not None
    ):
        return data.mask_values, None if data.mask_colours else ready.band, None
    return values_for(ready, task, name), ready.band, name


def _only(features: Any, image_key: str, mask_key: str, folder: Path) -> tuple[Any, dict[str, Any]]:
    """Return the two features, and that pictures are not to be decoded: OpenCV would read palettes as colours."""
    import tensorflow_datasets as tfds

    for key, kinds, what in (
        (image_key, "uif", "numbers"),
        (mask_key, "uib", "whole numbers or true/false"),
    ):
        shape, dtype = _shape(features[key]), features[key].np_dtype
        if len(shape) not in (2, 3) or np.dtype(dtype).kind not in kinds:
            raise DataError(
                f"{folder}: the feature {key} is to be (height, width) or (height, width, channels) of {what}; found "
                f"{shape} {np.dtype(dtype).name}",
                "features",
            )
    wanted = {key: features[key] for key in (image_key, mask_key)}
    pictures = [key for key, feature in wanted.items() if isinstance(feature, tfds.features.Image)]
    return tfds.features.FeaturesDict(wanted), {key: tfds.decode.SkipDecoding() for key in pictures}


def chosen_splits(
    splits: Sequence[str], data: DataConfig, without_masks: Sequence[str]
) -> dict[str, str]:
    """Return the split of each part: the data set's own, or only `data.split` where that is not all of train."""
    known = {
        PARTS[split]: split
        for split in sorted(splits)
        if split in PARTS and split not in without_masks
    }
    order: tuple[str, ...] = ("train", "validation", "test")
    named = {part: known[part] for part in order if part in known}
    return (
        named if data.split == "train" and named.get("train") == "train" else {"train": data.split}
    )


def _image(array: np.ndarray) -> np.ndarray:
    """Return an image as (H, W, C) uint8, uint16 or float32."""
    array = array[..., None] if array.ndim == 2 else array
    if array.dtype in (np.uint8, np.uint16):
        return array
    array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError("the image holds NaN or infinite values; replace them by a number")
    return array


def _one_channel(raw: np.ndarray, band: int | None, where: str) -> np.ndarray:
    """Return the channel of a mask that holds its values: a given one, or any of equal ones."""
    if raw.ndim == 3 and band is not None and raw.shape[-1] > band:
        return raw[..., band]
    if raw.ndim == 3 and raw.shape[-1] > 1 and (raw != raw[..., :1]).any():
        raise DataError(
            f"{where}: a mask of {raw.shape[-1]} different channels; one value a pixel is needed. If colours stand for "
            f"classes, name them with data.mask_colours; if several classes may hold at a pixel, the task is multilabel",
            "mask-colours",
        )
    return raw[..., 0] if raw.ndim == 3 else raw
