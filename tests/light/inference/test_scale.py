"""Images of another scale than the training images, and images that only look so."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence

import numpy as np
import pytest

import segkit
from segkit import Task
from segkit.config import Config, InputConfig
from segkit.inference.scale import ScaleFindings, ScaleWatch

UNIT = InputConfig(channels=1, dtype="float32", mean=(0.4,), std=(0.2,), low=0.02, high=0.9)
BYTES = InputConfig(channels=1, dtype="float32", mean=(100,), std=(50,), low=5, high=230)
DEEP = InputConfig(channels=1, dtype="uint16", mean=(20000,), std=(9000,), low=1300, high=57000)
TWELVE = InputConfig(channels=1, dtype="uint16", mean=(1200,), std=(600,), low=80, high=3600)


def scene(seed: int, factor: float = 1.0, dtype: str = "float32") -> np.ndarray:
    """Return an image with values up to about 0.8 times the factor."""
    rng = np.random.default_rng(seed)
    unit = 0.15 + rng.normal(0, 0.03, (40, 50, 1))
    unit[5:15, 8:30] += 0.6
    return (unit.clip(0, 1) * factor).astype(dtype)


def watched(given: InputConfig, images: Sequence[np.ndarray]) -> segkit.SegkitWarning | None:
    watch = ScaleWatch(given)
    for number, image in enumerate(images):
        watch.see(f"image {number}", image)
    return watch.warning()


@pytest.mark.parametrize(
    ("given", "factor"),
    [
        (UNIT, 255),
        (UNIT, 65535),
        (BYTES, 1),
        (BYTES, 65535),
        (DEEP, 4095),
        (TWELVE, 65535),
        (DEEP, 255),
    ],
)
def test_trap_47_images_of_another_scale_are_warned_of(given: InputConfig, factor: float) -> None:
    warning = watched(given, [scene(seed, factor, given.dtype) for seed in range(4)])
    assert warning is not None
    assert warning.code == "other-scale"
    assert f"{given.high:g}" in str(warning)


@pytest.mark.parametrize(
    ("given", "factor"), [(UNIT, 1), (BYTES, 255), (DEEP, 65535), (TWELVE, 4095)]
)
def test_images_of_the_same_scale_are_not_warned_of(given: InputConfig, factor: float) -> None:
    dtype = given.dtype
    usual = [scene(seed, factor, dtype) for seed in range(4)]
    dark = [scene(seed, factor / 4, dtype) for seed in range(4)]
    bright = [
        np.full((40, 50, 1), factor, dtype) - scene(seed, factor / 4, dtype) for seed in range(4)
    ]
    crops = [image[20:, :20] for image in usual]
    black = [np.zeros((40, 50, 1), dtype)] * 5
    hot = [image.copy() for image in usual]
    for image in hot:
        image[3, 3] = 65535
    for images in (
        usual,
        dark,
        bright,
        crops,
        black,
        hot,
        [usual[0] // 30],
        [usual[0], dark[0] // 9],
    ):
        assert watched(given, images) is None


def test_nodata_and_nan_are_ignored() -> None:
    image = scene(0)
    image[:10] = -9999
    other = scene(1)
    other[:10] = math.nan
    assert watched(UNIT, [image, other, np.full((9, 9, 1), math.nan, np.float32)]) is None


def test_8_bit_images_are_not_compared() -> None:
    given = InputConfig(channels=1, dtype="uint8", mean=(100,), std=(50,), low=40, high=60)
    assert watched(given, [np.full((9, 9, 1), value, np.uint8) for value in (0, 1, 255)]) is None


def test_images_are_counted_and_named() -> None:
    warning = watched(UNIT, [scene(0), *(scene(seed, 255) for seed in range(7))])
    assert warning is not None
    for words in ("7 images", "image 1, image 2", "..."):
        assert words in str(warning)


@pytest.mark.parametrize("factor", [1, 255, 1 / 255])
@pytest.mark.parametrize("size", [1, 3, 20])
def test_findings_of_several_processes_are_those_of_one(factor: float, size: int) -> None:
    images = [scene(seed, factor) for seed in range(12)]
    together = ScaleWatch(UNIT)
    for begin in range(0, len(images), size):
        part = ScaleWatch(UNIT)
        for number, image in enumerate(images[begin : begin + size], begin):
            part.see(f"image {number}", image)
        sent = json.loads(json.dumps(dataclasses.asdict(part.findings)))
        together.findings.add(ScaleFindings.from_json(sent))
    assert str(together.warning()) == str(watched(UNIT, images))


def test_windows_of_one_image_count_once() -> None:
    watch = ScaleWatch(UNIT)
    network = watch.watched(lambda batch: batch * 2, "map")
    for _ in range(2):
        batch = np.stack([scene(0, 255), scene(1, 255)])
        np.testing.assert_array_equal(network(batch), batch * 2)
    warning = watch.warning()
    assert warning is not None
    assert "1 images" in str(warning)


def test_a_predictor_warns_of_a_single_image() -> None:
    config = Config(task=Task.binary("a"), input=UNIT).with_input(UNIT)
    predictor = segkit.Predictor(
        lambda images: np.zeros((*images.shape[:3], 1), np.float32), config
    )
    with pytest.warns(segkit.SegkitWarning) as warned:
        predictor(scene(0, 255))
    assert [each.message.code for each in warned] == ["other-scale"]  # type: ignore[union-attr]
