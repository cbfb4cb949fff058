"""The tfds source and `convert --to tfds` against TensorFlow's own reader: written by TensorFlow, read without it."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from segkit import VOID, ConfigError, DataError, Task
from segkit.config import Config
from segkit.convert import to_tfds
from segkit.data.parts import open_parts
from segkit.data.source import Sample, Subset
from segkit.data.tfds import TfdsSource, open_tfds
from segkit.data_config import DataConfig
from tests.light.draws import says

ROOT = Path(__file__).parents[2]
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


class TinyOrgans(tfds.core.GeneratorBasedBuilder):
    """What a user writes to prepare a data set from images."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> Any:
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(PICTURES))

    def _split_generators(self, _: Any) -> Any:
        return {"train": self._generate_examples(range(5)), "test": self._generate_examples(range(5, 7))}

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


def write(
    folder: Path, features: Mapping[str, Any], records: Sequence[Any], name: str = "tiny", **settings: Any
) -> Path:
    """Write records as a prepared data set of one split, train."""
    folder.mkdir(parents=True)
    identity = tfds.core.dataset_info.DatasetIdentity(name=name, version="1.0.0", data_dir=str(folder), module_name="")
    info = tfds.core.DatasetInfo(builder=identity, features=tfds.features.FeaturesDict(features))
    writer = tfds.core.SequentialWriter(info, max_examples_per_shard=100, **settings)
    writer.initialize_splits(["train"])
    writer.add_examples({"train": records})
    writer.close_all()
    return folder


def opened(folder: Path, task: Task = ORGANS, **data: Any) -> TfdsSource:
    return open_tfds(DataConfig.model_validate({"source": "tfds", "data_dir": folder, **data}), task)


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


def test_samples_are_those_of_tfds_load_in_its_order(root: Path) -> None:
    source = opened(root / "tiny_organs" / "1.0.0")
    one_by_one = tfds.ReadConfig(interleave_cycle_length=1)
    for part, names in source.parts.items():
        loaded = tfds.load("tiny_organs", split=part, data_dir=root, read_config=one_by_one, shuffle_files=False)
        examples = list(loaded.as_numpy_iterator())
        assert len(examples) == len(names) > 0
        for name, example in zip(names, examples, strict=True):
            assert_same(source.read(name), Sample(name, example["image"], example["segmentation_mask"][..., 0]))


def test_reading_needs_neither_the_builders_code_nor_tensorflow(root: Path) -> None:
    code = f"""
import json, sys
from segkit.config import Config
from segkit.data.parts import open_parts
config = Config.model_validate(json.loads(sys.argv[1]))
sums = {{n: int(part.read(n).mask.sum()) for part in open_parts(config).values() for n in part.names}}
slow = [name for name in ("tensorflow", "keras", "jax", "{__name__}") if name in sys.modules]
print(json.dumps([sums, slow]))
"""
    data = {"source": "tfds", "name": "tiny_organs", "data_dir": str(root)}
    asked = json.dumps({"task": ORGANS.model_dump(mode="json"), "data": data})
    done = subprocess.run([sys.executable, "-c", code, asked], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    sums, slow = json.loads(done.stdout)
    assert slow == []
    assert sorted(sums.values()) == sorted(int(drawn(i)["segmentation_mask"].sum()) for i in range(7))


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


def test_slices_of_splits_are_parts_and_keep_their_names(prepared: Path) -> None:
    data = {"source": "tfds", "data_dir": prepared, "split": "train[:60%]", "validation": {"split": "train[60%:]"}}
    config = Config.model_validate({"task": ORGANS, "data": {**data, "test": {"split": "test"}}})
    parts = {part: list(subset.names) for part, subset in open_parts(config).items()}
    assert parts["train"] == ["train/000000", "train/000001", "train/000002"]
    assert parts["validation"] == ["train/000003", "train/000004"]
    assert parts["test"] == ["test/000000", "test/000001"]


def test_array_records_are_read_too(tmp_path: Path) -> None:
    folder = write(tmp_path / "a", PICTURES, [drawn(i) for i in range(3)], file_format="array_record")
    source = opened(folder)
    for i, name in enumerate(source.names):
        assert_same(source.read(name), Sample(name, drawn(i)["image"], drawn(i)["segmentation_mask"][..., 0]))


def test_data_download_prepares_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError) as problem:
        opened(tmp_path, name="tiny_organs")
    assert says(problem, "tiny_organs: is not prepared in", tmp_path, "data.download: true", "tfds build tiny_organs")
    assert len(opened(tmp_path, name="tiny_organs", download=True).names) == 7
    assert len(opened(tmp_path, name="tiny_organs").names) == 7


