"""segkit plan as users run it: from folders to a config that train.py takes as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from segkit.cli import main
from segkit.config import read
from segkit.errors import ConfigError, DataError
from segkit.planning import budget
from segkit.run import Run
from segkit.task import Task
from tests.helpers.command_line import assert_fails, listed_problems
from tests.helpers.errors import holds
from tests.helpers.tiny_runs import TASKS, tiny_config


def test_a_plan_is_made_and_trains_without_edits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(budget, "LADDER", ((4, 32),))  # one start of Keras is enough here
    assert (
        main(["convert", str(tiny_config(tmp_path, "multilabel")), "--out", str(tmp_path / "data")])
        == 0
    )
    folders = [str(tmp_path / "data" / "images"), str(tmp_path / "data" / "masks")]
    path = tmp_path / "plan.yaml"
    capsys.readouterr()
    assert main(["plan", *folders, "--minutes", "5", "--out", str(path)]) == 0
    [verdict] = [
        line for line in capsys.readouterr().out.splitlines() if line.startswith("verdict: ")
    ]
    assert holds(verdict, "overlapping")
    assert holds(verdict, "sigmoid")
    config = read(path)
    assert config.task == Task.multilabel(TASKS["multilabel"]["classes"])
    assert config.train.minutes == 5.0
    assert config.model.stem == 4
    written = yaml.safe_load(path.read_text())
    assert set(written) >= {"task", "data", "augment", "input", "model", "loss", "train"}
    again = ["plan", *folders, "--out", str(path)]
    assert_fails(
        again, ConfigError, "exists-already", path, setting="--out"
    )  # a config is not overwritten
    assert yaml.safe_load(path.read_text()) == written
    run = Run(tmp_path / "run")
    assert main(["train", str(path), "--run", str(run.path), "--set", "train.minutes=0.1"]) == 0
    assert run.scores.is_file()
    assert run.config().input == config.input


def test_no_plan_is_made_while_training_would_be_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["convert", str(tiny_config(tmp_path, "binary")), "--out", str(tmp_path / "data")])
        == 0
    )
    broken = tmp_path / "data" / "images" / "shape_00000.png"
    broken.write_bytes(b"no picture")
    folders = [str(tmp_path / "data" / "images"), str(tmp_path / "data" / "masks")]
    capsys.readouterr()
    assert_fails(
        ["plan", *folders, "--out", str(tmp_path / "plan.yaml")], DataError, "unreadable", broken
    )
    errors = [
        problem for problem in listed_problems(capsys.readouterr().out) if problem.level == "error"
    ]
    assert [problem.code for problem in errors] == ["unreadable"]
    assert holds(errors[0].message, broken)
    assert not (tmp_path / "plan.yaml").exists()
