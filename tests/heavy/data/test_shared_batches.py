"""Several processes together read the same batches as one process."""

from __future__ import annotations

from itertools import islice
from typing import Any

import keras
import numpy as np
import pytest

from segkit import losses
from segkit.config import DataConfig
from segkit.data.batches.training import training_batches
from segkit.data.batches.validation import ValidationBatches
from segkit.system.replicas import Replicas
from segkit.task import VOID, Task
from tests.helpers.numbered import GIVEN, SOFTMAX, TASKS, Numbered, config

SIZES = [(5, 9), (7, 4), (7, 9), (6, 3), (8, 8), (3, 3), (4, 4)]


class Told(Replicas):
    """Replicas that know the answers of other processes: image sizes, and that all are labelled."""

    def largest(self, values: np.ndarray) -> np.ndarray:
        others = np.ones_like(values)
        others[:, :2] = SIZES
        return np.maximum(values, others)


def together(processes: int, **settings: Any) -> list[Replicas]:
    return [Told(processes, process, processes, **settings) for process in range(processes)]


@pytest.mark.parametrize("processes", [2, 3])
def test_training_batches_of_all_processes_are_those_of_one(processes: int) -> None:
    settings = config(batch_size=6)
    whole = list(islice(training_batches(Numbered(SOFTMAX, SIZES).part(), settings, GIVEN), 3))
    sources = [Numbered(SOFTMAX, SIZES) for _ in range(processes)]
    parts = [
        list(islice(training_batches(source.part(), settings, GIVEN, replicas=place), 3))
        for source, place in zip(sources, together(processes), strict=True)
    ]
    for step, (images, targets) in enumerate(whole):
        np.testing.assert_array_equal(np.concatenate([part[step][0] for part in parts]), images)
        np.testing.assert_array_equal(np.concatenate([part[step][1] for part in parts]), targets)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_short_validation_batch_is_filled_with_void(task: Task) -> None:
    settings = config(task, batch_size=4)
    places = together(4)
    parts = [
        ValidationBatches(Numbered(task, SIZES).part(), settings, GIVEN, replicas=place)
        for place in places
    ]
    assert {len(part) for part in parts} == {2}
    batches = [[part[index] for part in parts] for index in range(2)]
    images, targets, weights = (np.concatenate(arrays) for arrays in zip(*batches[1], strict=True))
    assert images.shape == (4, 8, 8, 1)
    assert [image.max() for image in images] == [5, 6, 7, 0]
    assert (targets[3] == VOID).all()
    assert not (targets[:3] == VOID).all(axis=tuple(range(1, targets.ndim))).any()
    assert weights.tolist() == [np.float32(8 / 7)] * 4
    assert len({image.shape for image, *_ in batches[0]}) == 1
    assert all(array.dtype == images.dtype for array, *_ in batches[0] + batches[1])


def test_each_process_reads_only_its_own_validation_images() -> None:
    sources = [Numbered(SOFTMAX, SIZES) for _ in range(2)]
    uncached = DataConfig(
        cache="none"
    )  # a cache would look at a few samples of all, to know their size
    settings = config(batch_size=4).model_copy(update={"data": uncached})
    looked_at = []
    for source, place in zip(sources, together(2), strict=True):
        batches = ValidationBatches(source.part(), settings, GIVEN, replicas=place)
        looked_at.append(sorted(source.reads))
        source.reads.clear()
        assert len([batches[index] for index in range(2)]) == 2
    assert looked_at == [[f"image_{i}" for i in (0, 2, 4, 6)], [f"image_{i}" for i in (1, 3, 5)]]
    assert [sorted(source.reads) for source in sources] == [
        ["image_0", "image_1", "image_4", "image_5"],
        ["image_2", "image_3", "image_6"],
    ]


def test_windows_of_all_processes_are_those_of_one() -> None:
    """Large images are cut alike everywhere, and the windows are shared like whole images."""
    settings = config(batch_size=4)
    whole = ValidationBatches(Numbered(SOFTMAX, SIZES).part(), settings, GIVEN, largest=4)
    parts = [
        ValidationBatches(
            Numbered(SOFTMAX, SIZES).part(), settings, GIVEN, largest=4, replicas=place
        )
        for place in together(2)
    ]
    assert {len(part) for part in parts} == {len(whole)}
    for index in range(len(whole)):
        images, targets = whole[index][:2]
        shares = [part[index] for part in parts]
        np.testing.assert_array_equal(
            np.concatenate([share[0] for share in shares])[: len(images)], images
        )
        np.testing.assert_array_equal(
            np.concatenate([share[1] for share in shares])[: len(targets)], targets
        )


def test_filling_does_not_change_the_mean_loss() -> None:
    inputs = keras.Input((None, None, 1))
    model = keras.Model(inputs, keras.layers.Conv2D(3, 1)(inputs))
    model.compile(loss=losses.make(SOFTMAX), run_eagerly=keras.backend.backend() == "tensorflow")
    part, settings = Numbered(SOFTMAX, [(6, 6)] * 7).part(), config(batch_size=4)
    plain = ValidationBatches(part, settings, GIVEN)
    filled = ValidationBatches(part, settings, GIVEN, replicas=Replicas(4))
    assert [len(batches[1][0]) for batches in (plain, filled)] == [3, 4]
    expected = model.evaluate(plain, verbose=0)
    assert model.evaluate(filled, verbose=0) == pytest.approx(expected, rel=1e-5)
    assert expected > 0.1