def test_trap_25_palette_masks_give_ids_where_tensorflow_gives_greys(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "a", PICTURES, [{"image": np.zeros((1, 3, 3), np.uint8), "segmentation_mask": png([[0, 1, 2]], "P")}]
    )
    assert opened(folder).read("train/000000").mask.tolist() == [[0, 1, 2]]
    loaded = next(tfds.builder_from_directory(folder).as_dataset(split="train").as_numpy_iterator())
    assert loaded["segmentation_mask"][..., 0].tolist() != [[0, 1, 2]]


def test_masks_of_three_equal_channels_are_one_and_colours_need_names(tmp_path: Path) -> None:
    features = {"image": tfds.features.Image(), "mask": tfds.features.Image()}
    grey, colours = np.full((1, 2, 3), 2, np.uint8), np.array([[[255, 0, 0], [0, 0, 0]]], np.uint8)
    folder = write(tmp_path / "a", features, [{"image": colours, "mask": grey}, {"image": colours, "mask": colours}])
    assert opened(folder).read("train/000000").mask.tolist() == [[2, 2]]
    with pytest.raises(DataError) as problem:
        opened(folder).read("train/000001")
    assert says(problem, folder, "train/000001", "3 different channels", "data.mask_colours")
    named = {"#ff0000": "liver", "#000000": "background"}
    assert opened(folder, mask_colours=named).read("train/000001").mask.tolist() == [[1, 0]]


def test_trap_27_jpeg_masks_are_refused_unless_a_threshold_is_given(tmp_path: Path) -> None:
    image, mask = np.zeros((8, 16, 3), np.uint8), np.repeat([[0, 255]], 8, axis=1).repeat(8, axis=0)
    folder = write(tmp_path / "a", PICTURES, [{"image": image, "segmentation_mask": png(mask, kind="jpeg")}])
    with pytest.raises(DataError, match=r"train/000000: the mask is stored as JPEG"):
        opened(folder, CRACK).read("train/000000")
    read = opened(folder, CRACK, mask_threshold=128).read("train/000000")
    assert read.mask.tolist() == [[0] * 8 + [1] * 8] * 8


def test_trap_06_yes_is_one_value_in_the_whole_data_set(tmp_path: Path) -> None:
    masks = [np.array([[[0], [value]]], np.uint8) for value in (1, 255)]
    folder = write(
        tmp_path / "a", PICTURES, [{"image": np.zeros((1, 2, 3), np.uint8), "segmentation_mask": m} for m in masks]
    )
    source = opened(folder, CRACK)
    source.read("train/000000")
    with pytest.raises(DataError, match=r"train/000001: yes is 255 here and 1 in .*000000"):
        source.read("train/000001")
    said = opened(folder, CRACK, mask_values={0: "absent", 1: "present", 255: "void"})
    assert said.read("train/000001").mask.tolist() == [[0, VOID]]


def test_tensors_may_hold_image_and_mask(tmp_path: Path) -> None:
    features = {
        "image": tfds.features.Tensor(shape=(None, None, 5), dtype=np.int32, encoding="bytes"),
        "label": tfds.features.Tensor(shape=(2, 3), dtype=np.bool_),
        "label_count": tfds.features.Scalar(np.int64),
    }
    image, mask = np.arange(30, dtype=np.int32).reshape(2, 3, 5), np.array([[1, 0, 0], [0, 1, 1]], bool)
    folder = write(tmp_path / "a", features, [{"image": image, "label": mask, "label_count": 3}])
    sample = opened(folder, CRACK).read("train/000000")
    assert_same(sample, Sample("", image.astype(np.float32), mask.astype(np.uint8)))


def test_ready_maps_apply_by_the_data_sets_own_name(tmp_path: Path) -> None:
    trimap = {"image": np.zeros((1, 3, 3), np.uint8), "segmentation_mask": np.array([[[1], [2], [3]]], np.uint8)}
    folder = write(tmp_path / "a", PICTURES, [trimap], name="oxford_iiit_pet")
    read = {
        "binary": opened(folder, Task.binary("pet")),
        "border": opened(folder, Task.multiclass(["background", "pet", "border"])),
        "void": opened(folder, Task.multiclass(["pet", "background"])),
        "own": opened(folder, CRACK, mask_values={1: "absent", 2: "present", 3: "present"}),
    }
    masks = {kind: source.read("train/000000").mask.tolist() for kind, source in read.items()}
    assert masks == {"binary": [[1, 0, VOID]], "border": [[1, 0, 2]], "void": [[0, 1, VOID]], "own": [[0, 1, 1]]}


