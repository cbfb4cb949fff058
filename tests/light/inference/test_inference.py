"""Prediction and evaluation with a stand-in network that reads its prediction from each pixel."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segkit import DataError, Task
from segkit.config import Config, InputConfig, PredictConfig
from segkit.data.sources.source import Sample, Subset
from segkit.evaluation import counts
from segkit.evaluation.evaluate import score_part
from segkit.inference.files import predict_files
from segkit.inference.images import match_model_input, predict_images
from segkit.inference.inputs import find_images
from segkit.inference.outputs.prediction import PredictedImage
from segkit.inference.outputs.writer import Outputs, Results
from segkit.inference.tiles import Predict
from segkit.io.images import write_picture
from segkit.io.masks import mask_paths, read_mask
from tests.helpers.draws import KINDS, as_probabilities, task_of
from tests.helpers.errors import fails, holds

GIVEN = InputConfig(channels=3, dtype="uint8", mean=(0, 0, 0), std=(1, 1, 1), low=0, high=255)
SIZES = ((20, 33), (20, 33), (20, 33), (7, 5), (90, 40), (20, 33))


def config_of(task: Task, **predict: object) -> Config:
    small = {"tile": 32, "batch_size": 2, **predict}
    return Config(task=task, input=GIVEN, predict=PredictConfig.model_validate(small))


def network(task: Task) -> Predict:
    """Return a predict function that reads the classes of a pixel from its red value."""

    def predict(images: np.ndarray) -> np.ndarray:
        red = images[..., 0]
        if task.exclusive:
            return as_probabilities(task, red)
        return np.stack([(red >> i) & 1 for i in range(task.channels)], axis=-1).astype(np.float32)

    return predict


def picture(task: Task, seed: int, size: tuple[int, int]) -> np.ndarray:
    top = task.channels if task.exclusive else 2**task.channels
    return np.random.default_rng(seed).integers(0, top, (*size, 3), np.uint8)


def truth_of(task: Task, image: np.ndarray) -> np.ndarray:
    return task.decode(network(task)(image[None])[0])


@pytest.mark.parametrize("kind", KINDS)
def test_trap_34_masks_have_the_size_of_their_image_and_the_order_of_names(
    tmp_path: Path, kind: str
) -> None:
    task = task_of(kind)
    images = {f"i{i}": picture(task, i, size) for i, size in enumerate(SIZES)}
    for name, image in images.items():
        write_picture(tmp_path / "in" / f"{name}.png", image)
    config, reported = config_of(task), []
    summary = predict_files(
        network(task),
        config,
        find_images([tmp_path / "in"]).images,
        Outputs(tmp_path / "out"),
        progress=reported.append,
    )
    assert (summary.written, summary.skipped, summary.failed) == (6, 0, [])
    assert sorted(reported) == list(images)
    for name, image in images.items():
        layers = [read_mask(path) for path in mask_paths(task, tmp_path / "out", name)]
        stored = np.stack(layers, axis=-1) if task.kind == "multilabel" else layers[0]
        np.testing.assert_array_equal(
            stored if task.exclusive else stored // 255, truth_of(task, image)
        )


def test_neighbours_of_one_size_share_a_batch_and_the_order_stays() -> None:
    shapes: list[tuple[int, ...]] = []

    def watched(images: np.ndarray) -> np.ndarray:
        shapes.append(images.shape[:3])
        return images[..., :1] / 255

    images = [(str(i), np.full((*size, 3), i, np.uint8)) for i, size in enumerate(SIZES)]
    predictions = list(predict_images(watched, config_of(Task.binary("a"), tile=64), images))
    assert [name for name, _, _ in predictions] == [name for name, _ in images]
    for name, image, probabilities in predictions:
        assert probabilities.shape == (*image.shape[:2], 1)
        np.testing.assert_allclose(probabilities, int(name) / 255, rtol=1e-5)
    assert shapes.count((2, 20, 33)) == 1
    assert shapes.count((1, 20, 33)) == 2
    assert all(height <= 64 for _, height, _ in shapes)


def test_a_broken_image_is_named_and_the_others_are_written(tmp_path: Path) -> None:
    task = Task.binary("a")
    for i in range(3):
        write_picture(tmp_path / "in" / f"i{i}.png", picture(task, i, (8, 8)))
    (tmp_path / "in" / "i1.png").write_text("no picture")
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(tmp_path / "in" / "i3.png")
    outputs = Outputs(tmp_path / "out", overlays=True, probabilities="tif")
    images = find_images([tmp_path / "in"]).images
    summary = predict_files(network(task), config_of(task), images, outputs)
    assert summary.written == 2
    assert [path.name for path, _ in summary.failed] == ["i1.png", "i3.png"]
    assert all(holds(summary.failed[1][1], value) for value in ("uint16", "uint8"))
    for folder in ("out", "out-overlays", "out-probabilities"):
        assert sorted(path.stem for path in (tmp_path / folder).iterdir()) == ["i0", "i2"]
    again = predict_files(network(task), config_of(task), images, outputs, skip_existing=True)
    assert (again.written, again.skipped) == (0, 2)


def test_trap_32_an_image_unlike_the_training_images_is_refused() -> None:
    config = config_of(Task.binary("a"))
    assert match_model_input(config, np.zeros((4, 4, 1), np.uint8), "a.png").shape == (4, 4, 3)
    with fails(DataError, "depth", "a.png", "float32", "uint8"):
        match_model_input(config, np.zeros((4, 4, 3), np.float32), "a.png")
    with fails(DataError, "channels", "a.png", 3, 4):
        match_model_input(config, np.zeros((4, 4, 4), np.uint8), "a.png")


class Memory:
    def __init__(self, samples: list[Sample]) -> None:
        self.samples = {sample.name: sample for sample in samples}
        self.names = list(self.samples)

    def read(self, name: str) -> Sample:
        return self.samples[name]


@pytest.mark.parametrize("kind", KINDS)
def test_trap_22_an_evaluation_counts_all_pixels_whatever_the_batches(kind: str) -> None:
    task = task_of(kind)
    images = [picture(task, i, size) for i, size in enumerate(SIZES)]
    truths = [
        truth_of(task, picture(task, i % 4 + (i > 3) * 99, size)) for i, size in enumerate(SIZES)
    ]
    for truth in truths:
        truth[:3] = 255
    source = Memory(
        [Sample(str(i), *pair) for i, pair in enumerate(zip(images, truths, strict=True))]
    )
    targets = [task.encode(truth, void=255) for truth in truths]
    total = sum(
        counts.count(task, target, truth_of(task, image))
        for target, image in zip(targets, images, strict=True)
    )
    expected = counts.score_report(task, np.asarray(total), len(images))
    assert 0 < expected["mean"]["iou_foreground"] < 1
    for batch_size in (1, 4):
        config = config_of(task, batch_size=batch_size)
        report = score_part(network(task), config, Subset(source, source.names))
        assert {key: report[key] for key in expected} == expected


def test_a_mask_is_written_while_the_network_predicts_the_next_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, calls, second_call = Task.binary("a"), [], threading.Event()
    for i in range(2):
        write_picture(tmp_path / "in" / f"i{i}.png", picture(task, i, (8, 8)))

    def watched(images: np.ndarray) -> np.ndarray:
        calls.append(len(images))
        if len(calls) == 2:
            second_call.set()
        return network(task)(images)

    def write(results: Results, answer: PredictedImage) -> tuple[str, ...]:
        assert second_call.wait(20), "the network waited for the mask to be written"
        return (answer.name,)

    monkeypatch.setattr(Results, "write", write)
    images = find_images([tmp_path / "in"]).images
    assert (
        predict_files(
            watched, config_of(task, batch_size=1), images, Outputs(tmp_path / "out")
        ).written
        == 2
    )
