"""Batches of soft labels: every pixel of a patch has the label of its pixel in the image."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest

from segkit import VOID, Task
from segkit.config import AugmentConfig, Config, InputConfig
from segkit.data.batches.augment import Augment
from segkit.data.batches.patch import foreground_pixel
from segkit.data.batches.training import training_batches
from segkit.data.batches.validation import ValidationBatches
from segkit.data.sources.source import Sample, Subset
from segkit.task.soft import LEVELS, as_probabilities, hard_target

SIZE = (40, 36)
INPUT = InputConfig(channels=1, dtype="uint8", mean=(9.0,), std=(1.0,), low=0.0, high=255.0)
NAMES = ["background", "left a", "right a", "b", "c"]
PAIRS: dict[str, Any] = {"flip_pairs": [["left a", "right a"]], "soft": True}
TASKS = {
    "binary": Task.binary("a", soft=True),
    "layers": Task.multilabel(NAMES, **PAIRS),
    "exclusive": Task.multiclass(NAMES, **PAIRS),
}
every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


class Votes:
    """Images whose value says which label the pixel has: label k of `labels`."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.names = ["a", "b", "c"]
        self.parts: dict[str, list[str]] = {}
        rng = np.random.default_rng(0)
        votes = rng.multinomial(4, [1 / task.channels] * task.channels, 50)
        if task.channels == 1:
            votes = rng.integers(0, 5, (50, 1))
        self.labels = np.rint(votes * LEVELS / 4).astype(np.uint8)
        self.labels[0] = VOID

    def read(self, name: str) -> Sample:
        rng = np.random.default_rng(ord(name))
        blocks = rng.integers(0, 50, (SIZE[0] // 4, SIZE[1] // 4)).astype(np.uint8)
        image = blocks.repeat(4, axis=0).repeat(4, axis=1)
        soft = self.labels[image]
        mask = hard_target(self.task, soft)
        return Sample(name, image[..., None], mask, soft=soft)

    def part(self) -> Subset:
        return Subset(self, self.names)


def config_of(task: Task, **augment: Any) -> Config:
    return Config.model_validate(
        {
            "task": task.model_dump(mode="json"),
            "data": {"source": "shapes"},
            "augment": {"brightness": 0, "contrast": 0, "gamma": 0, "noise": 0, **augment},
            "model": {"depth": 1},
            "train": {"batch_size": 3, "crop": [32, 32], "foreground": 0.5},
        }
    )


@every_task
def test_patches_keep_the_label_of_each_pixel(task: Task) -> None:
    source = Votes(task)
    config = config_of(task, flip_horizontal=False, flip_vertical=True, rotate=0, scale=0)
    config = config.model_copy(
        update={"augment": config.augment.model_copy(update={"flip_vertical": False})}
    )
    stream = training_batches(source.part(), config, INPUT)
    for images, targets in islice(stream, 4):
        assert targets.dtype == np.float32
        assert targets.shape == (3, 32, 32, task.channels)
        expected = as_probabilities(task, source.labels[images[..., 0]])
        np.testing.assert_array_equal(targets, expected)
    stream.close()


@every_task
def test_a_mirrored_patch_exchanges_the_channels_of_pairs(task: Task) -> None:
    source = Votes(task)
    sample = source.read("a")
    assert sample.soft is not None
    settings = AugmentConfig(
        flip_horizontal=True,
        flip_vertical=False,
        rotate=0,
        scale=0,
        brightness=0,
        contrast=0,
        gamma=0,
    )
    augment = Augment(task, settings, INPUT, SIZE)
    mirrored = 0
    for seed in range(8):
        image, target = augment(sample.image, sample.soft, seed)
        expected = source.labels[image[..., 0]]
        if not np.array_equal(image, sample.image):
            mirrored += 1
            expected = expected[..., task.mirrored]
        np.testing.assert_array_equal(target, expected)
    assert 0 < mirrored < 8


@every_task
def test_rotated_patches_are_void_outside_the_image(task: Task) -> None:
    source = Votes(task)
    config = config_of(task, rotate=45, scale=0.3, elastic=4)
    for images, targets in islice(training_batches(source.part(), config, INPUT), 3):
        unknown = targets == VOID
        if task.stores_ids:
            assert (unknown.all(axis=-1) == unknown.any(axis=-1)).all()
            np.testing.assert_allclose(targets.sum(-1)[~unknown[..., 0]], 1, atol=1e-6)
        assert ((targets >= 0) & (targets <= 1))[~unknown].all()
        assert np.isfinite(images).all()


def test_patches_around_an_object_use_the_most_probable_class() -> None:
    task = TASKS["exclusive"]
    soft = np.zeros((8, 8, 5), np.uint8)
    soft[..., 0] = 150
    soft[..., 3] = 104
    soft[6, 7] = [0, 0, 254, 0, 0]
    rng = np.random.default_rng(0)
    assert {foreground_pixel(soft, task, rng) for _ in range(20)} == {(6, 7)}
    assert foreground_pixel(soft[:6], task, rng) is None


@every_task
def test_validation_batches_have_whole_images(task: Task) -> None:
    source = Votes(task)
    batches = ValidationBatches(source.part(), config_of(task), INPUT)
    for index in range(len(batches)):
        images, targets = batches[index]
        expected = as_probabilities(task, source.labels[images[..., 0]])
        rows, columns = SIZE
        np.testing.assert_array_equal(targets[:, :rows, :columns], expected[:, :rows, :columns])
        assert (targets[:, rows:] == VOID).all()
        assert (targets[:, :, columns:] == VOID).all()
    assert batches.mask_summary.labelled
    present = [(source.read(name).mask) for name in source.names]
    assert batches.mask_summary.classes.any()
    assert len(present) == 3
