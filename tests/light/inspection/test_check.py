from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from segkit import VOID, DataError, Task
from segkit.data.sources.source import Sample, Subset
from segkit.inspection.training_check import check_training_data
from tests.helpers.errors import fails

CRACK = Task.binary("crack")


class Memory:
    """Samples in memory; no two random images are equal."""

    def __init__(self, samples: Mapping[str, Sample]) -> None:
        self.samples, self.names = samples, list(samples)
        self.parts: dict[str, list[str]] = {}

    def read(self, name: str) -> Sample:
        return self.samples[name]


def image(seed: int, channels: int = 1, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (4, 6, channels)).astype(dtype)


def parts(
    task: Task,
    train: list[np.ndarray],
    validation: list[np.ndarray],
    mask: np.ndarray | None = None,
) -> dict[str, Subset]:
    """Return two parts of the images, named t0, t1, ... and v0, ..., all with one mask."""
    whole = np.ones((4, 6), np.uint8) if mask is None else mask
    found = {}
    for part, images in (("train", train), ("validation", validation)):
        named = {
            f"{part[0]}{i}": Sample(f"{part[0]}{i}", array, whole) for i, array in enumerate(images)
        }
        found[part] = Subset(Memory(named), list(named))
    return found


def test_statistics_are_those_of_the_training_part() -> None:
    train = [image(1, 3), image(2, 3)[:2]]
    data = parts(CRACK, train, [image(3, 3) // 2 + 128])
    smaller = Sample("t1", train[1], np.ones((2, 6), np.uint8))
    data["train"].source.samples["t1"] = smaller  # type: ignore[attr-defined]
    measured = check_training_data(CRACK, data).input_config
    pixels = np.concatenate([array.reshape(-1, 3) for array in train]).astype(float)
    np.testing.assert_allclose(measured.mean, pixels.mean(0), atol=1e-4)
    np.testing.assert_allclose(measured.std, pixels.std(0), atol=1e-4)
    assert (measured.channels, measured.dtype, measured.low, measured.high) == (
        3,
        "uint8",
        pixels.min(),
        pixels.max(),
    )


def test_flat_images_are_scaled_by_1() -> None:
    measured = check_training_data(
        CRACK, parts(CRACK, [np.full((4, 6, 1), 7, np.uint8)], [])
    ).input_config
    assert (measured.mean, measured.std) == ((7.0,), (1.0,))


def test_grey_images_among_colour_ones_count_as_colour() -> None:
    grey, colour = image(1), image(2, 3)
    measured = check_training_data(CRACK, parts(CRACK, [grey, colour], [])).input_config
    pixels = np.concatenate([np.repeat(grey, 3, axis=-1), colour]).reshape(-1, 3)
    np.testing.assert_allclose(measured.mean, pixels.mean(0), atol=1e-4)


def test_progress_is_called_after_every_sample() -> None:
    calls: list[int] = []
    check_training_data(
        CRACK, parts(CRACK, [image(1), image(2)], [image(3)]), lambda: calls.append(1)
    )
    assert len(calls) == 3


def test_images_of_another_depth_are_named() -> None:
    with fails(DataError, "depth", "uint8 (1 images)", "uint16 (1 images)"):
        check_training_data(CRACK, parts(CRACK, [image(1)], [image(2, dtype=np.uint16)]))


@pytest.mark.parametrize(("train", "validation"), [([3, 2], []), ([3], [2]), ([3], [4])])
def test_images_of_other_channels_are_named_in_every_part(
    train: list[int], validation: list[int]
) -> None:
    numbered = iter(range(9))
    data = parts(
        CRACK,
        [image(next(numbered), c) for c in train],
        [image(next(numbered), c) for c in validation],
    )
    with fails(DataError, "channels", *(f"{c} band(s)" for c in {*train, *validation})):
        check_training_data(CRACK, data)


def test_trap_33_the_same_image_in_two_parts_is_found() -> None:
    with fails(DataError, "leak", "t1 (train)", "v1 (validation)"):
        check_training_data(CRACK, parts(CRACK, [image(1), image(2)], [image(3), image(2)]))
    check_training_data(
        CRACK, parts(CRACK, [image(1), image(1)], [image(2)])
    )  # twice in one part does no harm


def test_trap_33_images_that_differ_in_shape_alone_are_not_the_same() -> None:
    lying, standing = np.zeros((4, 6, 1), np.uint8), np.zeros((6, 4, 1), np.uint8)
    data = parts(CRACK, [lying], [])
    data["validation"] = Subset(
        Memory({"v0": Sample("v0", standing, np.ones((6, 4), np.uint8))}), ["v0"]
    )
    assert set(check_training_data(CRACK, data).parts) == {"train", "validation"}


@pytest.mark.parametrize("value", [0, VOID])
def test_training_masks_without_the_object_are_refused(value: int) -> None:
    with fails(DataError, "nothing-to-learn", "crack"):
        check_training_data(CRACK, parts(CRACK, [image(1)], [], np.full((4, 6), value, np.uint8)))


def test_a_mask_that_does_not_fit_is_named() -> None:
    with fails(DataError, "mask-values", "t0", 7):
        check_training_data(CRACK, parts(CRACK, [image(1)], [], np.full((4, 6), 7, np.uint8)))
