"""Write a data set anew: as folders of images and masks, or as a TensorFlow data set that reads without its builder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from segkit.config import ConfigLike, as_config
from segkit.data.parts import open_parts
from segkit.data.sources.source import Sample, Subset
from segkit.errors import ConfigError, DataError, RunError
from segkit.io.folders import whole_folder
from segkit.io.images import write_image
from segkit.io.masks import write_mask
from segkit.io.names import check_class_folders, check_file_names
from segkit.system.keras_start import load_keras
from segkit.system.progress import Progress
from segkit.task import VOID, Task
from segkit.task.layers import as_planes

FORMATS = ("folder", "tfds")
SHARD = 500
"""Records a file: some hundred megabytes of photographs."""
PICTURE_BANDS = (1, 3)
"""Channels that a PNG keeps; others are stored as arrays."""
Done = Callable[[], None]


def convert(
    config: ConfigLike,
    out: str | PathLike[str],
    *,
    to: str = "folder",
    part: str | None = None,
    progress: Progress | None = None,
) -> None:
    """Write a data set anew.

    Args:
        config: How to read it: a `segkit.Config`, a dictionary of its sections, or the path of a YAML file.
        out: A new folder.
        to: "folder" for folders of images and masks, "tfds" for a TensorFlow data set with a split for each part.
        part: "train", "validation" or "test"; all of them by default.
        progress: Receives the number of samples that are written.

    Raises:
        ConfigError: For another format or part, or if two parts have a sample of one name, which a folder cannot hold.
        DataError: For a sample that cannot be read.
        RunError: If the folder is not empty.
    """
    config = as_config(config)
    convert_parts(config.task, open_parts(config), Path(out), to=to, part=part, progress=progress)


def convert_parts(
    task: Task,
    parts: Mapping[str, Subset],
    out: Path,
    *,
    to: str = "folder",
    part: str | None = None,
    progress: Progress | None = None,
) -> None:
    """Do what `convert` does, with parts that are open."""
    progress = progress or Progress()
    if to not in FORMATS:
        raise ConfigError(
            f"one of {', '.join(FORMATS)}; found {to!r}", "unknown-name", setting="--to"
        )
    if part is not None and part not in parts:
        raise ConfigError(
            f"one of {', '.join(parts)}; found {part!r}", "unknown-name", setting="--part"
        )
    require_empty(out)
    out = Path(os.path.realpath(out))  # the folder that a link leads to
    chosen = {name: subset for name, subset in parts.items() if part in (None, name)}
    write = to_folder
    if to == "tfds":
        load_keras()  # TensorFlow, which writing needs, starts without its messages here
        write = to_tfds
    with progress.counting(
        "writing samples", sum(len(subset) for subset in chosen.values())
    ) as done:
        write(task, chosen, out, done)


def require_empty(out: Path) -> None:
    """Raise `RunError` unless `out` is a new or empty folder."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out}: is not empty; give a new folder", "exists-already")


def to_folder(
    task: Task, parts: Mapping[str, Subset], out: Path, done: Done = lambda: None
) -> None:
    """Write the samples of all parts into OUT/images and OUT/masks, as the folder source reads them.

    Raises `ConfigError` or `DataError` before anything is written if two parts have a sample of one name, or names cannot
    be those of files.
    """
    require_empty(out)
    check_class_folders(task)
    check_file_names(name for part in parts.values() for name in part.names)
    counts = Counter(name for part in parts.values() for name in part.names)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise ConfigError(
            f"{len(twice)} names stand in more than one part ({', '.join(twice[:3])}), and a folder has each name once; "
            f"write each part into a folder of its own (segkit convert --part)",
            "given-twice",
        )
    with whole_folder(out) as folder:
        for part in parts.values():
            for sample in part:
                write_image(folder / "images", sample.name, sample.image)
                write_mask(task, sample.mask, folder / "masks", sample.name)
                done()


def to_tfds(task: Task, parts: Mapping[str, Subset], out: Path, done: Done = lambda: None) -> None:
    """Write a prepared TensorFlow data set into OUT, each part a split; the tfds source reads back equal samples.

    Its features are image, segmentation_mask (one channel, or one a class in a multilabel task) and name. All samples are
    read twice, because the feature's depth and channels are written first; `done` is called after each sample written.
    """
    require_empty(out)
    given = {part: subset for part, subset in parts.items() if len(subset)}
    if not given:
        raise DataError("there is no sample to write", "empty")
    depth, bands = image_kind(sample for part in given.values() for sample in part)
    with whole_folder(out) as folder:
        writer = _writer(task, folder, depth, bands)
        writer.initialize_splits(list(given))
        writer.add_examples({part: _examples(task, subset, done) for part, subset in given.items()})
        writer.close_all()


def image_kind(samples: Iterator[Sample]) -> tuple[np.dtype[Any], int | None]:
    """Return depth and channels of all images, None where the channels differ.

    Raises `DataError` for images of different depth.
    """
    kinds: dict[tuple[np.dtype[Any], int], str] = {}
    for sample in samples:
        kinds.setdefault((sample.image.dtype, sample.image.shape[-1]), sample.name)
    depths = {depth: name for (depth, _), name in kinds.items()}
    if len(depths) > 1:
        told = ", ".join(f"{name} is {depth}" for depth, name in depths.items())
        raise DataError(
            f"images of one data set have one depth: {told}; convert one of them", "depth"
        )
    bands = {bands for _, bands in kinds}
    return next(iter(depths)), bands.pop() if len(bands) == 1 else None


def _examples(task: Task, subset: Subset, done: Done) -> Iterator[dict[str, Any]]:
    for sample in subset:
        target = task.encode(sample.mask, sample.name, void=VOID)
        yield {"image": sample.image, "segmentation_mask": as_planes(target), "name": sample.name}
        done()


def _writer(task: Task, folder: Path, depth: np.dtype[Any], bands: int | None) -> Any:
    os.environ.setdefault(
        "TF_CPP_MIN_LOG_LEVEL", "2"
    )  # read when TensorFlow is loaded, which writing needs
    import tensorflow_datasets as tfds  # type: ignore[import-untyped]

    identity = tfds.core.dataset_info.DatasetIdentity(
        name="segkit", version="1.0.0", data_dir=str(folder), module_name=""
    )
    info = tfds.core.DatasetInfo(
        builder=identity,
        description=f"Written by segkit for the classes {', '.join(task.classes)}; 255 is unlabelled.",
        features=tfds.features.FeaturesDict(
            {
                "image": _feature(tfds, depth, bands),
                "segmentation_mask": _feature(
                    tfds, np.dtype(np.uint8), task.planes, not task.layered
                ),
                "name": tfds.features.Text(),
            }
        ),
        metadata=tfds.core.MetadataDict(segkit={"kind": task.kind, "classes": list(task.classes)}),
    )
    return tfds.core.SequentialWriter(info, max_examples_per_shard=SHARD)


def _feature(tfds: Any, depth: np.dtype[Any], bands: int | None, picture: bool = True) -> Any:
    """Return a PNG feature where that keeps the pixels, else one of compressed arrays."""
    shape = (None, None, bands)
    if picture and bands in PICTURE_BANDS and depth in (np.uint8, np.uint16):
        return tfds.features.Image(shape=shape, dtype=depth.type, encoding_format="png")
    return tfds.features.Tensor(shape=shape, dtype=depth.type, encoding="zlib")
