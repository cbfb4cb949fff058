"""Writes a data set as folders of images and masks, in the format of a labelling tool, or as a
TensorFlow data set.

The TensorFlow data set can be read without a builder class.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from segkit import catalog
from segkit.config import ConfigLike, as_config
from segkit.data.parts import open_data
from segkit.data.sources.source import Sample, Subset
from segkit.errors import ConfigError, DataError, RunError
from segkit.io.atomic import write_text
from segkit.io.folders import whole_folder
from segkit.io.images import write_image
from segkit.io.masks import write_mask
from segkit.io.names import check_class_folders, check_file_names
from segkit.system.keras_start import load_keras
from segkit.system.progress import Progress
from segkit.task import VOID, Task
from segkit.task.layers import as_planes

FORMATS = ("folder", "tfds", *catalog.WRITERS)
CONFIG = "config.yaml"
"""The file beside the labels of a tool that reads them."""
SHARD = 500
"""Records per file: some hundred megabytes of photographs."""
PICTURE_BANDS = (1, 3)
"""Numbers of channels that PNG can store; other images are stored as arrays."""
OnWritten = Callable[[], None]
"""Is called after each sample that was written."""


def convert(
    config: ConfigLike,
    out: str | PathLike[str],
    *,
    to: str = "folder",
    part: str | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the data of a config in another format.

    Args:
        config: How the data are read: a `segkit.Config`, a dictionary of its sections, or the path
            of a YAML file.
        out: A new or empty folder.
        to: "folder" for folders of images and masks, "tfds" for a TensorFlow data set with one
            split per part, or a format of `segkit.catalog.WRITERS` for a labelling tool. Beside
            the files of a tool, config.yaml reads them.
        part: "train", "validation" or "test"; all of them by default.
        progress: Receives the number of samples that are written.

    Raises:
        ConfigError: For another format or part, if pixels can have several classes, or, without
            "tfds", if two parts contain a sample of one name.
        DataError: If a sample cannot be read.
        RunError: If the folder is not empty.
    """
    config = as_config(config)
    config, parts = open_data(config)
    convert_parts(config.task, parts, Path(out), to=to, part=part, progress=progress)


def convert_parts(
    task: Task,
    parts: Mapping[str, Subset],
    out: Path,
    *,
    to: str = "folder",
    part: str | None = None,
    progress: Progress | None = None,
) -> None:
    """Write parts that are open; see `convert`."""
    progress = progress or Progress()
    if to not in FORMATS:
        raise ConfigError(
            f"must be one of {', '.join(FORMATS)}; found {to!r}", "unknown-name", setting="--to"
        )
    if part is not None and part not in parts:
        raise ConfigError(
            f"must be one of {', '.join(parts)}; found {part!r}", "unknown-name", setting="--part"
        )
    _refuse_sets(task)
    notes: list[str] = []
    if task.soft:
        task = task.model_copy(update={"soft": False})
        notes.append("soft labels are written as masks of their most probable classes")
    require_empty(out)
    out = Path(os.path.realpath(out))  # writing replaces the folder, so a link must be followed
    chosen = {name: subset for name, subset in parts.items() if part in (None, name)}
    total = sum(len(subset) for subset in chosen.values())
    if to == "tfds":
        load_keras()  # starts TensorFlow without its messages; writing needs it
    with progress.counting("writing samples", total) as count_one:
        if to == "tfds":
            to_tfds(task, chosen, out, count_one)
        elif to == "folder":
            to_folder(task, chosen, out, count_one)
        else:
            notes += to_tool(task, chosen, out, to, count_one)
    for sentence in notes:
        progress.message(f"{out}: {sentence}")


