"""The tfds source against TensorFlow's own reader: written by TensorFlow, read without it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds

from segkit import ConfigError, DataError, Task
from segkit.config import Config, DataConfig
from segkit.data.parts import open_parts
from segkit.data.sources.source import Sample, open_source
from segkit.data.sources.tfds import open_tfds
from segkit.inspection.mask_format.detect import detect_format
from tests.helpers.errors import fails
from tests.helpers.prepared_tfds import CRACK, ORGANS, PICTURES, assert_same, drawn, opened, write

ROOT = Path(__file__).parents[3]


class TinyOrgans(tfds.core.GeneratorBasedBuilder):
    """What a user writes to prepare a data set from images."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> Any:
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(PICTURES))

    def _split_generators(self, _: Any) -> Any:
        return {
            "train": self._generate_examples(range(5)),
            "test": self._generate_examples(range(5, 7)),
        }

    def _generate_examples(self, numbers: range) -> Any:
        yield from ((number, drawn(number)) for number in numbers)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tensorflow_datasets")
    download = tfds.download.DownloadConfig(try_download_gcs=False, num_shards=2)
    TinyOrgans(data_dir=folder).download_and_prepare(download_config=download)
    return folder


@pytest.fixture
def prepared(root: Path, tmp_path: Path) -> Path:
    """A copy of the data set that a test may damage."""
    return shutil.copytree(root / "tiny_organs" / "1.0.0", tmp_path / "prepared")


def test_samples_are_those_of_tfds_load_in_its_order(root: Path) -> None:
    source = opened(root / "tiny_organs" / "1.0.0")
    one_by_one = tfds.ReadConfig(interleave_cycle_length=1)
    for part, names in source.parts.items():
        loaded = tfds.load(
            "tiny_organs", split=part, data_dir=root, read_config=one_by_one, shuffle_files=False
        )
        examples = list(loaded.as_numpy_iterator())
        assert len(examples) == len(names) > 0
        for name, example in zip(names, examples, strict=True):
            assert_same(
                source.read(name),
                Sample(name, example["image"], example["segmentation_mask"][..., 0]),
            )


