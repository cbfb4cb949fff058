"""segkit train: the contents of a run folder, resuming, and errors."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import pytest
from PIL import Image

from segkit.cli import main
from segkit.errors import ConfigError, RunError
from segkit.run import Run
from tests.helpers.command_line import assert_fails
from tests.helpers.errors import holds
from tests.helpers.tiny_runs import tiny_config


def test_run_folder_holds_all_that_prediction_needs(trained: Run) -> None:
    config = trained.config()
    assert config.input is not None
    assert config.input.channels == 3
    model = keras.saving.load_model(trained.model, compile=False)
    assert model.output_shape[-1] == config.task.channels
    assert model.layers[-1].activation.__name__ == config.task.activation
    assert len(trained.rows()) == config.train.epochs
    assert {"learning_rate", "val_dice_foreground", "seconds"} <= set(trained.rows()[0])
    assert json.loads(trained.environment.read_text())["packages"]["keras"] == keras.__version__
    assert trained.last.is_file()


def test_each_epoch_has_a_line_with_its_scores_and_a_log_for_tensorboard(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, run = (
        tiny_config(tmp_path, "binary", epochs=1, steps_per_epoch=2, tensorboard=True),
        Run(tmp_path / "run"),
    )
    assert main(["train", str(config), "--run", str(run.path)]) == 0
    [line] = re.findall(r"^epoch +1/1 .*$", capsys.readouterr().out, re.MULTILINE)
    [row] = run.rows()
    for name, column in (
        ("loss", "loss"),
        ("val_loss", "val_loss"),
        ("val_dice", "val_dice_foreground"),
    ):
        [shown] = re.findall(rf"(?<!\S){name} +(\d\.\d+)", line)
        assert float(shown) == pytest.approx(row[column], abs=1e-3)
    assert holds(line, "0:00:00")  # the time left
    assert {path.parent.name for path in run.tensorboard.rglob("events.out.*")} == {
        "train",
        "validation",
    }


def test_samples_on_disk_go_with_the_end_of_the_training(tmp_path: Path) -> None:
    config, kept = tiny_config(tmp_path, "binary", epochs=1, pictures=0), tmp_path / "kept"
    command = ["train", str(config), "--set", "data.cache=disk", "--run"]
    assert main([*command, str(tmp_path / "run")]) == 0
    assert not (tmp_path / "run" / "cache").exists()
    assert main([*command, str(tmp_path / "other"), "--set", f"data.cache_folder={kept}"]) == 0
    assert len(list(kept.rglob("*.sample"))) > 15  # of training and validation, for the next run
    assert not (tmp_path / "other" / "cache").exists()


def test_pictures_show_image_truth_and_prediction(trained: Run) -> None:
    pictures = sorted(path.name for path in trained.pictures.iterdir())
    assert pictures == ["epoch_0001.png", "epoch_0002.png"]
    assert Image.open(trained.pictures / pictures[0]).width == 3 * 230 + 6


def test_scores_have_the_documented_form(trained: Run) -> None:
    scores = json.loads(trained.scores.read_text())
    assert scores["aggregation"] == "dataset"
    assert scores["part"] == "test"
    assert set(scores["mean"]) == {"iou_foreground", "dice_foreground", "iou_with_background"}
    assert list(scores["classes"]) == list(trained.config().task.classes)
    for values in scores["classes"].values():
        assert set(values) == {
            "iou",
            "dice",
            "precision",
            "recall",
            "pixels_true",
            "pixels_predicted",
        }


def test_evaluate_gives_the_scores_that_training_gave(trained: Run, tmp_path: Path) -> None:
    test, out = trained.path.parent / "test", tmp_path / "scores.json"
    arguments = [
        "--images",
        str(test / "images"),
        "--masks",
        str(test / "masks"),
        "--out",
        str(out),
    ]
    assert main(["evaluate", str(trained.path), *arguments]) == 0
    expected = json.loads(trained.scores.read_text())
    del expected["part"]
    assert json.loads(out.read_text()) == expected


def test_the_scores_of_each_image_are_in_the_run(trained: Run) -> None:
    task = trained.config().task
    report = json.loads(trained.scores.read_text())
    with (trained.path / "scores.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    images = trained.path.parent / "test" / "images"
    assert {row["image"] for row in rows} == {path.stem for path in images.iterdir()}
    assert [row["image"] for row in rows[:10]] == [each["image"] for each in report["worst"]]
    for label, losses in report["lost"].items():
        scores = report["classes"][label]
        for name in ("pixels_true", "pixels_predicted"):
            assert sum(int(row[f"{label} {name}"]) for row in rows) == scores[name]
        assert sum(losses.values()) == pytest.approx(1 - scores["dice"])
    assert list(report["lost"]) == [task.classes[label] for label in task.foreground]


def test_evaluate_writes_a_table_and_compares_annotators(
    trained: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = trained.path.parent / "test"
    files = ["--images", str(test / "images"), "--masks", str(test / "masks")]
    out = tmp_path / "scores.json"
    table = tmp_path / "scores.csv"
    extras = ["--out", str(out), "--table", str(table), "--second-masks", str(test / "masks")]
    command = ["evaluate", str(trained.path), *files, *extras, "--boundary", "--tolerance", "1.5"]
    assert main(command) == 0
    report = json.loads(out.read_text())
    assert report["boundary"]["tolerance"] == 1.5
    assert report["ceiling"]["annotators"]["dice"] == 1
    shown = capsys.readouterr().out
    with table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == report["images"]
    for row in rows[:10]:
        assert row["image"] in shown
        assert float(row["mean surface_dice"]) <= 1
    assert_fails([*command, "--tolerance=-1"], ConfigError, "wrong-value", "--tolerance", "-1")


def test_another_run_is_never_overwritten(trained: Run) -> None:
    before = trained.model.read_bytes()
    command = ["train", str(tiny_config(trained.path.parent)), "--run", str(trained.path)]
    assert_fails(command, RunError, "exists-already", trained.path, "--run", "--resume")
    assert trained.model.read_bytes() == before


def test_resume_refuses_other_settings(trained: Run) -> None:
    config = tiny_config(trained.path.parent, trained.config().task.kind)
    arguments = ["--run", str(trained.path), "--set", "train.batch_size=2", "--resume"]
    assert_fails(
        ["train", str(config), *arguments],
        RunError,
        "mismatch",
        trained.path,
        "train.batch_size: 4 -> 2",
    )


def test_a_loss_that_is_no_number_stops_with_step_and_cause(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, learning_rate=1e30, schedule="constant", clip_norm=0)
    command = ["train", str(config), "--run", str(tmp_path / "run")]
    problem = assert_fails(command, RunError, "not-finite", "train.learning_rate=1e+29")
    [step] = re.findall(r"epoch 1, step (\d+)", str(problem))
    assert 1 <= int(step) <= 3  # the first steps are wild already


def test_early_stopping_counts_epochs_without_a_better_score(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, epochs=9, patience=2, learning_rate=1e-12, schedule="constant")
    assert (
        main(
            [
                "train",
                str(config),
                "--run",
                str(tmp_path / "run"),
                "--set",
                "model.normalization=none",
            ]
        )
        == 0
    )
    assert len(Run.open(tmp_path / "run").rows()) == 3


def test_kill_and_resume_ends_with_the_same_history_length(tmp_path: Path) -> None:
    config, run = tiny_config(tmp_path, epochs=6, steps_per_epoch=20), Run(tmp_path / "run")
    process = _start(config, run)
    _wait_for_epochs(process, run, 2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    saved = run.saved().epoch
    assert 1 <= saved < 6
    assert main(["train", str(config), "--run", str(run.path), "--resume"]) == 0
    assert [int(row["epoch"]) for row in run.rows()] == list(range(6))
    assert run.saved().epoch == 6


def test_an_interrupt_saves_and_prints_how_to_continue(tmp_path: Path) -> None:
    config, run = tiny_config(tmp_path, epochs=500, steps_per_epoch=5), Run(tmp_path / "run")
    process = _start(config, run)
    _wait_for_epochs(process, run, 1)
    process.send_signal(signal.SIGINT)
    output = process.communicate()[0]
    assert process.returncode == 130
    assert f"--run {run.path} --resume" in output
    assert run.model.is_file()
    assert run.last.is_file()
    assert run.saved().epoch >= 1


def _start(config: Path, run: Run) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "segkit", "train", str(config), "--run", str(run.path)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        # a shell starts jobs in the background with Ctrl-C ignored, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def _wait_for_epochs(process: subprocess.Popen[str], run: Run, epochs: int) -> None:
    for _ in range(1200):
        if process.poll() is not None:
            pytest.fail(f"training ended too early: {process.stdout and process.stdout.read()}")
        if run.checkpoints.latest.is_file() and len(run.rows()) >= epochs:
            return
        time.sleep(0.1)
    process.kill()
    pytest.fail("no epoch ended within two minutes")


def test_a_run_ends_after_its_minutes_and_cannot_be_continued_then(
    tmp_path: Path,
) -> None:
    config, run = tiny_config(tmp_path), Run(tmp_path / "run")
    arguments = [
        "train",
        str(config),
        "--run",
        str(run.path),
        "--set",
        "train.minutes=0.25",
        "--set",
        "train.pictures=0",
    ]
    assert main(arguments) == 0
    rows = run.rows()
    assert (
        0.9 * 15 <= sum(row["seconds"] for row in rows) <= 2 * 15
    )  # seconds; on a loaded machine a step is long
    assert rows[-1]["learning_rate"] < 0.001 * run.config().train.learning_rate
    assert main([*arguments, "--resume"]) == 0
    assert len(run.rows()) == len(rows)