def require_empty(out: Path) -> None:
    """Raise `RunError` unless `out` is a new or empty folder."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out}: is not empty; choose a new folder", "exists-already")


def _refuse_sets(task: Task) -> None:
    """Raise `ConfigError` if pixels can have several classes, which the formats cannot store."""
    if task.sets:
        raise ConfigError(
            f"the masks have pixels with several possible classes ({len(task.sets)} sets of "
            f"classes), which a converted data set cannot store. Keep the masks together with the "
            f"config that reads them",
            "not-for-task",
            setting="task.sets",
        )


def _ignore() -> None:
    """Do nothing after a sample."""


def to_folder(
    task: Task, parts: Mapping[str, Subset], out: Path, on_written: OnWritten = _ignore
) -> None:
    """Write the samples of all parts into OUT/images and OUT/masks, for the folder source.

    Args:
        task: The task of the masks.
        parts: The samples.
        out: A new or empty folder.
        on_written: Is called after each sample.

    Raises:
        ConfigError: If two parts contain a sample of one name. Nothing is written then.
        DataError: If a name cannot be the name of a file, or if a sample cannot be read.
        RunError: If the folder is not empty.
    """
    require_empty(out)
    check_class_folders(task)
    _check_names(parts)
    with whole_folder(out) as folder:
        for subset in parts.values():
            for sample in subset:
                write_image(folder / "images", sample.name, sample.image)
                write_mask(task, sample.mask, folder / "masks", sample.name)
                on_written()


def _check_names(parts: Mapping[str, Subset]) -> None:
    """Raise an error if the names of samples cannot be different files in one folder."""
    counts: Counter[str] = Counter()
    for subset in parts.values():
        counts.update(subset.names)
    check_file_names(counts)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        raise ConfigError(
            f"{len(repeated)} names are in more than one part ({', '.join(repeated[:3])}), but in "
            f"a folder each name is unique; write each part into its own folder "
            f"(segkit convert --part)",
            "given-twice",
        )


def to_tool(
    task: Task,
    parts: Mapping[str, Subset],
    out: Path,
    to: str,
    on_written: OnWritten = _ignore,
) -> list[str]:
    """Write the samples of all parts in the format of a labelling tool, and a config.yaml.

    Args:
        task: The task of the masks.
        parts: The samples.
        out: A new or empty folder.
        to: A format of `segkit.catalog.WRITERS`.
        on_written: Is called after each sample.

    Returns:
        What the format could not store: a sentence each.

    Raises:
        ConfigError: If two parts contain a sample of one name. Nothing is written then.
        DataError: If there is no sample, if one cannot be read, or if the format cannot store it.
        RunError: If the folder is not empty.
    """
    require_empty(out)
    _check_names(parts)
    filled = {part: subset for part, subset in parts.items() if len(subset)}
    if not filled:
        raise DataError("there is no sample to write", "empty")
    with whole_folder(out) as folder:
        writer = catalog.load_part(catalog.WRITERS, to)(task, folder, list(filled))
        for part, subset in filled.items():
            for sample in subset:
                writer.add(sample, part)
                on_written()
        _write_config(folder / CONFIG, task, writer.finish(), list(filled))
    losses: list[str] = writer.losses
    return losses


def _write_config(path: Path, task: Task, settings: Mapping[str, Any], parts: list[str]) -> None:
    """Write the config that reads the labels of a tool; parts without samples have the share 0."""
    data = {"relative_to": "config", **settings}
    for part in ("validation", "test"):
        if part not in parts or "train" not in parts:
            data.setdefault(part, 0)
    config = {"task": task.model_dump(mode="json"), "data": data}
    write_text(path, yaml.safe_dump(config, allow_unicode=True, sort_keys=False))


def to_tfds(
    task: Task, parts: Mapping[str, Subset], out: Path, on_written: OnWritten = _ignore
) -> None:
    """Write a prepared TensorFlow data set, which the tfds source reads back as equal samples.

    Its features are image, segmentation_mask (one channel, or one per class in a multilabel task)
    and name. Each sample is read twice, because depth and channels of the feature are written
    first.

    Args:
        task: The task of the masks.
        parts: The samples. Each part that is not empty becomes a split.
        out: A new or empty folder.
        on_written: Is called after each sample.

    Raises:
        DataError: If there is no sample, if depths differ, or if a sample cannot be read.
        RunError: If the folder is not empty.
    """
    require_empty(out)
    filled = {part: subset for part, subset in parts.items() if len(subset)}
    if not filled:
        raise DataError("there is no sample to write", "empty")
    depth, bands = image_kind(_samples_of(filled))
    with whole_folder(out) as folder:
        writer = _writer(task, folder, depth, bands)
        writer.initialize_splits(list(filled))
        examples = {part: _examples(task, subset, on_written) for part, subset in filled.items()}
        writer.add_examples(examples)
        writer.close_all()


def image_kind(samples: Iterator[Sample]) -> tuple[np.dtype[Any], int | None]:
    """Find the depth and the number of channels of some images.

    Args:
        samples: The samples, at least one.

    Returns:
        The dtype of all images, and their number of channels, or None if that differs.

    Raises:
        DataError: If images differ in depth.
    """
    name_by_depth: dict[np.dtype[Any], str] = {}
    bands = set()
    for sample in samples:
        name_by_depth.setdefault(sample.image.dtype, sample.name)
        bands.add(sample.image.shape[-1])
    if len(name_by_depth) > 1:
        found = ", ".join(f"{name} is {depth}" for depth, name in name_by_depth.items())
        raise DataError(
            f"images of one data set must have one depth: {found}; convert the others", "depth"
        )
    [depth] = name_by_depth
    return depth, bands.pop() if len(bands) == 1 else None


def _samples_of(parts: Mapping[str, Subset]) -> Iterator[Sample]:
    for subset in parts.values():
        yield from subset


def _examples(task: Task, subset: Subset, on_written: OnWritten) -> Iterator[dict[str, Any]]:
    for sample in subset:
        target = task.encode(sample.mask, sample.name, void=VOID)
        yield {"image": sample.image, "segmentation_mask": as_planes(target), "name": sample.name}
        on_written()


def _writer(task: Task, folder: Path, depth: np.dtype[Any], bands: int | None) -> Any:
    """Return a writer of records with the features of the task."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow reads it at its import
    import tensorflow_datasets as tfds  # type: ignore[import-untyped]

    identity = tfds.core.dataset_info.DatasetIdentity(
        name="segkit", version="1.0.0", data_dir=str(folder), module_name=""
    )
    masks = _feature(tfds, np.dtype(np.uint8), task.planes, is_picture=not task.layered)
    features = {
        "image": _feature(tfds, depth, bands),
        "segmentation_mask": masks,
        "name": tfds.features.Text(),
    }
    info = tfds.core.DatasetInfo(
        builder=identity,
        description=(
            f"Written by segkit for the classes {', '.join(task.classes)}; 255 is unlabelled."
        ),
        features=tfds.features.FeaturesDict(features),
        metadata=tfds.core.MetadataDict(segkit={"kind": task.kind, "classes": list(task.classes)}),
    )
    return tfds.core.SequentialWriter(info, max_examples_per_shard=SHARD)


def _feature(tfds: Any, depth: np.dtype[Any], bands: int | None, is_picture: bool = True) -> Any:
    """Return a PNG feature if PNG preserves the pixels, else one of compressed arrays."""
    shape = (None, None, bands)
    if is_picture and bands in PICTURE_BANDS and depth in (np.uint8, np.uint16):
        return tfds.features.Image(shape=shape, dtype=depth.type, encoding_format="png")
    return tfds.features.Tensor(shape=shape, dtype=depth.type, encoding="zlib")
