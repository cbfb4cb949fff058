"""segkit.train before Keras is loaded: what is refused or interrupted before there is a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import segkit
from segkit import ConfigError, RunError
from segkit.config import as_config
from segkit.training import train as story
from segkit.training.folds import cross_validate
from segkit.training.process import Process
from segkit.training.train import TrainingInterrupted
from tests.helpers.errors import fails

CONFIG: dict[str, Any] = {
    "task": {"kind": "binary", "classes": ["shape"]},
    "data": {"source": "shapes", "count": 20, "size": [32, 32]},
    "model": {"width": 4, "depth": 2},
    "train": {"epochs": 1, "batch_size": 4, "crop": [32, 32]},
}


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_an_interrupt_before_there_is_a_run_is_a_plain_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "prepare_data", interrupt)
    with pytest.raises(KeyboardInterrupt) as interrupted:
        segkit.train(CONFIG, tmp_path / "run")
    assert not isinstance(interrupted.value, TrainingInterrupted)
    assert not (tmp_path / "run").exists()


def test_an_interrupt_of_a_run_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "load_keras", interrupt)
    with pytest.raises(TrainingInterrupted) as interrupted:
        segkit.train(CONFIG, tmp_path / "run")
    assert interrupted.value.run.path == tmp_path / "run"
    assert interrupted.value.run.config().task.classes == ("shape",)


def test_processes_join_before_keras_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []

    def load_keras() -> str:
        called.append("load_keras")
        raise KeyboardInterrupt

    monkeypatch.setattr(story, "check_process", lambda *_: None)  # it wants JAX as the backend
    monkeypatch.setattr(story, "join", lambda process: called.append("join"))
    monkeypatch.setattr(story, "load_keras", load_keras)
    with pytest.raises(KeyboardInterrupt):
        segkit.train(CONFIG, tmp_path / "run", process=Process(1, 2, "127.0.0.1:7000"))
    assert called == ["join", "load_keras"]


def test_there_is_nothing_to_resume_in_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(RunError):
        segkit.train(CONFIG, tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("folds", "which"), [(1, None), (3, [0]), (3, [1, 4])])
def test_folds_that_do_not_exist_are_refused_before_any_is_trained(
    folds: int, which: list[int] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segkit.training.folds.train", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(ConfigError) as problem:
        cross_validate(CONFIG, tmp_path, folds, which)
    assert problem.value.setting == "folds"


def test_a_broken_override_is_a_config_error() -> None:
    with fails(ConfigError, "not-a-config"):
        as_config(as_config(CONFIG), ["train.epochs=["])


@pytest.mark.parametrize(
    ("argument", "setting"), [({"to": "shapefile"}, "--to"), ({"part": "val"}, "--part")]
)
def test_convert_writes_nothing_for_a_format_or_part_that_does_not_exist(
    argument: dict[str, str], setting: str, tmp_path: Path
) -> None:
    with fails(ConfigError, "unknown-name", setting=setting):
        segkit.convert(CONFIG, tmp_path / "out", **argument)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("argument", "value"),
    [("formats", "geo"), ("formats", ["coco", "shp"]), ("probabilities", "png")],
)
def test_predict_refuses_outputs_that_do_not_exist_before_it_searches_for_images(
    argument: str, value: object, tmp_path: Path
) -> None:
    arguments: dict[str, Any] = {argument: value}
    with fails(ConfigError, "unknown-name"):
        segkit.predict(tmp_path / "run", tmp_path / "images", tmp_path / "out", **arguments)


def test_configs_that_are_no_files_can_be_compared() -> None:
    from segkit.comparison.settings import list_settings

    other = {**CONFIG, "model": {"width": 8, "depth": 2}}
    settings = list_settings(
        CONFIG, [], [other, other | {"class_weights": {"shape": 2.0}}], [], 1.0
    )
    assert len({setting.name for setting in settings}) == 3
