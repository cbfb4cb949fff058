"""The terms that need no labels: their values, their gradients, and what counts. Runs on every
backend of Keras.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from segkit import VOID, Task
from segkit.losses.consistency import Consistency, ramp, teacher_target, unknown
from segkit.losses.smoothness import Smoothness
from tests.helpers.loss_cases import TASKS, batch, channels_of, slope
from tests.oracles import unlabelled as oracle
from tests.oracles.question import activated

every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


def values(loss: keras.losses.Loss, target: np.ndarray, logits: np.ndarray) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(loss.call(target, logits)))


def teacher_of(probabilities: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(teacher_target(probabilities, counts)))


def pictures(seed: int, dtype: str = "float32") -> np.ndarray:
    """Return images (2, 5, 6, 3) of the size of `batch`."""
    return np.random.default_rng(seed).uniform(0, 200, (2, 5, 6, 3)).astype(dtype)


@every_task
def test_consistency_is_the_mean_squared_difference_where_nothing_is_known(task: Task) -> None:
    target, logits = batch(task, seed=3)
    _, others = batch(task, seed=4)
    softmax = task.head == "softmax"
    teacher = activated(others, softmax).astype(np.float32)
    open_pixels = np.asarray(ops.convert_to_numpy(unknown(target, task)))
    is_open = ~channels_of(task, target)[1]
    np.testing.assert_array_equal(open_pixels, is_open)
    found = values(Consistency(task), teacher_of(teacher, open_pixels), logits)
    student = activated(logits, softmax)
    wanted = [
        oracle.consistency(student[i], teacher[i], is_open[i], softmax) for i in range(len(target))
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert (found > 0).all()


def test_a_class_without_a_label_counts_alone() -> None:
    task = Task.multilabel(["a", "b"])
    target = np.array([[[[1, VOID]]]], np.uint8)
    logits = np.array([[[[9.0, 0.0]]]], np.float32)
    teacher = np.array([[[[0.0, 1.0]]]], np.float32)
    found = values(
        Consistency(task), teacher_of(teacher, ops.convert_to_numpy(unknown(target, task))), logits
    )
    np.testing.assert_allclose(found, [0.5**2 / 2], rtol=1e-6)


@every_task
def test_consistency_is_0_for_equal_predictions_and_for_images_in_which_nothing_counts(
    task: Task,
) -> None:
    _, logits = batch(task, seed=5)
    teacher = activated(logits, task.head == "softmax").astype(np.float32)
    everywhere = np.ones((*logits.shape[:3], 1), np.float32)
    loss = Consistency(task)
    np.testing.assert_allclose(values(loss, teacher_of(teacher, everywhere), logits), 0, atol=1e-9)
    nowhere = teacher_of(1 - teacher, 0 * everywhere)
    np.testing.assert_array_equal(values(loss, nowhere, logits), [0, 0])
    np.testing.assert_array_equal(slope(loss, nowhere, logits), 0 * logits)


def test_following_the_gradient_brings_the_student_to_the_teacher() -> None:
    task = TASKS["binary"]
    logits = np.array([[[[-1.0], [2.0]]]], np.float32)
    teacher = np.array([[[[0.9], [0.1]]]], np.float32)
    gradient = slope(Consistency(task), teacher_of(teacher, np.ones_like(teacher)), logits)
    assert gradient[0, 0, 0, 0] < 0 < gradient[0, 0, 1, 0]


@every_task
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_smoothness_is_the_total_variation_inside_even_regions(task: Task, dtype: str) -> None:
    _, logits = batch(task, seed=6)
    images = pictures(7, dtype)
    softmax = task.head == "softmax"
    p = activated(logits, softmax)
    wanted = [oracle.smoothness(images[i], p[i], softmax) for i in range(len(images))]
    np.testing.assert_allclose(values(Smoothness(task), images, logits), wanted, rtol=1e-4)


@every_task
def test_smoothness_is_0_for_a_prediction_without_change(task: Task) -> None:
    images = pictures(8)
    logits = np.broadcast_to(
        np.float32([1.0, -2.0, 0.5][: task.channels]), (2, 5, 6, task.channels)
    )
    loss = Smoothness(task)
    np.testing.assert_allclose(values(loss, images, logits), 0, atol=1e-7)
    np.testing.assert_allclose(slope(loss, images, np.array(logits)), 0, atol=1e-6)


def test_smoothness_does_not_depend_on_the_unit_of_the_intensities() -> None:
    task = TASKS["binary"]
    _, logits = batch(task, seed=9)
    images = pictures(9)
    loss = Smoothness(task)
    plain = values(loss, images, logits)
    for changed in (images * 1e30, images * 1e-12, images + 5000):
        np.testing.assert_allclose(values(loss, changed, logits), plain, rtol=1e-2)


def test_a_change_of_the_prediction_costs_less_at_an_edge_and_most_in_an_even_image() -> None:
    task = TASKS["binary"]
    logits = np.full((1, 4, 8, 1), -4, np.float32)
    logits[:, :, 4:] = 4
    edge = np.zeros((1, 4, 8, 1), np.float32)
    edge[:, :, 4:] = 100
    elsewhere = np.roll(edge, 2, axis=2)
    even = np.full_like(edge, 7)
    at_edge, beside, without = (
        values(Smoothness(task), image, logits)[0] for image in (edge, elsewhere, even)
    )
    assert at_edge < 0.01 * beside
    assert beside == pytest.approx(without)
    # one pixel that differs from its even surroundings is drawn to them
    single = np.full((1, 4, 8, 1), -1, np.float32)
    single[0, 1, 4] = 1
    gradient = slope(Smoothness(task), even, single)
    assert gradient[0, 1, 4, 0] > 0 > gradient[0, 1, 3, 0]


@every_task
def test_terms_of_an_image_do_not_depend_on_the_others_of_the_batch(task: Task) -> None:
    target, logits = batch(task, seed=10)
    teacher = activated(batch(task, seed=11)[1], task.head == "softmax").astype(np.float32)
    counted = teacher_of(teacher, ops.convert_to_numpy(unknown(target, task)))
    images = pictures(12)
    for loss, truth in ((Consistency(task), counted), (Smoothness(task), images)):
        together = values(loss, truth, logits)
        turned = values(loss, truth[::-1].copy(), logits[::-1].copy())
        alone = values(loss, truth[:1], logits[:1])
        np.testing.assert_allclose(turned, together[::-1], rtol=1e-6)
        np.testing.assert_allclose(alone, together[:1], rtol=1e-6)


def test_the_weight_rises_as_in_the_paper() -> None:
    assert ramp(0.0, 0.0) == 1.0
    assert ramp(0.2, 0.4) == pytest.approx(np.exp(-5 * 0.25))
    assert ramp(0.4, 0.4) == ramp(1.0, 0.4) == 1.0
    rising = [ramp(progress, 1.0) for progress in np.linspace(0, 1, 9)]
    assert rising == sorted(rising)
    assert rising[0] < 0.01
