"""Batches: resuming at any step, one occurrence per epoch, bounded prefetching, padding."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import pytest

from segkit import VOID, DataError, Task
from segkit.config import AugmentConfig, Config, DataConfig, ModelConfig, TrainConfig
from segkit.data.batches.cache import Batch, InMemory, Read
from segkit.data.batches.training import training_batches
from segkit.data.batches.validation import ValidationBatches
from segkit.data.sources.source import Sample, Subset, open_source
from segkit.models.build import build_for, compile
from tests.helpers.errors import fails
from tests.helpers.numbered import GIVEN, SOFTMAX, TASKS, Numbered, config


class Ramp(Numbered):
    """One sample whose pixels all differ, and its mask with them."""

    def read(self, name: str) -> Sample:
        rows, columns = np.mgrid[:12, :20]
        return Sample(
            name, (rows * 20 + columns).astype(np.uint8)[..., None], (columns % 3).astype(np.uint8)
        )


def numbers(batches: Iterator[Batch], steps: int) -> list[int]:
    """Return the numbers of the samples in the next batches."""
    return [int(image.max()) - 1 for images, _ in islice(batches, steps) for image in images]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_stream_from_a_step_on_is_the_stream_skipped_so_far(workers: int) -> None:
    source, settings = (
        Numbered(SOFTMAX, [(12, 10)] * 7),
        config(augment=AugmentConfig(rotate=90.0, noise=0.1)),
    )
    whole = list(islice(training_batches(source.part(), settings, GIVEN), 8))
    for first in (1, 5):
        later = list(
            islice(training_batches(source.part(), settings, GIVEN, first, workers), 8 - first)
        )
        for (images, targets), (same_images, same_targets) in zip(
            later, whole[first:], strict=True
        ):
            np.testing.assert_array_equal(images, same_images)
            np.testing.assert_array_equal(targets, same_targets)


def test_another_seed_is_another_stream() -> None:
    source = Numbered(SOFTMAX, [(8, 8)] * 7)
    streams = [
        numbers(training_batches(source.part(), config(seed=seed), GIVEN), 7) for seed in (0, 0, 1)
    ]
    assert streams[0] == streams[1] != streams[2]


@pytest.mark.parametrize("count", [1, 2, 7])
def test_every_sample_occurs_once_per_epoch(count: int) -> None:
    source = Numbered(SOFTMAX, [(8, 8)] * count)
    seen = numbers(training_batches(source.part(), config(), GIVEN), 3 * count)
    epochs = [seen[i : i + count] for i in range(0, len(seen), count)]
    assert len(epochs) == 9
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    if count == 7:
        assert len({tuple(epoch) for epoch in epochs}) == 9  # in an order of its own each time


class InSets(Numbered):
    """Samples of two data sets, of which the first has two samples."""

    def __init__(self, count: int) -> None:
        super().__init__(SOFTMAX, [(8, 8)] * count)
        self.names = [f"{'small' if i < 2 else 'large'}/{i}" for i in range(count)]


def test_a_small_data_set_has_its_share_of_each_epoch() -> None:
    settings = config(shares=None)
    shares = settings.train.model_copy(update={"shares": {"small": 0.5, "large": 0.5}})
    settings = settings.model_copy(update={"train": shares})
    seen = numbers(training_batches(InSets(12).part(), settings, GIVEN), 8)
    for epoch in (seen[:12], seen[12:]):
        assert [epoch.count(number) for number in (0, 1)] == [3, 3]
        assert max(epoch.count(number) for number in range(2, 12)) == 1
    later = numbers(training_batches(InSets(12).part(), settings, GIVEN, first_step=5), 3)
    assert later == seen[15:]


def test_the_same_sample_is_changed_another_way_each_time() -> None:
    batches = training_batches(
        Ramp(SOFTMAX, [(12, 20)]).part(), config(augment=AugmentConfig(rotate=90.0)), GIVEN
    )
    images = [image.tobytes() for batch, _ in islice(batches, 6) for image in batch]
    assert len(set(images)) == 18


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_batches_have_the_shapes_that_the_task_says(task: Task) -> None:
    source = Numbered(task, [(20, 5), (8, 8), (3, 30)])
    images, targets = next(training_batches(source.part(), config(task), GIVEN))
    assert (images.shape, images.dtype) == ((3, 8, 8, 1), np.uint8)
    assert (targets.shape, targets.dtype) == ((3, *task.target_shape(8, 8)), np.uint8)
    assert set(np.unique(targets)) == {
        1,
        VOID,
    }  # two of the three images are smaller than the patch
    real = images[..., 0] != 100  # the mean fills what lies outside
    known = targets != VOID if task.exclusive else (targets != VOID).all(axis=-1)
    np.testing.assert_array_equal(real, known)


def test_look_ahead_is_bounded() -> None:
    source = Numbered(SOFTMAX, [(8, 8)] * 200)
    every_time = config(batch_size=1).model_copy(
        update={"data": DataConfig(cache="none")}
    )  # no look at sizes
    batches = training_batches(source.part(), every_time, GIVEN, workers=2)
    for taken in range(1, 5):
        next(batches)
        time.sleep(0.05)
        assert sum(source.reads.values()) <= taken + 4
    batches.close()
    after = sum(source.reads.values())
    time.sleep(0.05)
    assert sum(source.reads.values()) == after


def test_opencv_works_in_the_threads_that_make_batches_and_has_its_own_again_afterwards() -> None:
    before, seen = cv2.getNumThreads(), []
    cv2.setNumThreads(3)
    try:
        batches = training_batches(Numbered(SOFTMAX, [(8, 8)] * 4).part(), config(), GIVEN)
        seen += [cv2.getNumThreads(), next(batches) and cv2.getNumThreads()]
        batches.close()
        assert [*seen, cv2.getNumThreads()] == [3, 1, 3]
    finally:
        cv2.setNumThreads(before)


def test_an_error_of_the_source_ends_the_stream_at_its_place() -> None:
    sizes = [(8, 8)] * 6
    order = numbers(
        training_batches(Numbered(SOFTMAX, sizes).part(), config(batch_size=1), GIVEN), 6
    )
    source = Numbered(SOFTMAX, sizes, broken=f"image_{order[3]}")
    batches = training_batches(source.part(), config(batch_size=1), GIVEN)
    assert numbers(batches, 3) == order[:3]
    with fails(DataError, "unreadable", f"image_{order[3]}"):
        next(batches)


def test_a_mask_that_does_not_fit_names_its_sample() -> None:
    source = Numbered(Task.multilabel(["a", "b", "c"]), [(8, 8)])
    with fails(DataError, "mask-channels", "image_0"):
        next(training_batches(source.part(), config(SOFTMAX), GIVEN))


def test_samples_are_read_once_while_there_is_room() -> None:
    source = Numbered(SOFTMAX, [(8, 8)] * 4)
    samples = InMemory(
        Read(source.part(), SOFTMAX, GIVEN), 3 * 128
    )  # 64 bytes of image, 64 of target
    for _ in range(5):
        for name in source.names:
            assert samples(name)[0].max() == int(name[-1]) + 1
    assert source.reads == {"image_0": 1, "image_1": 1, "image_2": 1, "image_3": 5}


@pytest.mark.parametrize("cache", ["auto", "memory", "disk", "none"])
def test_the_cache_does_not_change_the_batches(cache: str, tmp_path: Path) -> None:
    settings = Config(
        task=Task.binary("disc"),
        data=DataConfig(source="shapes", count=5, size=(40, 50), cache=cache),
        augment=AugmentConfig(flip_vertical=True, rotate=90.0, gamma=0.3, noise=0.1, elastic=2.0),
        train=TrainConfig(batch_size=3, crop=(24, 32)),
    )
    source = open_source(settings.data, settings.task)
    given = GIVEN.model_copy(update={"channels": 3, "mean": (100.0,) * 3})
    every_time = settings.model_copy(
        update={"data": settings.data.model_copy(update={"cache": "none"})}
    )
    wanted = list(
        islice(training_batches(Subset(source, source.names), every_time, given, workers=1), 8)
    )
    for workers in (1, 4):  # the second finds what the first has kept
        part = Subset(open_source(settings.data, settings.task), source.names)
        found = training_batches(
            part, settings, given, workers=workers, cache_folder=tmp_path / "cache"
        )
        for (images, targets), (same_images, same_targets) in zip(
            islice(found, 8), wanted, strict=True
        ):
            np.testing.assert_array_equal(images, same_images)
            np.testing.assert_array_equal(targets, same_targets)
    assert len(list(tmp_path.rglob("*.sample"))) == (5 if cache == "disk" else 0)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_whole_numbers_go_to_the_device_and_are_scaled_there(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, seen = GIVEN.model_copy(update={"dtype": dtype}), []
    trainer = compile(build_for(SOFTMAX, ModelConfig(width=2, depth=1), given), SOFTMAX)
    step = trainer.train_step

    def seeing(data: Any, *more: Any) -> Any:
        seen.extend(keras.backend.standardize_dtype(array.dtype) for array in data[:2])
        return step(data, *more)

    monkeypatch.setattr(trainer, "train_step", seeing)
    image = np.arange(64, dtype=dtype).reshape(1, 8, 8, 1)
    batches = (pair for pair in [(image, np.zeros((1, 8, 8), np.uint8))])
    trainer.fit(batches, steps_per_epoch=1, epochs=1, verbose=0)
    assert seen[-2:] == [dtype, "uint8"]


def test_augmentation_does_not_change_stored_samples() -> None:
    source = Ramp(SOFTMAX, [(12, 20)])
    strong = AugmentConfig(
        flip_vertical=True, rotate=180.0, elastic=3.0, gamma=0.5, noise=0.3, blur=1.0
    )
    streams = [
        list(
            islice(
                training_batches(source.part(), config(augment=strong, crop=(16, 16)), GIVEN, k),
                12 - k,
            )
        )
        for k in (0, 10)
    ]
    for (images, targets), (same_images, same_targets) in zip(
        streams[0][10:], streams[1], strict=True
    ):
        np.testing.assert_array_equal(images, same_images)
        np.testing.assert_array_equal(targets, same_targets)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_validation_pads_with_void_and_changes_nothing(task: Task) -> None:
    sizes = [(5, 9), (7, 4), (7, 9), (6, 3)]
    batches = ValidationBatches(Numbered(task, sizes).part(), config(task), GIVEN)
    assert len(batches) == 2
    images, targets = batches[0]
    assert images.shape == (3, 7, 9, 1)
    assert targets.shape == (3, *task.target_shape(7, 9))
    for number, ((height, width), image, target) in enumerate(
        zip(sizes, images, targets, strict=False), start=1
    ):
        assert (image == number).all()  # mirrored, as tiles at an image's edge are
        assert (target[:height, :width] == 1).all()
        assert (target[height:] == VOID).all()
        assert (target[:, width:] == VOID).all()
    last_images, last_targets = batches[1]
    assert (last_images.shape[0], last_targets.shape[0]) == (1, 1)
    assert sum(len(batches[i][0]) for i in range(len(batches))) == len(sizes)


def test_trap_35_validation_sees_every_pixel_of_a_large_image() -> None:
    source = Ramp(SOFTMAX, [(12, 20)])
    batches = ValidationBatches(source.part(), config(batch_size=3), GIVEN, largest=7)
    assert len(batches) == 2
    seen = [batches[index] for index in range(len(batches))]
    assert [images.shape for images, _ in seen] == [(3, 6, 7, 1), (3, 6, 7, 1)]
    known = [
        image[target != VOID, 0]
        for images, targets in seen
        for image, target in zip(images, targets, strict=True)
    ]
    assert sorted(np.concatenate(known).tolist()) == list(range(240))
    expected = np.bincount(np.arange(240) % 20 % 3, minlength=3)
    found = np.bincount(np.concatenate([targets.ravel() for _, targets in seen]), minlength=256)
    assert found[:3].tolist() == expected.tolist()


def test_a_large_image_is_read_once_for_all_its_windows() -> None:
    source = Numbered(SOFTMAX, [(12, 20)])
    uncached = config(batch_size=2).model_copy(update={"data": DataConfig(cache="none")})
    batches = ValidationBatches(source.part(), uncached, GIVEN, largest=7)
    looked = sum(source.reads.values())
    assert [len(batches[index][0]) for index in range(3)] == [2, 2, 2]
    assert sum(source.reads.values()) == looked + 1
