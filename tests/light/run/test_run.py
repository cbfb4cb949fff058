from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from segkit import RunError, Task
from segkit.config import Config, InputConfig
from segkit.run import Run
from segkit.run.checkpoint import Position
from segkit.run.environment import environment
from tests.helpers.disks import leave_over
from tests.helpers.errors import fails

GIVEN = InputConfig(channels=1, dtype="uint8", mean=(1.0,), std=(2.0,), low=0, high=255)
CONFIG = Config(task=Task.multilabel(["a", "b"])).with_input(GIVEN)
HEADER = "epoch,loss,val_loss\n"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run(tmp_path / "run")
    made.create(CONFIG)
    return made


def with_settings(**sections: dict[str, object]) -> Config:
    return Config.model_validate({"task": CONFIG.task, **sections})


def save(run: Run, epoch: int) -> None:
    run.checkpoints.save(Position(epoch), {"weights": [np.zeros(3, np.float32)]})


def test_a_new_run_stores_its_config_and_its_environment(run: Run) -> None:
    assert run.config() == CONFIG
    assert {"command", "python", "packages", "backend"} <= set(
        json.loads(run.environment.read_text())
    )
    assert environment()["packages"]["numpy"]


def test_a_config_without_image_statistics_is_not_that_of_a_run(run: Run) -> None:
    run.config_file.write_text(Config(task=CONFIG.task).as_yaml())
    with fails(RunError, "missing-setting", run.config_file, "input"):
        run.config()


def test_a_run_is_never_overwritten(run: Run, tmp_path: Path) -> None:
    with fails(RunError, "exists-already", run.path, "--run", "--resume"):
        run.create(CONFIG)
    (tmp_path / "file").touch()
    with fails(RunError, "exists-already", tmp_path / "file"):
        Run(tmp_path / "file").require_empty()
    (tmp_path / "empty").mkdir()
    Run(tmp_path / "empty").require_empty()
    Run(tmp_path / "new").require_empty()
    assert not (tmp_path / "new").exists()


def test_a_process_killed_at_the_beginning_leaves_an_empty_folder(tmp_path: Path) -> None:
    left = leave_over(tmp_path / "run" / "config.yaml")
    Run(tmp_path / "run").create(CONFIG)
    assert not left.exists()


def test_a_run_opens_when_it_has_a_model(run: Run, tmp_path: Path) -> None:
    with fails(RunError, "not-a-run", tmp_path / "elsewhere", "config.yaml"):
        Run.open(tmp_path / "elsewhere")
    with fails(RunError, "no-model", run.path, "model.keras"):
        Run.open(run.path)
    run.model.touch()
    assert Run.open(run.path).config() == CONFIG


def test_resuming_ignores_measured_image_statistics(run: Run) -> None:
    run.reopen(CONFIG)
    run.config_file.write_text(CONFIG.model_copy(update={"input": GIVEN}).as_yaml())
    run.reopen(CONFIG)
    run.reopen(
        with_settings(data={"cache": "disk", "cache_folder": "/elsewhere"})
    )  # the cache changes no sample
    run.reopen(
        with_settings(train={"pictures": 0, "tensorboard": False, "checkpoint_minutes": 1})
    )  # the weights are
    with fails(RunError, "not-a-run", run.path / "other", "--resume"):
        Run(run.path / "other").reopen(CONFIG)


def test_resuming_with_other_settings_names_each_of_them(run: Run) -> None:
    other = with_settings(train={"epochs": 99, "crop": [64, 96]}, model={"normalization": "group"})
    changes = ("train.epochs: 50 -> 99", "model.normalization: batch -> group", "train.crop", 96)
    with fails(RunError, "mismatch", run.path, *changes) as problem:
        run.reopen(other)
    assert "encoder" not in str(problem.value)


def test_resuming_with_other_classes_shows_both(run: Run) -> None:
    with fails(RunError, "mismatch", "task.classes: [a, b] -> [a, c]"):
        run.reopen(Config(task=Task.multilabel(["a", "c"])))


def test_an_incomplete_row_of_the_history_is_left_out(run: Run) -> None:
    assert run.rows() == []
    run.history.write_text(HEADER + "1,0.5,0.6\n2,0.4,0.5\n3,0.3")
    assert run.rows() == [
        {"epoch": 1, "loss": 0.5, "val_loss": 0.6},
        {"epoch": 2, "loss": 0.4, "val_loss": 0.5},
    ]
    run.history.write_text(HEADER + "1,0.5,0.6\n2,0.4,")
    assert len(run.rows()) == 1


def test_history_without_validation_is_read(run: Run) -> None:
    run.history.write_text(HEADER + "1,0.5,NA\n2,0.4,NA\n")  # as Keras' CSVLogger writes it
    for _ in range(2):
        rows = run.cut_history(2)
        assert [row["loss"] for row in rows] == [0.5, 0.4]
        assert np.isnan([row["val_loss"] for row in rows]).all()


def test_history_is_cut_to_the_epochs_that_were_saved(run: Run) -> None:
    run.history.write_text(HEADER + "1,0.5,0.6\n2,0.4,0.5\n3,0.3,0.4\n")
    assert [row["epoch"] for row in run.cut_history(2)] == [1, 2]
    assert run.history.read_text().splitlines() == [HEADER.strip(), "1,0.5,0.6", "2,0.4,0.5"]
    assert run.cut_history(0) == []
    assert run.rows() == []


def test_the_position_of_a_run_is_that_of_its_checkpoint(run: Run) -> None:
    assert run.saved() == Position()
    save(run, 3)
    assert run.saved() == Position(3)


@pytest.mark.long
def test_every_damage_to_a_checkpoint_is_a_run_error(run: Run) -> None:
    save(run, 2)
    save(run, 3)
    whole = run.checkpoints.latest.read_bytes()
    previous = run.checkpoints.previous.read_bytes()
    for place in range(len(whole) - 400, len(whole)):  # the directory at the end of the archive
        run.checkpoints.previous.write_bytes(previous)
        run.checkpoints.latest.write_bytes(
            whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        )
        run.reopen(CONFIG)
        assert run.saved() in (Position(2), Position(3))


@pytest.mark.parametrize("broken", [b"", b"PK"])
def test_an_unreadable_checkpoint_is_replaced_by_the_previous_one(run: Run, broken: bytes) -> None:
    save(run, 2)
    save(run, 3)
    run.checkpoints.latest.write_bytes(broken)
    run.reopen(CONFIG)
    assert run.saved() == Position(2)
    run.checkpoints.latest.write_bytes(broken)
    with fails(RunError, "damaged-file", run.checkpoints.latest):
        run.reopen(CONFIG)


def test_reopening_removes_what_a_killed_training_was_writing(run: Run) -> None:
    left = leave_over(run.model)
    run.reopen(CONFIG)
    assert not left.exists()


def test_a_run_is_made_at_the_target_of_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "run")
    Run(tmp_path / "link").create(CONFIG)
    assert (tmp_path / "link").is_symlink()
    assert Run(tmp_path / "disk" / "run").config() == CONFIG
