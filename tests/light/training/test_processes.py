"""Several devices and machines: refused before Keras is loaded, and how batches are shared."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segkit.config import Config
from segkit.errors import ConfigError, RunError
from segkit.run import Run
from segkit.run.checkpoint import Position
from segkit.system.replicas import Replicas
from segkit.task import Task
from segkit.training.distributed import join, opened_run
from segkit.training.process import Process, chosen_backend, parse_process
from tests.helpers.command_line import assert_fails
from tests.helpers.errors import fails
from tests.helpers.exports_made import GIVEN


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 40))
def test_the_shares_of_all_processes_are_the_batch(
    processes_: int, devices: int, samples: int
) -> None:
    count = processes_ * devices
    places = [Replicas(count, process, processes_) for process in range(processes_)]
    size = places[0].padded(samples)
    assert size % count == 0
    assert samples <= size < samples + count
    read = [i for place in places for i in range(size)[place.share(size)]]
    assert read == list(range(size))
    assert len({len(range(size)[place.share(size)]) for place in places}) == 1
    assert [place.leads for place in places] == [True] + [False] * (processes_ - 1)


@pytest.mark.parametrize(("size", "nearest"), [(6, (4, 8)), (3, (4,)), (9, (8, 12))])
def test_a_batch_that_cannot_be_shared_is_refused_with_the_nearest(
    size: int, nearest: tuple[int, ...]
) -> None:
    with fails(ConfigError, "contradiction", size, *nearest):
        Replicas(4).check(size)
    with fails(ConfigError, "contradiction", size, *nearest):
        Config.model_validate(
            {"task": Task.binary("x"), "train": {"batch_size": size, "devices": 4}}
        )
    Replicas(4).check(8)


def test_alone_nothing_is_gathered() -> None:
    assert Replicas().largest(np.array([1, 2])).tolist() == [1, 2]
    assert Replicas(2).agreed(0.5) == 0.5


@pytest.mark.parametrize(
    ("coordinator", "process", "code", "setting"),
    [
        (None, "1/2", "missing-setting", "--process"),
        ("a:1", None, "missing-setting", "--coordinator"),
        ("a:1", "0/2", "wrong-value", "--process"),
        ("a:1", "3/2", "wrong-value", "--process"),
        ("a:1", "1", "wrong-value", "--process"),
        ("a:1", "x/2", "wrong-value", "--process"),
        ("a", "1/2", "wrong-value", "--coordinator"),
        ("a:0", "1/2", "wrong-value", "--coordinator"),
        ("a:99999", "1/2", "wrong-value", "--coordinator"),
        (":80", "1/2", "wrong-value", "--coordinator"),
    ],
)
def test_a_wrong_place_is_refused(
    coordinator: str | None, process: str | None, code: str, setting: str
) -> None:
    wrong = process if setting == "--process" else coordinator
    with fails(ConfigError, code, wrong if code == "wrong-value" else "--", setting=setting):
        parse_process(coordinator, process)


def test_a_place_is_read() -> None:
    assert parse_process(None, None) is None
    assert parse_process("node1:7000", "2/3") == Process(2, 3, "node1:7000")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(
        "task: {kind: binary, classes: [shape]}\n"
        "data: {source: shapes, count: 9}\n"
        "train: {batch_size: 3}\n"
    )
    return path


PLACE = ["--coordinator", "127.0.0.1:7000", "--process", "1/2"]


@pytest.mark.parametrize(
    ("environment", "options", "code", "values", "setting"),
    [
        (
            {"KERAS_BACKEND": "tensorflow"},
            PLACE,
            "not-for-backend",
            ("tensorflow", "KERAS_BACKEND=jax"),
            "--coordinator",
        ),
        (
            {"KERAS_BACKEND": "torch"},
            ["--set", "train.devices=all"],
            "not-for-backend",
            ("JAX", "TensorFlow", "torch", "all"),
            "train.devices",
        ),
        (
            {"KERAS_BACKEND": "tensorflow"},
            ["--set", "train.devices=all", "--set", "train.accumulate=2"],
            "not-for-backend",
            (2, "train.devices all", "KERAS_BACKEND=jax"),
            "train.accumulate",
        ),
        ({"KERAS_BACKEND": "jax"}, PLACE, "contradiction", (3, "2 and 4"), "train.batch_size"),
        (
            {"KERAS_BACKEND": "jax"},
            [*PLACE, "--fold", "all/3"],
            "contradiction",
            ("1/3", "3/3"),
            "--fold",
        ),
        (
            {
                "KERAS_BACKEND": "tensorflow",
                "TF_CONFIG": json.dumps({"cluster": {"worker": ["a:1", "b:1"]}}),
            },
            [],
            "not-for-backend",
            (20585, "KERAS_BACKEND=jax"),
            "TF_CONFIG",
        ),
    ],
)
def test_what_cannot_work_is_refused_at_once(
    config: Path,
    environment: dict[str, str],
    options: list[str],
    code: str,
    values: tuple[object, ...],
    setting: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    command = ["train", str(config), "--run", str(config.parent / "run"), *options]
    assert_fails(command, ConfigError, code, *values, setting=setting)
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (config.parent / "run").exists()


def test_processes_that_do_not_meet_name_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("DEADLINE_EXCEEDED")

    jax = SimpleNamespace(
        config=SimpleNamespace(update=lambda *_: None),
        distributed=SimpleNamespace(initialize=refuse),
    )
    monkeypatch.setitem(sys.modules, "jax", jax)
    with fails(RunError, "no-cluster", "process 2 of 3", "10.0.0.1:7000", "DEADLINE_EXCEEDED"):
        join(Process(2, 3, "10.0.0.1:7000"))


def test_the_backend_is_found_as_keras_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert chosen_backend() == "tensorflow"
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    assert chosen_backend() == "jax"
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert chosen_backend() == "torch"


def test_the_run_of_a_following_process_leaves_no_files(tmp_path: Path) -> None:
    place = Process(2, 2, "a:1")
    with opened_run(None, tmp_path) as run:
        assert type(run) is Run
    with opened_run(Process(1, 2, "a:1"), tmp_path) as run:
        assert run.path == tmp_path
    config = Config(task=Task.binary("x")).with_input(GIVEN)
    with opened_run(place, tmp_path / "run") as run:
        run.require_empty()
        run.create(config)
        run.reopen(config)
        run.checkpoints.save(Position(1), {"weights": [np.zeros(3)]})
        assert run.saved() == Position()
        assert not (tmp_path / "run").exists()
        assert not list(run.path.iterdir())
        folder = run.path
    assert not folder.exists()


def test_devices_may_change_when_a_run_goes_on_and_other_settings_may_not(tmp_path: Path) -> None:
    run, config = Run(tmp_path / "run"), Config(task=Task.binary("x")).with_input(GIVEN)
    run.create(config)
    run.reopen(
        config.model_copy(update={"train": config.train.model_copy(update={"devices": "all"})})
    )
    other = config.model_copy(
        update={"train": config.train.model_copy(update={"devices": "all", "batch_size": 4})}
    )
    with fails(RunError, "mismatch", "train.batch_size: 8 -> 4") as problem:
        run.reopen(other)
    assert "train.devices" not in str(problem.value)
