"""A training with an experiment tracker: what is sent, and what happens when the tracker fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import pytest

import segkit
from segkit import ConfigError
from segkit.config import as_config
from segkit.errors import SegkitWarning
from segkit.run import Run
from segkit.system.progress import Progress
from segkit.training.tracking import Tracking, flat_scores, tracked, tracked_name
from tests.helpers.errors import fails
from tests.helpers.fake_tracker import FakeTracker, Picture

pytestmark = pytest.mark.one_backend

CONFIG: dict[str, Any] = {
    "task": {"kind": "binary", "classes": ["shape"]},
    "data": {"source": "shapes", "count": 12, "size": [32, 32], "validation": 0.25, "test": 0.25},
    "model": {"width": 4, "depth": 1},
    "train": {
        "epochs": 2,
        "batch_size": 2,
        "crop": [32, 32],
        "pictures": 2,
        "tensorboard": False,
        "tracker": "trackio",
        "tracker_project": "shapes",
    },
}


class Warnings(Progress):
    """Records the codes of warnings."""

    def __init__(self) -> None:
        self.codes: list[str] = []

    def warning(self, text: str | SegkitWarning) -> None:
        self.codes.append(getattr(text, "code", ""))


class StopAfter(keras.callbacks.Callback):
    """Interrupts the training at the end of an epoch, counted from 0, before its checkpoint."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeTracker:
    return FakeTracker("trackio", monkeypatch)


def test_config_epochs_pictures_and_scores_are_sent(fake: FakeTracker, tmp_path: Path) -> None:
    run = segkit.train(CONFIG, tmp_path / "run")
    [begun] = fake.named("init")
    assert begun["project"] == "shapes"
    assert begun["config"]["train"]["epochs"] == 2
    assert begun["config"]["input"]["dtype"] == "uint8"
    *epochs, (step, scores) = fake.logged()
    for (number, values), row in zip(epochs, run.rows(), strict=True):
        assert number == row["epoch"] + 1
        sent = {name: values[name] for name in row if name != "epoch"}
        assert sent == pytest.approx({name: row[name] for name in sent}, nan_ok=True)
    assert "pictures" not in epochs[0][1]
    assert epochs[1][1]["pictures"] == Picture(str(run.picture(2)))
    report = run.report()
    assert report is not None
    assert step == 2
    assert scores["test/dice_foreground"] == report["mean"]["dice_foreground"]
    assert scores["test/shape/recall"] == report["classes"]["shape"]["recall"]
    assert fake.calls[-1].function == "finish"


def test_a_resumed_training_continues_the_run(fake: FakeTracker, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        segkit.train(CONFIG, tmp_path / "run", callbacks=[StopAfter(1)])
    assert fake.calls[-1].function == "finish"
    segkit.train(CONFIG, tmp_path / "run", resume=True)
    first, second = fake.named("init")
    assert first["name"] == second["name"]
    assert [step for step, _ in fake.logged()] == [1, 2, 2]
    calls = len(fake.calls)
    segkit.train(CONFIG, tmp_path / "run", resume=True)
    assert len(fake.calls) == calls, "a scored run is not sent again"


@pytest.mark.parametrize("function", ["init", "log", "finish"])
def test_a_tracker_that_fails_does_not_end_the_training(
    function: str, fake: FakeTracker, tmp_path: Path
) -> None:
    fake.broken = function
    progress = Warnings()
    run = segkit.train(CONFIG, tmp_path / "run", progress=progress)
    assert run.report() is not None
    assert progress.codes.count("tracker") == 1
    assert len(fake.named(function)) == 1
    assert fake.calls[-1].function == function


def test_a_missing_package_is_an_error_before_there_is_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segkit.training.trackers.importlib.util.find_spec", lambda name: None)
    with fails(ConfigError, "missing-package", "pip install trackio", setting="train.tracker"):
        segkit.train(CONFIG, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_only_the_leading_process_logs(fake: FakeTracker, tmp_path: Path) -> None:
    config = as_config(CONFIG)
    with tracked(config, Run(tmp_path), False, Progress()) as tracking:
        tracking.on_epoch_end(0, {"loss": 1.0})
        tracking.log_scores()
    assert fake.calls == []


def test_runs_of_equal_folders_have_different_names(tmp_path: Path) -> None:
    one = Run(tmp_path / "fold 1")
    one.path.mkdir()
    name = tracked_name(one)
    assert tracked_name(one) == name
    assert json.loads(one.tracker.read_text()) == {"name": name}
    assert name.startswith(f"{tmp_path.name}-fold-1-")
    one.tracker.unlink()
    assert tracked_name(one) != name


def test_a_damaged_record_is_one_warning(fake: FakeTracker, tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.tracker.write_text("[")
    config = as_config(CONFIG)
    progress = Warnings()
    with tracked(config, run, True, progress) as tracking:
        tracking.on_epoch_end(0, {"loss": 1.0})
    assert progress.codes == ["tracker"]
    assert fake.calls == []


def test_only_single_numbers_are_logged(fake: FakeTracker, tmp_path: Path) -> None:
    config = as_config(CONFIG)
    with tracked(config, Run(tmp_path), True, Progress()) as tracking:
        tracking.on_epoch_end(0, {"loss": 1.0, "confusion": [[1, 2]], "note": "text", "none": None})
    assert fake.logged() == [(1, {"loss": 1.0})]


def test_names_of_scores_do_not_contain_each_other_as_folders() -> None:
    ends = {"low": 0.4, "high": 0.6, "lowest": 0.1, "highest": 0.9, "groups": 20}
    report = {
        "part": "validation",
        "mean": {"dice_foreground": 0.5, "iou_foreground": None},
        "classes": {"cell": {"dice": 0.5}},
        "intervals": {"mean": {"dice_foreground": ends}, "classes": {"cell": {"dice": ends}}},
    }
    assert flat_scores(report) == {
        "validation/dice_foreground": 0.5,
        "validation/dice_foreground_low": 0.4,
        "validation/dice_foreground_high": 0.6,
        "validation/cell/dice": 0.5,
        "validation/cell/dice_low": 0.4,
        "validation/cell/dice_high": 0.6,
    }


def test_without_a_tracker_nothing_is_recorded(tmp_path: Path) -> None:
    tracking = Tracking(Run(tmp_path), Progress())
    tracking.on_epoch_end(0, {"loss": 1.0})
    tracking.finish(failed=False)
    assert list(tmp_path.iterdir()) == []
