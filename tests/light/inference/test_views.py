"""Views of an image: predictions are rotated back, and flip pairs swapped in mirrored views."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from segkit import ConfigError, Task
from segkit.inference.temperature import entropy
from segkit.inference.tiles import Predict, predict_tiled
from segkit.inference.tta import VIEWS, in_views, mean_of
from tests.helpers.errors import fails

SIDES = Task.multiclass(
    ["background", "left lung", "right lung"], flip_pairs=[["left lung", "right lung"]]
)


def pointwise(images: np.ndarray) -> np.ndarray:
    """A network that looks at single pixels: it predicts the same in every view."""
    return np.stack([images[..., 0], images[..., 1]], axis=-1).astype(np.float32) / 255


def sided(images: np.ndarray) -> np.ndarray:
    """A network that calls what is bright left or right by the half of the image it lies in."""
    half = np.broadcast_to(np.arange(images.shape[2]) >= images.shape[2] // 2, images.shape[:3])
    bright = images[..., 0] > 0
    return np.stack([~bright, bright & ~half, bright & half], axis=-1).astype(np.float32)


def picture(height: int = 5, width: int = 8) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (2, height, width, 3)).astype(np.uint8)


@pytest.mark.parametrize("kind", VIEWS)
def test_a_pixelwise_network_predicts_the_same_in_every_view(kind: str) -> None:
    views = in_views(pointwise, Task.multilabel(["a", "b"]), kind)
    assert len(views) == {"flips": 4, "rotations": 8}[kind]
    for view in views:
        np.testing.assert_array_equal(view(picture()), pointwise(picture()))


@pytest.mark.parametrize("kind", VIEWS)
def test_the_network_sees_every_view_once(kind: str) -> None:
    seen = []

    def watching(images: np.ndarray) -> np.ndarray:
        seen.append(images[0, ..., 0].tolist())
        return images[..., :1] / np.float32(255)

    for view in in_views(watching, Task.binary(), kind):
        view(picture())
    image = picture()[0, ..., 0]
    expected = [image, image[::-1], image[:, ::-1], image[::-1, ::-1]]
    if kind == "rotations":
        expected += [each.T for each in expected]
    assert sorted(seen) == sorted(each.tolist() for each in expected)


@pytest.mark.parametrize("kind", VIEWS)
def test_trap_31_a_mirrored_view_swaps_sides_and_a_half_turn_does_not(kind: str) -> None:
    """The network calls the left half left. Left-right: it says right, swapped to left. Top-bottom:
    it says left, swapped. A half turn: it says right, and nothing is swapped.
    """
    image = np.zeros((1, 6, 6, 1), np.uint8)
    image[:, :, :3] = 200
    plain = sided(image)
    for (turns, mirrored), view in zip(VIEWS[kind], in_views(sided, SIDES, kind), strict=True):
        if turns in (0, 2):
            expected = plain if turns == 0 else plain[..., [0, 2, 1]]
            np.testing.assert_array_equal(view(image), expected, str((turns, mirrored)))


@pytest.mark.parametrize("kind", VIEWS)
def test_classes_with_a_side_and_no_pair_are_refused(kind: str) -> None:
    with fails(
        ConfigError, "not-for-task", "left lung, right lung", "task.flip_pairs", setting="tta"
    ):
        in_views(sided, Task.multiclass(["background", "left lung", "right lung"]), kind)


def constant(prediction: np.ndarray, images: np.ndarray) -> np.ndarray:
    return prediction


def test_the_mean_is_that_of_all_predictions() -> None:
    predictions = [
        np.random.default_rng(i).random((2, 3, 4, 2)).astype(np.float32) for i in range(3)
    ]
    predicts: list[Predict] = [partial(constant, prediction) for prediction in predictions]
    before = [prediction.copy() for prediction in predictions]
    np.testing.assert_allclose(
        mean_of(predicts)(picture()), np.mean(predictions, axis=0), rtol=1e-6
    )
    np.testing.assert_array_equal(predictions, before)
    assert mean_of(predicts[:1]) is predicts[0]
    task = Task.multilabel(["a", "b"])
    spread = mean_of(predicts, lambda p: entropy(task, p))(picture())
    assert spread.shape == (2, 3, 4, 3)
    np.testing.assert_allclose(
        spread[..., 2],
        np.mean([entropy(task, prediction) for prediction in predictions], axis=0),
        rtol=1e-5,
    )


def test_views_of_windows_are_blended_as_those_of_whole_images() -> None:
    image = picture(40, 50)[0]
    task = Task.multilabel(["a", "b"])
    predict = mean_of(in_views(pointwise, task, "rotations"), lambda p: entropy(task, p))
    np.testing.assert_allclose(
        predict_tiled(image, predict, 16, 0.5, 3), predict(image[None])[0], atol=1e-5
    )
