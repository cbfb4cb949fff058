"""Which folds score a training on all samples, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segkit.config import Config, changed
from segkit.errors import ConfigError, RunError
from segkit.evaluation.image_scores import ImageScores
from segkit.evaluation.pooling import write_counts
from segkit.run import Run
from segkit.system.progress import Progress
from segkit.task import Task
from segkit.training.folds import collect_folds, fold_run
from segkit.training.on_all import find_folds
from segkit.training.train import train
from tests.helpers.errors import fails, holds
from tests.helpers.exports_made import GIVEN

TASK = Task.multilabel(["disc", "square"])


class Heard(Progress):
    """Keeps messages and warnings."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.warnings: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    def warning(self, text: object) -> None:
        self.warnings.append(str(text))


def config_of(**data: Any) -> Config:
    return Config.model_validate(
        {"task": TASK, "data": {"source": "shapes", "count": 40, "size": [16, 16], **data}}
    )


def image(name: str, seed: int) -> ImageScores:
    counts = np.random.default_rng(seed).integers(1, 9, (4, TASK.channels))
    return ImageScores(name, name, counts, objects=(), boundaries=())


def finished_fold(
    folder: Path, k: int, folds: int = 2, best: int = 2, *overrides: str, counted: bool = True
) -> Run:
    """Write a fold as a training leaves it, with four epochs of which number `best` is the best."""
    run = fold_run(folder, k)
    run.create(changed(config_of(fold=f"{k}/{folds}"), overrides).with_input(GIVEN))
    run.model.touch()
    images = [image(f"{k}/{i}", 100 * k + i) for i in range(15)]
    if counted:
        write_counts(run.image_counts, images, False)
    scores = dict.fromkeys(("iou", "dice", "precision", "recall"), 0.5)
    mean = dict.fromkeys(("iou_foreground", "dice_foreground", "iou_with_background"), 0.5)
    report = {"images": 15, "classes": dict.fromkeys(TASK.classes, scores), "mean": mean}
    run.scores.write_text(json.dumps(report))
    rows = ["epoch,loss,val_loss,val_dice_foreground"]
    rows += [f"{epoch},1,1,{0.9 if epoch + 1 == best else 0.1}" for epoch in range(4)]
    run.history.write_text("\n".join(rows) + "\n")
    return run


def found(run: Path, *named: Path, config: Config | None = None) -> tuple[Any, Heard]:
    heard = Heard()
    return find_folds(config or config_of(on_all=True), run, named, heard), heard


def test_folds_beside_the_run_are_pooled(tmp_path: Path) -> None:
    for k, best in ((1, 2), (2, 3)):
        finished_fold(tmp_path, k, 2, best)
    folds, heard = found(tmp_path / "all")
    assert folds.report["folds"] == 2
    assert folds.report["images"] == 30
    counts = sum(image("", 100 * k + i).counts for k in (1, 2) for i in range(15))
    of_disc = folds.report["classes"]["disc"]
    assert of_disc["dice"] == pytest.approx(
        2 * counts[0, 0] / (2 * counts[0] + counts[1] + counts[2])[0]
    )
    assert folds.report["intervals"]["classes"]["disc"]["dice"]["low"] < of_disc["dice"]
    assert (folds.best_epochs, folds.epochs) == ([2, 3], [4, 4])
    assert holds(heard.messages[0], "2 of 4")
    pooled = collect_folds(tmp_path, 2)
    assert pooled is not None
    assert pooled["pooled"] == folds.report


def test_folds_of_an_older_version_have_no_pooled_scores(tmp_path: Path) -> None:
    finished_fold(tmp_path, 1)
    finished_fold(tmp_path, 2, counted=False)
    report = collect_folds(tmp_path, 2)
    assert report is not None
    assert "pooled" not in report
    folds, heard = found(tmp_path / "all")
    assert folds is None
    assert holds(heard.warnings[0], fold_run(tmp_path, 2).image_counts)


def test_no_folds_mean_no_score(tmp_path: Path) -> None:
    folds, heard = found(tmp_path / "all")
    assert folds is None
    assert holds(heard.messages[0], "--fold")
    assert not heard.warnings


def test_folds_that_are_named_lie_anywhere(tmp_path: Path) -> None:
    runs = [finished_fold(tmp_path / "elsewhere", k).path for k in (1, 2)]
    folds, _ = found(tmp_path / "all", *runs)
    assert folds.report["images"] == 30


@pytest.mark.parametrize(
    ("override", "values"),
    [
        ("train.learning_rate=0.5", ("train.learning_rate", 0.5)),
        ("model.width=8", ("model.width", 8)),
        ("data.seed=7", ("data.seed", 7)),
    ],
)
def test_folds_with_other_settings_do_not_score_a_model(
    override: str, values: tuple[object, ...], tmp_path: Path
) -> None:
    runs = [finished_fold(tmp_path, k, 2, 2, override).path for k in (1, 2)]
    with fails(RunError, "mismatch", *values):
        found(tmp_path / "all", *runs)
    folds, heard = found(tmp_path / "all")
    assert folds is None
    assert all(holds(heard.warnings[0], value) for value in values)


def test_length_seed_and_what_is_held_back_may_differ(tmp_path: Path) -> None:
    changes = ("train.epochs=7", "train.patience=3", "train.seed=9", "data.test=0.4")
    for k in (1, 2):
        finished_fold(tmp_path, k, 2, 2, *changes)
    folds, _ = found(tmp_path / "all")
    assert folds is not None


def test_every_fold_counts_once(tmp_path: Path) -> None:
    runs = [finished_fold(tmp_path, k, 3).path for k in (1, 2)]
    with fails(RunError, "mismatch", "3/3"):
        found(tmp_path / "all", *runs)
    with fails(RunError, "mismatch", "1/3"):
        found(tmp_path / "all", runs[0], *runs)
    assert found(tmp_path / "all")[0] is None


def test_unfinished_folds_and_other_runs_are_refused(tmp_path: Path) -> None:
    run = finished_fold(tmp_path, 1)
    run.scores.unlink()
    with fails(RunError, "missing-file", run.path, "1/2", "--resume"):
        found(tmp_path / "all", run.path)
    other = Run(tmp_path / "other")
    other.create(config_of().with_input(GIVEN))
    other.model.touch()
    with fails(RunError, "mismatch", other.path, "--scored-by"):
        found(tmp_path / "all", other.path)


def test_folds_score_no_training_with_a_validation_part(tmp_path: Path) -> None:
    with fails(ConfigError, "contradiction", setting="--scored-by"):
        train(config_of(), tmp_path / "run", scored_by=[tmp_path])
    assert not (tmp_path / "run").exists()