def test_values_that_a_map_does_not_name_are_told_with_the_record(tmp_path: Path) -> None:
    trimap = {"image": np.zeros((1, 2, 3), np.uint8), "segmentation_mask": np.array([[[1], [9]]], np.uint8)}
    folder = write(tmp_path / "a", PICTURES, [trimap], name="oxford_iiit_pet")
    with pytest.raises(DataError) as problem:
        opened(folder, Task.binary("pet")).read("train/000000")
    assert says(problem, folder, "train/000000", "as known of oxford_iiit_pet", "9", "[1, 2, 3]")


def test_ids_are_read_from_the_band_that_holds_them(tmp_path: Path) -> None:
    features = {"image": tfds.features.Image(), "annotation": tfds.features.Image()}
    annotation = np.array([[[0, 0, 0], [8, 1, 0], [4, 2, 0]]], np.uint8)
    folder = write(tmp_path / "a", features, [{"image": annotation, "annotation": annotation}], name="scene_parse150")
    task = Task.multiclass(["background", "person", "chair"])
    assert opened(folder, task).read("train/000000").mask.tolist() == [[0, 2, 1]]


def test_a_shard_that_is_cut_off_spoils_only_its_last_records(prepared: Path) -> None:
    shard = sorted(prepared.glob("*-train.tfrecord*"))[-1]
    shard.write_bytes(shard.read_bytes()[:-20])
    source = opened(prepared)
    for name in source.names[:4]:
        source.read(name)
    with pytest.raises(DataError) as problem:
        source.read("train/000004")
    assert says(problem, f"{prepared}: train/000004: is cut off", shard, "whole records")


def test_a_missing_shard_and_a_damaged_record_are_named(prepared: Path) -> None:
    shard = sorted(prepared.glob("*-test.tfrecord*"))[0]
    content = bytearray(shard.read_bytes())
    content[30:60] = bytes(30)
    shard.write_bytes(content)
    with pytest.raises(DataError, match=rf"{prepared}: test/000000: cannot be read"):
        opened(prepared).read("test/000000")
    shard.unlink()
    with pytest.raises(DataError, match=rf"{shard}: is missing from the data set"):
        opened(prepared)


