"""The batches that Keras gets: the same values, with static sizes where all images agree."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import Any

import keras
import numpy as np
import pytest

from segkit import Task
from segkit.data.batches.training import training_batches
from segkit.data.batches.validation import ValidationBatches
from segkit.training.feeding import training_data, validation_data
from tests.helpers.numbered import GIVEN, SOFTMAX, TASKS, Numbered, config

on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="other backends take the batches as they are"
)


def arrays(batch: Any) -> list[np.ndarray]:
    return [np.asarray(array) for array in batch]


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_keras_gets_the_validation_batches(task: Task) -> None:
    batches = ValidationBatches(
        Numbered(task, [(5, 9), (7, 4), (7, 9), (6, 3)]).part(), config(task), GIVEN
    )
    data = validation_data(batches)
    passed = [data[index] for index in range(len(data))] if data is batches else list(data)
    assert len(passed) == len(batches) == 2
    for index, batch in enumerate(passed):
        for array, expected in zip(arrays(batch), batches[index], strict=True):
            assert array.dtype == expected.dtype
            np.testing.assert_array_equal(array, expected)


def test_without_validation_images_keras_gets_none() -> None:
    assert validation_data(None) is None


@on_tensorflow
@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(6, 8)] * 4, (None, 6, 8, 1)),
        ([(6, 8)] * 3 + [(6, 4)] * 3, (None, 6, None, 1)),
        ([(6, 8)] * 3 + [(4, 4)] * 3, (None, None, None, 1)),
    ],
)
def test_sizes_are_static_where_all_batches_have_them(
    sizes: list[tuple[int, int]], expected: tuple[int | None, ...]
) -> None:
    batches = ValidationBatches(Numbered(SOFTMAX, sizes).part(), config(), GIVEN)
    images, targets = validation_data(batches).element_spec
    assert tuple(images.shape) == expected
    assert tuple(targets.shape) == expected[:3]


def test_keras_gets_the_training_batches_in_order() -> None:
    part = Numbered(SOFTMAX, [(12, 10)] * 7).part()
    expected = list(islice(training_batches(part, config(), GIVEN), 5))
    with training_data(partial(training_batches, part, config(), GIVEN)) as data:
        passed = list(islice(data, 5))
    for batch, same in zip(passed, expected, strict=True):
        for array, other in zip(arrays(batch), same, strict=True):
            np.testing.assert_array_equal(array, other)


@on_tensorflow
def test_no_dataset_is_tuned_whose_end_would_be_waited_for() -> None:
    part = Numbered(SOFTMAX, [(12, 10)] * 7).part()
    validation = validation_data(ValidationBatches(part, config(), GIVEN))
    with training_data(partial(training_batches, part, config(), GIVEN)) as training:
        assert training.cardinality() == -1
        assert validation.cardinality() == 3
        for dataset in (training, validation):
            assert dataset.options().autotune.enabled is False
