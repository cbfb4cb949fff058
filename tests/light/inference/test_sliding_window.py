"""Large images in memory: the masks are those of all probabilities, and progress is reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segkit import Task
from segkit.config import Config, DecodeConfig, PredictConfig, RunConfig
from segkit.inference import pipeline
from segkit.inference.decoding import decode, needs_probabilities
from segkit.inference.files import predict_files
from segkit.inference.images import predict_each, predict_images
from segkit.inference.inputs import find_images
from segkit.inference.outputs.prediction import PredictedImage
from segkit.inference.outputs.writer import Outputs
from segkit.inference.sliding_window import predict_mask
from segkit.inference.temperature import before_temperature, tempered
from segkit.inference.tiles import PIXELS_AT_ONCE, predict_tiled
from tests.helpers.draws import KINDS, task_of, tasks
from tests.helpers.stand_in import GIVEN, network, picture, write_pictures
from tests.helpers.visible_files import visible

pytestmark = pytest.mark.long


def config_of(task: Task, **decode_settings: Any) -> RunConfig:
    return RunConfig(
        task=task,
        input=GIVEN,
        predict=PredictConfig(tile=64, batch_size=2),
        decode=DecodeConfig.model_validate(decode_settings),
    )


def ignore(done: int, total: int) -> None:
    """Take a report and do nothing."""


@given(tasks(), st.integers(0, 999), st.floats(0.05, 20))
def test_a_mask_without_logarithms_is_that_of_tempered_probabilities(
    task: Task, seed: int, temperature: float
) -> None:
    logits = np.random.default_rng(seed).normal(0, 3, (7, 8, task.channels))
    probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
    if task.classes_compete:
        probabilities /= probabilities.sum(-1, keepdims=True)
    config = Config(
        task=task, decode=DecodeConfig(temperature=temperature), augment={"flip_horizontal": False}
    )
    softened = tempered(task, probabilities, temperature)
    mask = decode(config, probabilities)
    wanted = task.decode(softened)
    if task.thresholds is None:
        highest = np.sort(softened, axis=-1)
        sure = highest[..., -1] - highest[..., -2] > 1e-6
    else:
        sure = np.abs(softened - np.asarray(task.thresholds)) > 1e-5
        sure = sure.reshape(mask.shape)
    np.testing.assert_array_equal(mask[sure], wanted[sure])


@pytest.mark.parametrize("temperature", [0.01, 100.0])
@pytest.mark.parametrize("threshold", [1e-6, 0.3, 1 - 1e-6])
def test_certain_pixels_stay_certain_at_every_temperature(
    temperature: float, threshold: float
) -> None:
    task = before_temperature(Task.binary(threshold=threshold), temperature)
    assert task.decode(np.array([[[0.0], [1.0]]], np.float32)).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("settings", "yes_no", "exclusive"),
    [
        ({}, False, False),
        ({"fill_holes": True, "temperature": 2.0}, False, False),
        ({"smallest": 1}, False, False),
        ({"smallest": 9}, False, True),
        ({"keep_largest": True}, False, True),
    ],
)
def test_only_an_object_that_becomes_another_class_needs_the_probabilities(
    settings: dict[str, Any], yes_no: bool, exclusive: bool
) -> None:
    assert needs_probabilities(config_of(task_of("binary"), **settings)) == yes_no
    assert needs_probabilities(config_of(task_of("multiclass"), **settings)) == exclusive


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(150, 201), (40, 130), (300, 64)])
@pytest.mark.parametrize("settings", [{}, {"temperature": 0.4, "fill_holes": True}])
def test_the_mask_is_that_of_all_probabilities(
    kind: str, size: tuple[int, int], settings: dict[str, Any]
) -> None:
    task = task_of(kind)
    config = config_of(task, **settings)
    image = picture(3, *size)
    reports: list[tuple[int, int]] = []

    def predict(images: np.ndarray) -> np.ndarray:
        return network(images, task)

    mask = predict_mask(image, predict, config, lambda done, total: reports.append((done, total)))
    probabilities = predict_tiled(
        image, predict, 64, config.predict.overlap, 2, config.model.stride
    )
    wanted = decode(config, probabilities)
    assert (mask.dtype, mask.shape) == (wanted.dtype, wanted.shape)
    np.testing.assert_array_equal(mask, wanted)
    total = reports[0][1]
    assert reports[0] == (0, total)
    assert reports[-1] == (total, total)
    assert [done for done, _ in reports] == sorted(done for done, _ in reports)


def test_rules_for_objects_of_yes_no_tasks_hold_over_the_borders_of_windows() -> None:
    """An object of 100 pixels in a row lies in two windows; no window holds it whole."""
    task = task_of("binary")
    image = np.zeros((64, 160, 3), np.uint8)
    image[30, 20:120] = 255
    image[50, 20:110] = 255
    config = config_of(task, smallest=95)
    mask = predict_mask(image, lambda images: network(images, task), config, ignore)
    assert mask.sum() == 100
    assert mask[30, 20:120].all()


def test_a_batch_has_at_most_a_million_pixels_and_one_window_at_least() -> None:
    sizes: list[tuple[int, ...]] = []

    def watched(images: np.ndarray) -> np.ndarray:
        sizes.append(images.shape[:3])
        return np.zeros((*images.shape[:3], 1), np.float32)

    config = config_of(task_of("binary")).model_copy(
        update={"predict": PredictConfig(tile=512, batch_size=8)}
    )
    images = [(str(i), np.zeros((300, 400, 3), np.uint8)) for i in range(20)]
    images.append(("large", np.zeros((600, 1700, 3), np.uint8)))
    list(predict_images(watched, config, images))
    list(predict_each(watched, config, images, keep_probabilities=False))
    assert all(
        count == 1 or count * height * width <= PIXELS_AT_ONCE for count, height, width in sizes
    )
    assert max(count for count, _, _ in sizes) == 8
    assert max(count for count, height, _ in sizes if height == 512) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_files_are_the_same_whether_probabilities_wait_or_not(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_of(kind)
    config = config_of(task, temperature=0.5)
    write_pictures(tmp_path / "in", {"a": (30, 40), "b": (150, 170), "c": (90, 200), "d": (30, 40)})
    images = find_images([tmp_path / "in"]).images
    reports: list[tuple[str, int, int]] = []

    def predict(batch: np.ndarray) -> np.ndarray:
        return network(batch, task)

    for folder, outputs in (
        ("masks", Outputs(tmp_path / "masks" / "out")),
        (
            "all",
            Outputs(
                tmp_path / "all" / "out",
                formats=("instances",),
                probabilities="npy",
                uncertainty=True,
            ),
        ),
        (
            "direct",
            Outputs(
                tmp_path / "direct" / "out",
                formats=("instances",),
                probabilities="npy",
                uncertainty=True,
            ),
        ),
    ):
        if folder == "direct":
            monkeypatch.setattr(pipeline, "MAX_WAITING", 0)
        summary = predict_files(
            predict, config, images, outputs, windows=lambda *report: reports.append(report)
        )
        assert (summary.written, summary.failed) == (4, [])
    assert visible(tmp_path / "all") == visible(tmp_path / "direct")
    masks = {
        name: content
        for name, content in visible(tmp_path / "all").items()
        if name.startswith("out/")
    }
    for table in ("out-summary.csv", "out-coding.json"):
        masks[table] = visible(tmp_path / "all")[table]
    assert visible(tmp_path / "masks") == masks
    assert {name for name, _, _ in reports} == {"b", "c"}
    saved = np.load(tmp_path / "all" / "out-probabilities" / "a.npy")
    np.testing.assert_allclose(
        saved, tempered(task, network(picture(0, 30, 40)[None], task)[0], 0.5), rtol=1e-5
    )


def test_written_probabilities_and_scores_are_calibrated() -> None:
    task = task_of("binary")
    config = config_of(task, temperature=2.0)
    values = np.full((4, 4, 1), 0.8, np.float32)
    answer = PredictedImage.from_probabilities(
        config, "a", Path("a.png"), np.zeros((4, 4, 3), np.uint8), values
    )
    np.testing.assert_allclose(answer.calibrated, 2 / 3, rtol=1e-5)  # odds of 4, whose root is 2
    _, (found,) = answer.objects
    assert found.score == pytest.approx(2 / 3, rel=1e-5)