def test_mistakes_in_the_settings_are_told_when_the_data_set_is_opened(prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.split: .* has train, test; found 'training'"):
        opened(prepared, split="training")
    with pytest.raises(
        ConfigError, match=r"data\.mask_key: there is no feature mask; .* has image \(None, None, 3\), seg"
    ):
        opened(prepared, mask_key="mask")
    with pytest.raises(ConfigError, match=r"needs data\.name, or data\.data_dir"):
        open_tfds(DataConfig(source="tfds"), CRACK)
    with pytest.raises(DataError, match=rf"holds no prepared data set .* there is one in {prepared}"):
        opened(tmp_path)
    with pytest.raises(
        ConfigError, match=r"data\.mask_values: maps each one to one of background, liver, tumour, void"
    ):
        opened(prepared, mask_values={0: "kidney"})
    (prepared / "dataset_info.json").write_text("{")
    with pytest.raises(DataError, match="cannot be opened as a TensorFlow data set"):
        opened(prepared)


def test_features_that_cannot_be_meant_are_told(tmp_path: Path) -> None:
    features = {
        "image_left": tfds.features.Image(),
        "image_right": tfds.features.Image(),
        "label": tfds.features.Tensor(shape=(1, 1), dtype=np.float32),
    }
    pixel = np.zeros((1, 1, 3), np.uint8)
    record = {"image_left": pixel, "image_right": pixel, "label": np.zeros((1, 1), np.float32)}
    folder = write(tmp_path / "a", features, [record])
    with pytest.raises(ConfigError, match=r"data\.image_key: cannot be guessed.* image_left .*image_right"):
        opened(folder)
    with pytest.raises(
        DataError, match=r"the feature label is to be .* whole numbers or true/false; found \(1, 1\) float32"
    ):
        opened(folder, image_key="image_left")


def test_trap_29_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    record = {"image": np.zeros((4, 6, 3), np.uint8), "segmentation_mask": np.zeros((2, 3, 1), np.uint8)}
    with pytest.raises(DataError, match=r"train/000000: the mask is \(2, 3\) high and wide, its image \(4, 6\)"):
        opened(write(tmp_path / "a", PICTURES, [record])).read("train/000000")


class Given:
    """Samples in memory, in two parts."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self.samples = {sample.name: sample for sample in samples}
        self.names = list(self.samples)
        self.parts: dict[str, list[str]] = {}

    def read(self, name: str) -> Sample:
        return self.samples[name]

    def in_parts(self) -> dict[str, Subset]:
        return {
            "train": Subset(self, self.names[:-1]),
            "validation": Subset(self, []),
            "test": Subset(self, self.names[-1:]),
        }


TASKS = {
    "binary": CRACK,
    "multilabel": Task.multilabel(["vessel", "tumour"]),
    "multiclass": ORGANS,
    "one against the rest": Task.multiclass(["background", "liver"], head="sigmoid"),
}


def made(task: Task, dtype: str, bands: Sequence[int]) -> Given:
    rng = np.random.default_rng(0)
    samples = []
    for i, count in enumerate(bands):
        image = (rng.random((5 + i, 7, count)) * (250 if dtype == "uint8" else 60000)).astype(dtype)
        mask = rng.integers(0, 2, (5 + i, 7, task.channels) if task.kind == "multilabel" else (5 + i, 7)).astype(
            np.uint8
        )
        mask[0, :2] = VOID
        samples.append(Sample(f"monday/{i}", image, mask))
    return Given(samples)


@pytest.mark.parametrize("kind", TASKS)
@pytest.mark.parametrize(
    ("dtype", "bands"), [("uint8", 3), ("uint8", 1), ("uint16", 3), ("uint16", 1), ("float32", 1), ("uint8", 7)]
)
def test_a_written_data_set_reads_back_as_equal_samples(tmp_path: Path, kind: str, dtype: str, bands: int) -> None:
    given = made(TASKS[kind], dtype, [bands] * 3)
    to_tfds(TASKS[kind], given.in_parts(), tmp_path / "out")
    source = opened(tmp_path / "out", TASKS[kind])
    assert source.parts == {"train": ["train/000000", "train/000001"], "test": ["test/000000"]}
    for name, original in zip(source.names, given.names, strict=True):
        assert_same(source.read(name), given.read(original))


def test_images_of_mixed_channels_are_written_as_they_are(tmp_path: Path) -> None:
    given = made(CRACK, "uint8", [3, 1, 3])
    to_tfds(CRACK, given.in_parts(), tmp_path / "out")
    source = opened(tmp_path / "out", CRACK)
    for name, original in zip(source.names, given.names, strict=True):
        assert_same(source.read(name), given.read(original))


def test_tensorflow_reads_what_was_written_and_finds_the_samples_names(tmp_path: Path) -> None:
    given = made(ORGANS, "uint16", [3, 3, 3])
    to_tfds(ORGANS, given.in_parts(), tmp_path / "out")
    loaded = tfds.builder_from_directory(tmp_path / "out").as_dataset(split="train")
    for example in loaded.as_numpy_iterator():
        sample = given.read(example["name"].decode())
        assert_same(sample, Sample("", example["image"], example["segmentation_mask"][..., 0]))


def test_a_written_data_set_is_not_read_with_channels_in_another_order(tmp_path: Path) -> None:
    given = made(TASKS["multilabel"], "uint8", [3, 3])
    to_tfds(TASKS["multilabel"], given.in_parts(), tmp_path / "out")
    with pytest.raises(ConfigError, match=r"segkit has the classes vessel, tumour, and .* was given tumour, vessel"):
        opened(tmp_path / "out", Task.multilabel(["tumour", "vessel"]))


def test_a_written_multiclass_data_set_is_read_as_one_of_its_classes(tmp_path: Path) -> None:
    given = made(ORGANS, "uint8", [3, 3])
    to_tfds(ORGANS, given.in_parts(), tmp_path / "out")
    mask = opened(tmp_path / "out", Task.binary("liver")).read("train/000000").mask
    np.testing.assert_array_equal(mask, given.read("monday/0").mask)


def test_nothing_is_left_where_writing_fails(tmp_path: Path) -> None:
    given = made(ORGANS, "uint8", [3, 3])
    given.samples["monday/1"].mask[2] = 9
    with pytest.raises(DataError, match="monday/1"):
        to_tfds(ORGANS, given.in_parts(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
