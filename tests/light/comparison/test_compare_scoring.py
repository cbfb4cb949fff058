"""The scores of a run per image; their sums equal the scores of `evaluate` and `tune`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from segkit import VOID, Task
from segkit.comparison.scoring import FILE, TIMED, Scored, flatten_mask, images_per_second, score
from segkit.config import Config, DataConfig, DecodeConfig, PredictConfig
from segkit.data.parts import open_parts
from segkit.evaluation import counts
from segkit.evaluation.calibration import flatten_known, reliability, tally
from segkit.evaluation.evaluate import predict_part, score_part
from segkit.io.atomic import write_text
from segkit.run import Run
from tests.helpers.stand_in import GIVEN, network

KINDS = ["disc", "square"]
TASKS = {
    "softmax": Task.multiclass(["background", *KINDS]),
    "sigmoid": Task.multiclass(["background", *KINDS], head="sigmoid"),
    "multilabel": Task.multilabel(KINDS),
    "binary": Task.binary("shape", threshold=0.4),
}


def run_of(folder: Path, task: Task, temperature: float = 1.0) -> Run:
    data = DataConfig(source="shapes", count=40, size=(24, 36), test=0.6)
    run = Run(folder)
    predict, decode = PredictConfig(tile=32, batch_size=2), DecodeConfig(temperature=temperature)
    run.create(Config(task=task, data=data, input=GIVEN, predict=predict, decode=decode))
    write_text(run.history, "epoch,steps,seconds\n0,15,1.5\n1,7,0.5\n")
    return run


@pytest.mark.parametrize("name", TASKS)
def test_pooled_scores_equal_those_of_evaluate_and_tune(name: str, tmp_path: Path) -> None:
    task, run = TASKS[name], run_of(tmp_path / "run", TASKS[name])
    config, predict = run.config_made_with(), partial(network, task=task)
    part = open_parts(config)["test"]
    found = score(predict, 99, run, part)
    assert found.names.tolist() == part.names
    report = score_part(predict, config, part)
    expected = counts.score_report(task, found.counts.sum(0), len(part))
    assert {key: report[key] for key in expected} == expected
    tallies = [
        tally(*flatten_known(task, answer, target))
        for target, answer in predict_part(predict, config, part)
    ]
    np.testing.assert_array_equal(found.head_calibration, tallies)
    assert (found.parameters, found.steps) == (99, 22)
    assert found.images_per_second > 0


def test_calibration_uses_the_temperature_of_the_config(tmp_path: Path) -> None:
    task = TASKS["softmax"]
    runs = [run_of(tmp_path / str(temperature), task, temperature) for temperature in (1, 3)]
    part = open_parts(runs[0].config_made_with())["test"]
    plain, calm = (score(partial(network, task=task), 7, run, part) for run in runs)
    np.testing.assert_array_equal(calm.counts, plain.counts)
    for field in ("head_calibration", "mask_calibration"):
        errors = [reliability(getattr(found, field).sum(0))["ece"] for found in (plain, calm)]
        assert errors[0] != pytest.approx(errors[1], rel=0.01)


def test_a_written_file_is_read_back_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    task, run = TASKS["binary"], run_of(tmp_path / "run", TASKS["binary"])
    found = score(partial(network, task=task), 7, run, open_parts(run.config_made_with())["test"])
    assert Scored.read(run.path / FILE) is None
    found.write(run.path / FILE)
    read = Scored.read(run.path / FILE)
    assert read is not None
    assert (read.parameters, read.steps, read.images_per_second) == (7, 22, found.images_per_second)
    for name in ("names", "counts", "head_calibration", "mask_calibration"):
        np.testing.assert_array_equal(getattr(read, name), getattr(found, name))
    content = (run.path / FILE).read_bytes()
    for broken in (b"", content[: len(content) // 2], b"not a NumPy file"):
        (run.path / FILE).write_bytes(broken)
        assert Scored.read(run.path / FILE) is None


def test_a_file_of_an_older_version_is_read(tmp_path: Path) -> None:
    tallies = np.arange(30.0).reshape(2, 15)
    stored = {
        "names": np.array(["a", "b"]),
        "counts": np.ones((2, 4, 1), np.int64),
        "asked": tallies,
        "decided": 2 * tallies,
        "parameters": 7,
        "images_per_second": 2.5,
        "steps": 22,
    }
    np.savez_compressed(tmp_path / FILE, **stored)
    found = Scored.read(tmp_path / FILE)
    assert found is not None
    np.testing.assert_array_equal(found.head_calibration, tallies)
    np.testing.assert_array_equal(found.mask_calibration, 2 * tallies)
    found.write(tmp_path / "again.npz")
    with np.load(tmp_path / "again.npz") as written:
        assert list(written) == list(stored)


def calibration(task: Task, probabilities: np.ndarray, target: np.ndarray) -> float:
    return reliability(tally(*flatten_mask(task, probabilities, target)))["ece"]


def test_mask_calibration_is_the_same_for_both_heads_of_an_exclusive_task() -> None:
    random = np.random.default_rng(0)
    target = random.integers(0, 3, (30, 40)).astype(np.uint8)
    target[:3] = VOID
    probabilities = random.dirichlet((1, 1, 1), (30, 40)).astype(np.float32)
    softmax = calibration(TASKS["softmax"], probabilities, target)
    assert softmax == calibration(TASKS["sigmoid"], probabilities, target)
    assert (
        softmax
        == reliability(tally(*flatten_known(TASKS["softmax"], probabilities, target)))["ece"]
    )
    assert (
        softmax
        != reliability(tally(*flatten_known(TASKS["sigmoid"], probabilities, target)))["ece"]
    )
    said, right = probabilities.max(-1), probabilities.argmax(-1) == target
    total = 0.0
    for low in np.arange(15) / 15:
        inside = (target != VOID) & (said > low) & (said <= low + 1 / 15)
        total += abs((said[inside] - right[inside]).sum()) if inside.any() else 0.0
    assert softmax == pytest.approx(total / (target != VOID).sum(), abs=1e-5)


def test_equal_predictions_of_one_sigmoid_and_a_softmax_of_two_are_equally_calibrated() -> None:
    random = np.random.default_rng(1)
    p, target = (
        random.random((20, 20, 1)).astype(np.float32),
        random.integers(0, 2, (20, 20, 1)).astype(np.uint8),
    )
    one = calibration(Task.binary(), p, target)
    two = calibration(
        Task.multiclass(["background", "object"]), np.concatenate([1 - p, p], -1), target[..., 0]
    )
    assert one == pytest.approx(two, abs=1e-6)


def test_speed_is_measured_on_a_few_images(tmp_path: Path) -> None:
    run, seen = run_of(tmp_path / "run", TASKS["binary"]), []

    def counted(images: np.ndarray) -> np.ndarray:
        seen.append(len(images))
        return network(images, TASKS["binary"])

    config = run.config_made_with()
    config = config.model_copy(update={"predict": PredictConfig(tile=64, batch_size=4)})
    assert images_per_second(counted, config, open_parts(config)["test"]) > 0
    assert seen == [4] * (TIMED // 4) * 3
