"""Two devices or processes train as one device does; a dead process ends the other."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml

import segkit
from segkit import catalog
from segkit.run import Run
from tests.helpers.tiny_runs import tiny_config

ROOT = Path(segkit.__file__).parents[1]
LIMIT = 3600
"""Seconds, for machines that have other things to do."""
PATIENT = f"""
import sys
from segkit import cli
from segkit.training import distributed
distributed.HEARTBEAT = {LIMIT}
sys.exit(cli.main(sys.argv[1:]))
"""


def config_of(folder: Path, **train: object) -> Path:
    """Train with SGD, because AdamW turns rounding errors into steps."""
    return tiny_config(
        folder, "multiclass", **{"optimizer": "sgd", "learning_rate": 0.05, "pictures": 0, **train}
    )


def environment(backend: str) -> dict[str, str]:
    return {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT), "XLA_FLAGS": ""}


def alike(config: Path, folder: Path, backend: str) -> None:
    command = [sys.executable, "-m", "tests.helpers.devices_alike", str(config), str(folder)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(backend),
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]


def start(
    config: Path, run: Path, *more: str, program: Sequence[str] = ("-m", "segkit")
) -> list[subprocess.Popen[str]]:
    """Start a training in two processes on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, *program, "train", str(config), "--run", str(run), *more]
    place = ["--coordinator", f"127.0.0.1:{port}", "--process"]
    return [
        subprocess.Popen(
            [*command, *place, f"{number}/2"],
            env=environment("jax"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in (1, 2)
    ]


def left_alone(error: str) -> list[str]:
    """Return the processes that fail because they lost the others, and name --resume."""
    return re.findall(r"^error: process (\d+) of 2\b.*--resume", error, re.MULTILINE)


def assert_alike(run: Run, expected: Run) -> None:
    """The same losses, scores and weights but for rounding."""
    rows, theirs = run.rows(), expected.rows()
    assert len(rows) == len(theirs) == 2
    for row, other in zip(rows, theirs, strict=True):
        for name in sorted(row.keys() - {"seconds"}):
            assert row[name] == pytest.approx(other[name], rel=2e-3, abs=1e-4), name
    for kind, group in run.checkpoints.load().items():
        for array, other_array in zip(group, expected.checkpoints.load()[kind], strict=True):
            np.testing.assert_allclose(other_array, array, rtol=2e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_two_devices_train_as_one(tmp_path: Path, backend: str) -> None:
    # at ten times the rate, rounding grows to a few pixels decided otherwise in two epochs
    alike(config_of(tmp_path, learning_rate=0.005), tmp_path, backend)
    assert_alike(Run(tmp_path / "two"), Run(tmp_path / "one"))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_two_devices_train_as_one_with_every_loss(tmp_path: Path, backend: str) -> None:
    config = config_of(tmp_path, learning_rate=0.005)
    settings = {
        **yaml.safe_load(config.read_text()),
        "loss": dict.fromkeys(sorted(catalog.LOSSES), 1.0),
    }
    config.write_text(yaml.safe_dump(settings))
    alike(config, tmp_path, backend)
    assert_alike(Run(tmp_path / "two"), Run(tmp_path / "one"))


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    both = start(config, tmp_path / "both", program=("-c", PATIENT))
    command = [sys.executable, "-m", "segkit", "train", str(config), "--run", str(tmp_path / "one")]
    subprocess.run(command, env=environment("jax"), check=True, capture_output=True, timeout=LIMIT)
    outputs = [process.communicate(timeout=LIMIT) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert_alike(Run(tmp_path / "both"), Run(tmp_path / "one"))
    scores = [Run(tmp_path / name).scores.read_text() for name in ("both", "one")]
    assert scores[0] == scores[1]
    assert (
        str(tmp_path / "both") in outputs[0][0].splitlines()[-1]
    )  # the first process names the run folder
    assert str(tmp_path / "both") not in outputs[1][0]


PARTS = """
import numpy as np
from tests.helpers.devices_alike import two_devices
two_devices()
import keras
from segkit import Task, metrics
from segkit.training.mirrored import add_to_sum, device_names, mirrored
with mirrored(device_names()):
    counts = metrics.Scores(Task.binary(), from_logits=True).variables[0]
    mean = keras.metrics.Mean()
    for _ in range(2):
        add_to_sum(counts, np.full(counts.shape, 3, np.int32))
    add_to_sum(mean.total, np.float32(1.5))
    print(sorted(set(np.asarray(counts).ravel().tolist())), float(np.asarray(mean.total)))
"""


def test_a_whole_number_comes_back_whole_on_two_devices() -> None:
    command = [sys.executable, "-c", PARTS]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment("tensorflow"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split("\n")[-2] == "[6] 1.5", done.stderr[-2000:]


@pytest.mark.slow
def test_averages_the_clock_and_changing_weights_work_in_two_processes(tmp_path: Path) -> None:
    config, run = (
        tiny_config(tmp_path, minutes=0.3, ema=0.9, pictures=1, tensorboard=True),
        Run(tmp_path / "run"),
    )
    settings = {
        **yaml.safe_load(config.read_text()),
        "loss": {"cross_entropy": [1, 0.5], "dice": 1.0},
    }
    config.write_text(yaml.safe_dump(settings))
    both = start(config, run.path, program=("-c", PATIENT))
    outputs = [process.communicate(timeout=LIMIT) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert len(run.rows()) > 1
    assert run.scores.is_file()


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_an_interrupted_process_with_averages_ends_the_other(tmp_path: Path, victim: int) -> None:
    run = Run(tmp_path / "run")
    both = start(tiny_config(tmp_path, epochs=400, ema=0.9, pictures=0), run.path)
    while len(run.rows()) < 2:
        assert [process.poll() for process in both] == [None, None]
        time.sleep(0.2)
    both[victim].send_signal(signal.SIGTERM)
    for process in both:
        process.communicate(timeout=60)
    assert both[victim].returncode == 130
    assert both[1 - victim].returncode in (2, -signal.SIGABRT)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_silent_process_ends_the_other(tmp_path: Path, victim: int) -> None:
    run = Run(tmp_path / "run")
    both = start(config_of(tmp_path, epochs=40, steps_per_epoch=10), run.path)
    while len(run.rows()) < 2:
        assert [process.poll() for process in both] == [None, None]
        time.sleep(0.2)
    both[victim].send_signal(
        signal.SIGSTOP
    )  # as a machine that hangs or has lost its network: nothing is closed
    other = both[1 - victim]
    try:
        error = other.communicate(timeout=75)[1]
    finally:
        both[victim].kill()
    both[victim].communicate()
    assert other.returncode in (2, -signal.SIGABRT)
    assert left_alone(error) == [str(2 - victim)]


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_dead_process_ends_the_other_and_both_go_on_with_resume(
    tmp_path: Path, victim: int
) -> None:
    config, run = config_of(tmp_path, epochs=40, steps_per_epoch=10), Run(tmp_path / "run")
    both = start(config, run.path)
    while len(run.rows()) < 2:
        assert [process.poll() for process in both] == [None, None]
        time.sleep(0.2)
    both[victim].send_signal(signal.SIGKILL)
    other = both[1 - victim]
    error = other.communicate(timeout=60)[1]
    both[victim].communicate()
    assert other.returncode in (2, -signal.SIGABRT)
    assert left_alone(error) == [str(2 - victim)]
    done = run.saved().epoch
    assert 2 <= done < 40
    # fewer epochs would be another config; so the leader is interrupted again, as by a user
    again = start(config, run.path, "--resume")
    while run.saved().epoch < done + 2:
        assert [process.poll() for process in again] == [None, None]
        time.sleep(0.2)
    again[0].send_signal(signal.SIGINT)
    output, errors = zip(*[process.communicate(timeout=60) for process in again], strict=True)
    assert again[0].returncode == 130
    assert output[0].splitlines()[-1].endswith(f"--process 1/2 --run {run.path} --resume")
    assert again[1].returncode in (2, -signal.SIGABRT)
    assert re.findall(r"epoch (\d+), step \d+", output[0]) == [str(done + 1)]  # where it went on
    assert left_alone(errors[1]) == ["2"]
    assert [int(row["epoch"]) for row in run.rows()] == list(range(len(run.rows())))
