"""Training settings in whole runs: budgets, averages, precision, folds, seeds, a full disk."""

from __future__ import annotations

import errno
import json
import os
import random
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import yaml

from segkit.cli import main
from segkit.errors import ConfigError, RunError
from segkit.io import atomic
from segkit.models.build import build_for, encoder_layers
from segkit.run import Run
from segkit.training import precision
from segkit.training.devices import prepare
from segkit.training.lr_suggestion import rates
from tests.helpers.command_line import assert_fails
from tests.helpers.disks import on_full_disk
from tests.helpers.errors import holds
from tests.helpers.recovery import OVERRIDES, assert_same, config_of, kill_once, train, training
from tests.helpers.tiny_runs import tiny_config

FAST = {"epochs": 1, "steps_per_epoch": 4, "pictures": 0}


def with_data(config: Path, **data: object) -> Path:
    settings = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**settings, "data": {**settings["data"], **data}}))
    return config


def test_the_delivered_model_has_the_averaged_weights(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    assert train(tiny_config(tmp_path, **FAST, ema=0.9), run) == 0
    state = run.checkpoints.load()
    for path in (run.model, run.last):
        delivered = [
            np.asarray(v) for v in keras.saving.load_model(path, compile=False).trainable_variables
        ]
        averages = state["optimizer"][1 : 1 + len(delivered)]  # after the number of the step
        for array, average in zip(delivered, averages, strict=True):
            np.testing.assert_array_equal(array, average)
    raw = [array for array in state["weights"] if array.shape == delivered[0].shape]
    assert not any(np.array_equal(array, delivered[0]) for array in raw)


def test_the_encoder_of_a_network_stays_while_it_is_frozen_and_moves_afterwards(
    tmp_path: Path,
) -> None:
    learnt = []
    for frozen in (3, 1):  # of two epochs
        run = Run(tmp_path / f"run-{frozen}")
        settings = {
            **FAST,
            "epochs": 2,
            "freeze_encoder_epochs": frozen,
            "weight_decay": 0.1,
            "warmup": 0.0,
        }
        assert train(tiny_config(tmp_path, **settings), run) == 0
        learnt.append(keras.saving.load_model(run.last, compile=False).trainable_variables)
    config = run.config()
    prepare(config.train)
    start = build_for(config.task, config.model, config.input)
    encoder = {
        id(variable) for layer in encoder_layers(start) for variable in layer.trainable_variables
    }
    assert 0 < len(encoder) < len(start.trainable_variables)
    for first, still, moved in zip(start.trainable_variables, *learnt, strict=True):
        assert np.array_equal(still, first) == (id(first) in encoder)
        assert not np.array_equal(moved, first)


@pytest.mark.one_backend
def test_a_budget_of_steps_ends_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    config = tiny_config(tmp_path, **{**FAST, "steps": 10, "checkpoint_minutes": 1e-9})
    assert train(config, run) == 0
    assert [int(row["epoch"]) for row in run.rows()] == [0, 1, 2]
    assert run.checkpoints.load()["optimizer"][0] == 10
    with np.load(
        run.checkpoints.previous
    ) as before:  # none stands at an epoch's last step, whose validation was to come
        assert before["position"][:2].tolist() == [2, 1]
    rows = run.rows()
    assert train(config, run, "--resume") == 0
    assert run.rows() == rows


def test_two_runs_with_one_seed_are_the_same_to_the_bit_and_another_seed_is_not(
    tmp_path: Path,
) -> None:
    config = tiny_config(tmp_path, **{**FAST, "epochs": 2})
    runs = [Run(tmp_path / name) for name in ("one", "two", "other")]
    for run, seed in zip(runs, (5, 5, 6), strict=True):
        assert train(config, run, "--set", f"train.seed={seed}") == 0
    assert_same(runs[0], runs[1])
    with pytest.raises(AssertionError):
        assert_same(runs[0], runs[2])


@pytest.mark.one_backend
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_after_a_full_disk_training_resumes_from_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the third checkpoint on every temporary file is a link to /dev/full."""
    config = tiny_config(tmp_path, **{**FAST, "epochs": 2, "checkpoint_minutes": 1e-9})
    run, whole = Run(tmp_path / "run"), Run(tmp_path / "whole")
    seen: list[str] = []

    def full(path: Path) -> bool:
        seen.append(path.name)
        return seen.count("latest.npz") > 2

    with monkeypatch.context() as patch:
        patch.setattr(atomic, "together", on_full_disk(full))
        values = (run.path, os.strerror(errno.ENOSPC), "--resume")
        assert_fails(training(config, run), RunError, "no-space", *values)
    assert run.saved().steps_done(10**6) == 2  # the two checkpoints before
    assert not list(run.path.rglob("*.part*"))
    assert train(config, run, "--resume") == 0
    assert train(config, whole) == 0
    assert_same(run, whole)


@pytest.mark.one_backend
def test_too_little_room_is_said_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "segkit.run.checkpoint.shutil.disk_usage", lambda folder: type("Usage", (), {"free": 1000})
    )
    run = Run(tmp_path / "run")
    assert_fails(training(tiny_config(tmp_path, **FAST), run), RunError, "no-space", "0.0 MB")
    assert run.saved().steps_done(10**6) == 0


@pytest.mark.one_backend
def test_automatic_precision_is_saved_for_resuming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, config = Run(tmp_path / "run"), tiny_config(tmp_path, **{**FAST, "precision": "auto"})
    times = iter(
        [0.0, 3.0, 0.0, 1.0] * 7
    )  # seconds before and after a step, float32 and bfloat16 in turns
    clock = type("Clock", (), {"perf_counter": staticmethod(lambda: next(times))})
    with monkeypatch.context() as patch:
        patch.setattr(precision, "time", clock)
        assert train(config, run) == 0
    found = json.loads(run.precision.read_text())
    assert found["precision"] == "mixed_bfloat16"
    assert found["ratio"] == 3.0
    model = keras.saving.load_model(run.model, compile=False)
    assert "bfloat16" in {layer.compute_dtype for layer in model.layers}
    assert model.output.dtype == "float32"
    monkeypatch.setattr(precision, "compare_precisions", lambda *_: pytest.fail("measured again"))
    assert train(config, run, "--resume") == 0
    keras.config.set_dtype_policy("float32")


@pytest.mark.one_backend  # the clock is the same on both
def test_a_time_budget_holds_across_a_kill(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    settings = {
        "minutes": 0.25,
        "steps_per_epoch": 10_000,
        "checkpoint_minutes": 0.01,
        "pictures": 0,
    }
    config = tiny_config(tmp_path, **settings)
    assert kill_once(config, run, random.Random(0))
    at = run.saved()
    assert at.epoch == 0
    assert at.step > 0
    assert train(config, run, "--resume") == 0
    [row] = run.rows()
    assert at.seconds < 15 * 0.9
    assert 0.9 * 15 <= row["seconds"] <= 2 * 15  # on a loaded machine a step is long
    steps = run.checkpoints.load()["optimizer"][0]
    assert steps > at.step
    run.scores.unlink()  # as if killed before its scores were written: the minutes are over
    assert train(config, run, "--resume") == 0
    assert run.rows() == [row]
    assert run.checkpoints.load()["optimizer"][0] == steps


@pytest.mark.one_backend
def test_all_folds_are_trained_into_one_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = with_data(tiny_config(tmp_path, **FAST), test=0.2)
    folder = Run(tmp_path / "runs")
    assert train(config, folder, "--fold", "1/2") == 0
    assert not (folder.path / "folds.json").exists()
    assert train(config, folder, "--fold", "all/2", "--resume") == 0
    shown = capsys.readouterr().out
    report = json.loads((folder.path / "folds.json").read_text())
    scores = [json.loads((folder.path / f"fold_{k}" / "scores.json").read_text()) for k in (1, 2)]
    assert [each["part"] for each in scores] == ["validation"] * 2
    dice = [each["mean"]["dice_foreground"] for each in scores]
    assert report["mean"]["dice_foreground"]["mean"] == pytest.approx(np.mean(dice))
    assert report["folds"] == 2
    assert holds(shown, f"{np.mean(dice):.4f}")
    assert holds(shown, f"{np.std(dice, ddof=1):.4f}")
    assert Run.open(folder.path / "fold_2").config().data.fold == "2/2"
    faster = ["--set", "train.learning_rate=0.5"]
    for changed, setting in (
        (["--fold", "all/3"], "data.fold"),
        (["--fold", "all/2", *faster], "train.learning_rate"),
    ):
        assert_fails(training(config, folder, *changed, "--resume"), RunError, "mismatch", setting)
    assert train(config, folder, "--fold", "all/2", "--set", "train.pictures=3", "--resume") == 0
    third = Run(
        tmp_path / "third"
    )  # one that does not fit what is there is refused before it is trained
    shutil.copytree(folder.path / "fold_1", third.path / "fold_1")
    refused = training(config, third, "--fold", "2/2", *faster)
    assert_fails(refused, RunError, "mismatch", third.path / "fold_1", "train.learning_rate")
    assert not (third.path / "fold_2").exists()


@pytest.mark.one_backend
def test_folds_that_were_interrupted_go_on_as_folds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config, folder = tiny_config(tmp_path, **FAST), Run(tmp_path / "runs")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("segkit.training.step_counter.StepCounter.on_epoch_end", interrupt)
        assert train(config, folder, "--fold", "all/2") == 130
    told = " ".join(capsys.readouterr().out.split())
    command = told.partition("segkit train ")[2].removesuffix(" --resume")
    assert command == f"{config} {' '.join(OVERRIDES)} --fold all/2 --run {folder.path}"
    assert main(["train", *command.split(), "--resume"]) == 0
    assert (folder.path / "folds.json").is_file()


@pytest.mark.one_backend
def test_a_run_without_validation_goes_on(tmp_path: Path) -> None:
    config, run, whole = (
        with_data(config_of(tmp_path), validation=0),
        Run(tmp_path / "run"),
        Run(tmp_path / "whole"),
    )
    assert kill_once(config, run, random.Random(0))
    assert train(config, run, "--resume") == 0
    assert train(config, whole) == 0
    assert_same(run, whole)


def test_the_rate_test_suggests_a_rate_and_draws_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, picture = tiny_config(tmp_path), tmp_path / "rates.png"
    assert (
        main(
            [
                "lr",
                str(config),
                "--low",
                "1e-4",
                "--high",
                "1",
                "--steps",
                "40",
                "--out",
                str(picture),
            ]
        )
        == 0
    )
    [suggested] = re.findall(r"train\.learning_rate=(\S+)", capsys.readouterr().out)
    assert suggested in [f"{rate / 10:.1e}" for rate in rates(1e-4, 1.0, 40)]
    assert picture.is_file()
    assert_fails(["lr", str(config), "--steps", "3"], ConfigError, "wrong-value", "--steps", 20, 3)
