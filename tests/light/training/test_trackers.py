"""Experiment trackers: the fake module, and the real packages where they are installed.

The real packages write to a folder of the test, and need no server.
"""

from __future__ import annotations

import importlib
import string
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segkit.config import TrainConfig
from segkit.errors import ConfigError
from segkit.io.images import write_picture
from segkit.training import trackers
from segkit.training.trackers import (
    MlflowTracker,
    Tracker,
    check_tracker,
    flat_values,
    load_tracker,
    mlflow_name,
)
from tests.helpers.errors import fails
from tests.helpers.fake_tracker import FakeTracker, Picture

CONFIG = {
    "task": {"kind": "binary", "classes": ["crack"]},
    "train": {"epochs": 2, "learning_rate": 0.001, "minutes": None},
    "data": {"keep_together": [["a" * 400, "b" * 400]]},
}


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "epoch_0001.png"
    write_picture(path, np.full((4, 5, 3), 200, np.uint8))
    return path


def train_twice(name: str, picture: Path) -> None:
    """Log a run that is interrupted after one epoch and resumed for another one."""
    tracker = load_tracker(name)
    tracker.init("cracks", "runs-a-1", CONFIG)
    tracker.log({"loss": 2.0, "val_dice_foreground": 0.5}, 1, {"pictures": picture})
    tracker.finish(failed=True)
    resumed: Tracker = load_tracker(name)
    resumed.init("cracks", "runs-a-1", CONFIG)
    resumed.log({"loss": 1.0, "val_dice_foreground": 0.75}, 2, {})
    resumed.log({"test/crack/dice": 0.7}, 2, {})
    resumed.finish(failed=False)


@pytest.mark.parametrize("name", ["trackio", "wandb"])
def test_a_module_receives_config_values_and_pictures(
    name: str, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeTracker(name, monkeypatch)
    train_twice(name, picture)
    for begun in fake.named("init"):
        assert begun["config"] == CONFIG
        assert (begun["project"], begun["name"], begun["resume"]) == ("cracks", "runs-a-1", "allow")
    assert fake.logged() == [
        (1, {"loss": 2.0, "val_dice_foreground": 0.5, "pictures": Picture(str(picture))}),
        (2, {"loss": 1.0, "val_dice_foreground": 0.75}),
        (2, {"test/crack/dice": 0.7}),
    ]
    assert len(fake.named("finish")) == 2


def test_wandb_continues_by_its_id_and_records_a_failure(
    picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeTracker("wandb", monkeypatch)
    train_twice("wandb", picture)
    assert {begun["id"] for begun in fake.named("init")} == {"runs-a-1"}
    assert fake.named("finish") == [{"exit_code": 1}, {"exit_code": 0}]


def test_reports_to_servers_are_off(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeTracker("trackio", monkeypatch)
    for variable in trackers.QUIET:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "true")
    load_tracker("trackio")
    found = {variable: trackers.os.environ[variable] for variable in trackers.QUIET}
    assert found == {**trackers.QUIET, "WANDB_ERROR_REPORTING": "true"}


@pytest.mark.parametrize("found", [None, ModuleSpec("wandb", None)], ids=["nothing", "a folder"])
@pytest.mark.parametrize("name", ["trackio", "wandb", "mlflow"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    name: str, found: ModuleSpec | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda module: found)
    settings = TrainConfig(tracker=name)  # type: ignore[arg-type]
    with fails(ConfigError, "missing-package", f"pip install {name}", setting="train.tracker"):
        check_tracker(settings)
    check_tracker(TrainConfig())


def test_an_unknown_tracker_is_refused() -> None:
    with fails(ConfigError, "wrong-value", "trackio", "wandb", "mlflow", setting="tracker"):
        TrainConfig(tracker="tensorboard")  # type: ignore[arg-type]


def test_sections_become_names_with_points() -> None:
    found = dict(flat_values(CONFIG))
    assert found["train.epochs"] == 2
    assert found["task.classes"] == ["crack"]
    assert "task" not in found


ALLOWED = set(string.ascii_letters + string.digits + "_-. /")


@given(st.text(st.characters(codec="ascii") | st.sampled_from("/.\\:äß本")))
def test_names_have_only_characters_that_mlflow_accepts(text: str) -> None:
    name = mlflow_name(text)
    assert all(sign in ALLOWED or sign.isalnum() for sign in name)
    parts = name.split("/")
    assert all(part.strip(".") for part in parts), "no part is empty or the folder above"
    assert mlflow_name(name) == name


def installed(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} is not installed")


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    for variable, value in {**trackers.QUIET, **trackers.IMPATIENT}.items():
        monkeypatch.setenv(variable, value)
    return installed("mlflow")


@pytest.mark.long
def test_mlflow_keeps_one_run_with_its_history_in_a_folder(mlflow: Any, picture: Path) -> None:
    train_twice("mlflow", picture)
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("cracks")
    [run] = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "runs-a-1"
    assert run.info.status == "FINISHED"
    assert run.data.params["train.learning_rate"] == "0.001"
    assert len(run.data.params["data.keep_together"]) == trackers.LONGEST_PARAMETER
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [(metric.step, metric.value) for metric in history] == [(1, 2.0), (2, 1.0)]
    assert run.data.metrics["test/crack/dice"] == 0.7
    files = [file.path for file in client.list_artifacts(run.info.run_id, "pictures")]
    assert files == ["pictures/epoch_0001.png"]


@pytest.mark.long
def test_mlflow_accepts_names_of_any_class_and_leaves_the_users_run_alone(mlflow: Any) -> None:
    with mlflow.start_run() as own:
        tracker = MlflowTracker(mlflow)
        tracker.init("its own", "b", CONFIG)
        tracker.log({"test/cell (big): ä/dice": 0.5, "test/../x": float("nan")}, 1, {})
        tracker.finish(failed=True)
        assert mlflow.active_run().info.run_id == own.info.run_id
    client = mlflow.MlflowClient()
    run = client.get_run(tracker.run_id)
    assert run.info.status == "FAILED"
    assert run.data.metrics["test/cell _big__ ä/dice"] == 0.5


@pytest.mark.long
def test_trackio_keeps_one_run_with_its_history_in_a_folder(
    tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    installed("trackio")
    train_twice("trackio", picture)
    storage = importlib.import_module("trackio.sqlite_storage").SQLiteStorage
    assert storage.get_runs("cracks") == ["runs-a-1"]
    rows = storage.get_logs("cracks", "runs-a-1")
    assert [(row["step"], row["loss"]) for row in rows if "loss" in row] == [(1, 2.0), (2, 1.0)]
    assert [row["test/crack/dice"] for row in rows if "test/crack/dice" in row] == [0.7]
    assert storage.get_run_config("cracks", "runs-a-1")["train"]["epochs"] == 2
    [saved] = (tmp_path / "trackio").rglob("*.png")
    assert saved.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.long
def test_wandb_writes_a_folder_for_each_part_of_a_run_without_a_network(
    tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    train_twice("wandb", picture)
    assert {path.name for path in tmp_path.rglob("*.wandb")} == {"run-runs-a-1.wandb"}
    assert list(tmp_path.rglob("media/images/pictures_*.png"))
