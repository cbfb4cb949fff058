"""Tiny prepared TensorFlow data sets, written by TensorFlow."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from segkit import Task
from segkit.config import DataConfig
from segkit.data.sources.source import Sample
from segkit.data.sources.tfds import TfdsSource, open_tfds

ORGANS = Task.multiclass(["background", "liver", "tumour"])
CRACK = Task.binary("crack")
PICTURES = {
    "image": tfds.features.Image(encoding_format="png"),
    "segmentation_mask": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
}


def drawn(number: int) -> dict[str, Any]:
    """Return an image and a mask of ids 0 to 2, of a size of its own."""
    rng = np.random.default_rng(number)
    height, width = 4 + number, 9 - number
    return {
        "image": rng.integers(0, 256, (height, width, 3), np.uint8),
        "segmentation_mask": rng.integers(0, 3, (height, width, 1), np.uint8),
    }


def write(
    folder: Path,
    features: Mapping[str, Any],
    records: Sequence[Any],
    name: str = "tiny",
    **settings: Any,
) -> Path:
    """Write records as a prepared data set of one split, train."""
    folder.mkdir(parents=True)
    identity = tfds.core.dataset_info.DatasetIdentity(
        name=name, version="1.0.0", data_dir=str(folder), module_name=""
    )
    info = tfds.core.DatasetInfo(builder=identity, features=tfds.features.FeaturesDict(features))
    writer = tfds.core.SequentialWriter(info, max_examples_per_shard=100, **settings)
    writer.initialize_splits(["train"])
    writer.add_examples({"train": records})
    writer.close_all()
    return folder


def opened(folder: Path, task: Task = ORGANS, **data: Any) -> TfdsSource:
    return open_tfds(
        DataConfig.model_validate({"source": "tfds", "data_dir": folder, **data}), task
    )


def png(pixels: Any, mode: str | None = None, kind: str = "png") -> io.BytesIO:
    content = io.BytesIO()
    picture = Image.fromarray(np.asarray(pixels, np.uint8))
    if mode == "P":
        picture.putpalette([200, 0, 0, 0, 200, 0, 0, 0, 200] + [0] * 759)
    picture.save(content, kind)
    content.seek(0)
    return content


def assert_same(one: Sample, other: Sample) -> None:
    for field in ("image", "mask"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
        assert getattr(one, field).dtype == getattr(other, field).dtype