def test_reading_needs_neither_the_builders_code_nor_tensorflow(root: Path) -> None:
    code = f"""
import json, sys
from segkit.config import Config
from segkit.data.parts import open_parts
config = Config.model_validate(json.loads(sys.argv[1]))
sums = {{}}
for part in open_parts(config).values():
    for sample in part:
        sums[sample.name] = int(sample.mask.sum())
slow = [name for name in ("tensorflow", "keras", "jax", "{__name__}") if name in sys.modules]
print(json.dumps([sums, slow]))
"""
    data = {"source": "tfds", "name": "tiny_organs", "data_dir": str(root)}
    config = json.dumps({"task": ORGANS.model_dump(mode="json"), "data": data})
    done = subprocess.run(
        [sys.executable, "-c", code, config], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    sums, slow = json.loads(done.stdout)
    assert slow == []
    assert sorted(sums.values()) == sorted(
        int(drawn(i)["segmentation_mask"].sum()) for i in range(7)
    )


def test_names_are_unique_and_stable_and_a_sample_is_the_same_twice(prepared: Path) -> None:
    source = opened(prepared)
    assert source.names == [f"train/{i:06d}" for i in range(5)] + ["test/000000", "test/000001"]
    assert source.parts == {"train": source.names[:5], "test": source.names[5:]}
    for name in source.names:
        assert_same(source.read(name), opened(prepared).read(name))


def test_threads_read_what_one_reads(prepared: Path) -> None:
    source, alone = opened(prepared), opened(prepared)
    names = list(source.names) * 20
    with ThreadPoolExecutor(8) as pool:
        for name, sample in zip(names, pool.map(source.read, names), strict=True):
            assert_same(sample, alone.read(name))


def test_ten_thousand_samples_open_and_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    """All shards but one are empty."""
    folder = write(tmp_path / "many", PICTURES, [drawn(i % 5) for i in range(100)])
    [first] = folder.glob("*.tfrecord-00000")
    shard = first.rename(f"{str(first)[:-5]}00070")
    for number in range(100):
        if number != 70:
            shard.with_name(f"{shard.name[:-5]}{number:05d}").touch()
    about = json.loads((folder / "dataset_info.json").read_text())
    about["splits"][0]["shardLengths"] = ["100"] * 100
    (folder / "dataset_info.json").write_text(json.dumps(about))
    source = opened(folder)
    assert len(set(source.names)) == 10_000
    assert_same(
        source.read("train/007042"),
        Sample("train/007042", drawn(2)["image"], drawn(2)["segmentation_mask"][..., 0]),
    )
    with fails(DataError, "shard", "train/009999"):
        source.read("train/009999")


def test_slices_of_splits_are_parts_and_keep_their_names(prepared: Path) -> None:
    data = {
        "source": "tfds",
        "data_dir": prepared,
        "split": "train[:60%]",
        "validation": {"split": "train[60%:]"},
    }
    config = Config.model_validate({"task": ORGANS, "data": {**data, "test": {"split": "test"}}})
    parts = {part: list(subset.names) for part, subset in open_parts(config).items()}
    assert parts["train"] == ["train/000000", "train/000001", "train/000002"]
    assert parts["validation"] == ["train/000003", "train/000004"]
    assert parts["test"] == ["test/000000", "test/000001"]


def test_array_records_are_read_too(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "a", PICTURES, [drawn(i) for i in range(3)], file_format="array_record"
    )
    source = opened(folder)
    for i, name in enumerate(source.names):
        assert_same(
            source.read(name),
            Sample(name, drawn(i)["image"], drawn(i)["segmentation_mask"][..., 0]),
        )


def test_data_download_prepares_what_is_not_there(tmp_path: Path) -> None:
    ways_out = ("data.download: true", "tfds build tiny_organs")
    with fails(DataError, "empty", "tiny_organs", tmp_path, *ways_out):
        opened(tmp_path, name="tiny_organs")
    assert len(opened(tmp_path, name="tiny_organs", download=True).names) == 7
    assert len(opened(tmp_path, name="tiny_organs").names) == 7


def test_a_shard_that_is_cut_off_spoils_only_its_last_records(prepared: Path) -> None:
    shard = sorted(prepared.glob("*-train.tfrecord*"))[-1]
    shard.write_bytes(shard.read_bytes()[:-20])
    source = opened(prepared)
    for name in source.names[:4]:
        source.read(name)
    with fails(DataError, "shard", prepared, "train/000004", shard):
        source.read("train/000004")


def test_a_shard_that_vanishes_after_the_data_set_was_opened_is_named(prepared: Path) -> None:
    source = opened(prepared)
    [*_, shard] = sorted(prepared.glob("*-test.tfrecord*"))
    source.read("test/000001")
    shard.unlink()
    with fails(DataError, "missing-file", shard):
        source.read("test/000001")


def test_a_missing_shard_and_a_damaged_record_are_named(prepared: Path) -> None:
    shard = sorted(prepared.glob("*-test.tfrecord*"))[0]
    content = bytearray(shard.read_bytes())
    content[30:60] = bytes(30)
    shard.write_bytes(content)
    with fails(DataError, "unreadable", prepared, "test/000000"):
        opened(prepared).read("test/000000")
    shard.unlink()
    with fails(DataError, "shard", shard):
        opened(prepared)


def test_wrong_settings_are_reported_when_the_data_set_is_opened(
    prepared: Path, tmp_path: Path
) -> None:
    with fails(ConfigError, "unknown-name", "test, train", "'training'", setting="data.split"):
        opened(prepared, split="training")
    features = ("image (None, None, 3)", "segmentation_mask")
    with fails(ConfigError, "unknown-name", "mask", *features, setting="data.mask_key"):
        opened(prepared, mask_key="mask")
    with fails(ConfigError, "missing-setting", "data.name", "data.data_dir", setting="data"):
        open_tfds(DataConfig(source="tfds"), CRACK)
    with fails(DataError, "empty", tmp_path, prepared):
        opened(tmp_path)
    known = "background, liver, tumour, void"
    with fails(ConfigError, "unknown-name", known, "kidney", setting="data.mask_values"):
        opened(prepared, mask_values={0: "kidney"})
    (prepared / "dataset_info.json").write_text("{")
    with fails(DataError, "unreadable", prepared):
        opened(prepared)


def test_trap_41_numbers_of_objects_are_read_as_one_class(tmp_path: Path) -> None:
    records = []
    for count in (4, 9, 6):
        mask = np.zeros((12, 40, 1), np.uint8)
        for number in range(count):
            mask[2:8, 4 * number + 1 : 4 * number + 4] = number + 1
        records.append({"image": np.zeros((12, 40, 3), np.uint8), "segmentation_mask": mask})
    folder = write(tmp_path / "cells", PICTURES, records)
    found = detect_format(folder, None, ["cell"])
    assert (found.task, found.data.mask_ids) == (Task.binary("cell"), "instances")
    source = open_source(found.data, found.task)
    for name, record in zip(source.names, records, strict=True):
        np.testing.assert_array_equal(
            source.read(name).mask, record["segmentation_mask"][..., 0] > 0
        )
