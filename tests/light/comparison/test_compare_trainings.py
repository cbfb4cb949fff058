"""The trainings of a comparison: order, finished and failed ones, and the end of the parent."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segkit import RunError
from segkit.comparison import trainings
from segkit.comparison.settings import Setting, list_settings
from segkit.comparison.trainings import begun, in_turn, run_training
from segkit.config import read
from tests.helpers.compared import write_config
from tests.helpers.errors import fails, holds

# Stands for Python: records its arguments, and does what the file `do` above the run says.
STAND_IN = """#!{python}
import json, os, pathlib, signal, sys
run = pathlib.Path(sys.argv[sys.argv.index("--run") + 1])
with open(run.parents[1] / "started", "a") as started:
    started.write(json.dumps([*sys.argv[1:], (run / "left over").exists()]) + "\\n")
run.mkdir()
(run / "model.keras").touch()
do = (run.parents[1] / "do").read_text()
if do == "fail":
    print("epoch 1\\nerror: the loss is not a number")
    sys.exit(2)
if do == "crash":
    raise IndexError("seven")
if do == "die":
    os.kill(os.getpid(), signal.SIGKILL)
(run / "scores.json").touch()
"""


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    stand_in = tmp_path / "python"
    stand_in.write_text(STAND_IN.format(python=sys.executable))
    stand_in.chmod(0o755)
    monkeypatch.setattr(trainings.sys, "executable", str(stand_in))
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def settings(tmp_path: Path) -> list[Setting]:
    return list_settings(
        write_config(tmp_path / "a.yaml"), ["task.head=softmax,sigmoid"], [], [], 1.0
    )


def test_settings_are_trained_in_turn_by_seed(out: Path, settings: list[Setting]) -> None:
    found = in_turn(out, settings, 3)
    assert [(each.setting.name, each.seed) for each in found] == [
        (f"task.head={head}", seed) for seed in range(3) for head in ("softmax", "sigmoid")
    ]
    assert found[0].run.path == out / "1-task.head-softmax" / "seed-0"
    assert len({each.run.path for each in found}) == len({each.log for each in found}) == 6


def test_a_training_runs_the_train_command_in_a_new_folder(
    out: Path, settings: list[Setting]
) -> None:
    with begun(out, settings, 2):
        training = in_turn(out, settings, 2)[3]
        (training.run.path / "left over").mkdir(parents=True)
        (out / "do").write_text("well")
        assert not training.is_finished
        assert run_training(training) is None
        assert training.is_finished
    [started] = map(json.loads, (out / "started").read_text().splitlines())
    config = str(out / "2-task.head-sigmoid" / "config.yaml")
    run = str(out / "2-task.head-sigmoid" / "seed-1")
    assert started == [
        "-m",
        "segkit.cli.child",
        "train",
        config,
        "--set",
        "train.seed=1",
        "--run",
        run,
        False,
    ]
    assert read(Path(config)) == settings[1].config


@pytest.mark.parametrize(
    ("do", "cause"),
    [("fail", "the loss is not a number"), ("crash", "IndexError: seven"), ("die", "signal 9")],
)
def test_a_failed_training_has_a_reason_and_is_not_finished(
    out: Path, settings: list[Setting], do: str, cause: str
) -> None:
    with begun(out, settings, 1):
        (out / "do").write_text(do)
        training = in_turn(out, settings, 1)[0]
        why = str(run_training(training))
        assert holds(why, cause)
        assert holds(why, training.log) == (do != "die")
        assert not training.is_finished


def test_the_same_comparison_is_continued_and_another_is_refused(
    out: Path, settings: list[Setting]
) -> None:
    with begun(out, settings, 2):
        pass
    with begun(out, settings, 2):
        pass
    wider = [
        each._replace(config=each.config.model_copy(update={"class_weights": {"disc": 2.0}}))
        for each in settings
    ]
    renamed = [settings[0], settings[1]._replace(name="other")]
    for others, seeds, values in (
        (settings, 3, "seeds"),
        (wider, 2, "settings"),
        (renamed, 2, "settings"),
    ):
        with (
            fails(RunError, "mismatch", out, 2, "task.head=softmax, task.head=sigmoid", values),
            begun(out, others, seeds),
        ):
            pass


def test_a_folder_of_something_else_is_refused(
    out: Path, settings: list[Setting], tmp_path: Path
) -> None:
    (out / "notes.txt").touch()
    for folder in (out, tmp_path / "a.yaml"):
        with fails(RunError, "exists-already", folder), begun(folder, settings, 1):
            pass
    assert [path.name for path in out.iterdir()] == ["notes.txt"]


def test_two_comparisons_do_not_work_in_one_folder(out: Path, settings: list[Setting]) -> None:
    pytest.importorskip("fcntl")
    with begun(out, settings, 1), fails(RunError, "busy", out):  # noqa: SIM117
        with begun(out, settings, 1):
            pass


def test_a_child_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    watched = (
        "import pathlib, sys, threading, time; from segkit.cli.child import end_with_parent;"
        "threading.Thread(target=end_with_parent, daemon=True).start();"
        "pathlib.Path(sys.argv[1]).touch(); time.sleep(50); pathlib.Path(sys.argv[2]).touch()"
    )
    begun_file, done_file = tmp_path / "begun", tmp_path / "done"
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import subprocess, sys;"
            "arguments = [sys.executable, '-c', *sys.argv[1:]];"
            "child = subprocess.Popen(arguments, stdin=subprocess.PIPE);"
            "print(child.pid, flush=True); child.wait()",
            watched,
            str(begun_file),
            str(done_file),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline().strip().isdecimal()
    while not begun_file.exists():
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    parent.stdout.read()  # returns when the child, which holds the pipe too, has ended
    assert not done_file.exists()
