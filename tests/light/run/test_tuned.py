"""tuned.yaml: prediction uses it, and the comparison of trainings ignores it."""

from __future__ import annotations

from pathlib import Path

import pytest

from segkit import RunError, Task
from segkit.config import Config, DecodeConfig
from segkit.run import Run
from segkit.run.tuned import Tuned, merged, read_tuned, write
from tests.helpers.errors import fails
from tests.helpers.exports_made import GIVEN

CONFIG = Config(task=Task.multilabel(["a", "b"])).with_input(GIVEN)
TUNED = Tuned(
    made="2025-01-02T03:04:05+00:00",
    part="validation",
    images=7,
    goal="recall=0.9",
    thresholds=(0.3, 0.8),
    decode=DecodeConfig(temperature=1.7, smallest={"b": 32}),
    before={"mean": {"dice_foreground": 0.5}},
    after={"mean": {"dice_foreground": None}},
    notes=("a: is rare",),
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run(tmp_path / "run")
    made.create(CONFIG)
    write(made.tuned, TUNED)
    return made


def test_a_written_tuning_is_read_back(run: Run) -> None:
    assert read_tuned(run.tuned) == TUNED
    assert [path.name for path in run.path.iterdir() if path.name.startswith(".")] == []


def test_a_run_predicts_with_tuned_settings(run: Run) -> None:
    config = run.config()
    assert config.task.thresholds == (0.3, 0.8)
    assert config.decode == TUNED.decode
    assert config.model_copy(update={"task": CONFIG.task, "decode": CONFIG.decode}) == CONFIG
    run.tuned.unlink()
    assert run.config() == CONFIG


def test_training_resumes_without_tuned_settings(run: Run) -> None:
    run.reopen(CONFIG)
    assert run.config_made_with() == CONFIG
    with fails(RunError, "mismatch", run.path, "task.thresholds"):
        run.reopen(run.config())


def test_an_exclusive_task_has_no_thresholds_to_merge(tmp_path: Path) -> None:
    config = Config(task=Task.multiclass(["background", "b"]))
    write(tmp_path / "tuned.yaml", TUNED.model_copy(update={"thresholds": None}))
    assert merged(config, tmp_path / "tuned.yaml").task == config.task
    assert merged(config, tmp_path / "tuned.yaml").decode == TUNED.decode


@pytest.mark.parametrize(
    "task",
    [Task.multilabel(["a"]), Task.multilabel(["a", "c"]), Task.multiclass(["background", "b"])],
)
def test_a_tuning_for_another_task_is_refused(run: Run, task: Task) -> None:
    with fails(RunError, "mismatch", run.tuned, "--reset"):
        merged(Config(task=task), run.tuned)


@pytest.mark.parametrize("text", ["", "{", "made: x", "- 1"])
def test_a_broken_file_is_named(run: Run, text: str) -> None:
    run.tuned.write_text(text)
    with fails(RunError, "damaged-file", run.tuned, "--reset"):
        run.config()
