"""Features and mask values that the tfds source reads or refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from segkit import VOID, ConfigError, DataError, Task
from segkit.data.sources.source import Sample
from tests.helpers.errors import fails
from tests.helpers.prepared_tfds import CRACK, PICTURES, assert_same, opened, png, write


def test_trap_25_palette_masks_give_ids_where_tensorflow_gives_greys(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "a",
        PICTURES,
        [{"image": np.zeros((1, 3, 3), np.uint8), "segmentation_mask": png([[0, 1, 2]], "P")}],
    )
    assert opened(folder).read("train/000000").mask.tolist() == [[0, 1, 2]]
    loaded = next(tfds.builder_from_directory(folder).as_dataset(split="train").as_numpy_iterator())
    assert loaded["segmentation_mask"][..., 0].tolist() != [[0, 1, 2]]


@pytest.mark.parametrize("stored", ["grey", "palette", "alpha", "grey JPEG"])
def test_images_have_the_channels_that_their_feature_declares(tmp_path: Path, stored: str) -> None:
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    content = {
        "grey": png(grey),
        "palette": png(grey // 120, "P"),
        "alpha": png(np.stack([grey, grey // 2, grey // 3, np.full_like(grey, 255)], axis=-1)),
        "grey JPEG": png(np.full((2, 3), 90), kind="jpeg"),
    }[stored]
    record = {"image": content, "segmentation_mask": np.zeros((2, 3, 1), np.uint8)}
    folder = write(tmp_path / "a", PICTURES, [record])
    loaded = next(tfds.builder_from_directory(folder).as_dataset(split="train").as_numpy_iterator())
    np.testing.assert_array_equal(opened(folder).read("train/000000").image, loaded["image"])


def test_masks_of_three_equal_channels_are_one_and_colours_need_names(tmp_path: Path) -> None:
    features = {"image": tfds.features.Image(), "mask": tfds.features.Image()}
    grey, colours = np.full((1, 2, 3), 2, np.uint8), np.array([[[255, 0, 0], [0, 0, 0]]], np.uint8)
    folder = write(
        tmp_path / "a",
        features,
        [{"image": colours, "mask": grey}, {"image": colours, "mask": colours}],
    )
    assert opened(folder).read("train/000000").mask.tolist() == [[2, 2]]
    with fails(DataError, "mask-colours", folder, "train/000001", 3, "data.mask_colours"):
        opened(folder).read("train/000001")
    named = {"#ff0000": "liver", "#000000": "background"}
    assert opened(folder, mask_colours=named).read("train/000001").mask.tolist() == [[1, 0]]


def test_trap_27_jpeg_masks_are_refused_without_a_threshold(tmp_path: Path) -> None:
    image, mask = np.zeros((8, 16, 3), np.uint8), np.repeat([[0, 255]], 8, axis=1).repeat(8, axis=0)
    folder = write(
        tmp_path / "a", PICTURES, [{"image": image, "segmentation_mask": png(mask, kind="jpeg")}]
    )
    with fails(DataError, "mask-lossy", "train/000000", "JPEG"):
        opened(folder, CRACK).read("train/000000")
    read = opened(folder, CRACK, mask_threshold=128).read("train/000000")
    assert read.mask.tolist() == [[0] * 8 + [1] * 8] * 8


def test_trap_06_yes_is_one_value_in_the_whole_data_set(tmp_path: Path) -> None:
    masks = [np.array([[[0], [value]]], np.uint8) for value in (1, 255)]
    folder = write(
        tmp_path / "a",
        PICTURES,
        [{"image": np.zeros((1, 2, 3), np.uint8), "segmentation_mask": m} for m in masks],
    )
    source = opened(folder, CRACK)
    source.read("train/000000")
    with fails(DataError, "mask-values", "train/000001", 255, 1, "train/000000"):
        source.read("train/000001")
    said = opened(folder, CRACK, mask_values={0: "absent", 1: "present", 255: "void"})
    assert said.read("train/000001").mask.tolist() == [[0, VOID]]


def test_tensors_may_hold_image_and_mask(tmp_path: Path) -> None:
    features = {
        "image": tfds.features.Tensor(shape=(None, None, 5), dtype=np.int32, encoding="bytes"),
        "label": tfds.features.Tensor(shape=(2, 3), dtype=np.bool_),
        "label_count": tfds.features.Scalar(np.int64),
    }
    image, mask = (
        np.arange(30, dtype=np.int32).reshape(2, 3, 5),
        np.array([[1, 0, 0], [0, 1, 1]], bool),
    )
    folder = write(tmp_path / "a", features, [{"image": image, "label": mask, "label_count": 3}])
    sample = opened(folder, CRACK).read("train/000000")
    assert_same(sample, Sample("", image.astype(np.float32), mask.astype(np.uint8)))


def test_ready_maps_apply_by_the_data_sets_own_name(tmp_path: Path) -> None:
    trimap = {
        "image": np.zeros((1, 3, 3), np.uint8),
        "segmentation_mask": np.array([[[1], [2], [3]]], np.uint8),
    }
    folder = write(tmp_path / "a", PICTURES, [trimap], name="oxford_iiit_pet")
    read = {
        "binary": opened(folder, Task.binary("pet")),
        "border": opened(folder, Task.multiclass(["background", "pet", "border"])),
        "void": opened(folder, Task.multiclass(["pet", "background"])),
        "own": opened(folder, CRACK, mask_values={1: "absent", 2: "present", 3: "present"}),
    }
    masks = {kind: source.read("train/000000").mask.tolist() for kind, source in read.items()}
    assert masks == {
        "binary": [[1, 0, VOID]],
        "border": [[1, 0, 2]],
        "void": [[0, 1, VOID]],
        "own": [[0, 1, 1]],
    }


def test_an_unknown_value_is_reported_with_its_record(tmp_path: Path) -> None:
    trimap = {
        "image": np.zeros((1, 2, 3), np.uint8),
        "segmentation_mask": np.array([[[1], [9]]], np.uint8),
    }
    folder = write(tmp_path / "a", PICTURES, [trimap], name="oxford_iiit_pet")
    with fails(DataError, "mask-values", folder, "train/000000", "oxford_iiit_pet", 9, [1, 2, 3]):
        opened(folder, Task.binary("pet")).read("train/000000")


def test_ids_are_read_from_the_band_of_the_ready_map(tmp_path: Path) -> None:
    features = {"image": tfds.features.Image(), "annotation": tfds.features.Image()}
    annotation = np.array([[[0, 0, 0], [8, 1, 0], [4, 2, 0]]], np.uint8)
    folder = write(
        tmp_path / "a",
        features,
        [{"image": annotation, "annotation": annotation}],
        name="scene_parse150",
    )
    task = Task.multiclass(["background", "person", "chair"])
    assert opened(folder, task).read("train/000000").mask.tolist() == [[0, 2, 1]]


def test_ambiguous_and_unusable_features_are_refused(tmp_path: Path) -> None:
    features = {
        "image_left": tfds.features.Image(),
        "image_right": tfds.features.Image(),
        "label": tfds.features.Tensor(shape=(1, 1), dtype=np.float32),
    }
    pixel = np.zeros((1, 1, 3), np.uint8)
    record = {"image_left": pixel, "image_right": pixel, "label": np.zeros((1, 1), np.float32)}
    folder = write(tmp_path / "a", features, [record])
    with fails(
        ConfigError, "missing-setting", "image_left", "image_right", setting="data.image_key"
    ):
        opened(folder)
    with fails(DataError, "features", "label", "(1, 1) float32"):
        opened(folder, image_key="image_left")


def test_trap_29_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    record = {
        "image": np.zeros((4, 6, 3), np.uint8),
        "segmentation_mask": np.zeros((2, 3, 1), np.uint8),
    }
    with fails(DataError, "mask-size", "train/000000", (2, 3), (4, 6)):
        opened(write(tmp_path / "a", PICTURES, [record])).read("train/000000")
