"""curves.png: what it shows, and when it is drawn."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from PIL import Image

from segkit.reporting.learning_curves import draw_curves, plot_curves
from segkit.run import Run
from segkit.run.folder import Row
from segkit.training import curves
from segkit.training.curves import Curves

pytestmark = pytest.mark.one_backend
TRAINING: list[Row] = [
    {"epoch": 0, "loss": 2.0, "dice_foreground": 0.1, "learning_rate": 0.1, "seconds": 30.0},
    {"epoch": 1, "loss": 1.0, "dice_foreground": 0.5, "learning_rate": 0.05, "seconds": 30.0},
]
VALIDATED = [
    {**TRAINING[0], "val_loss": 3.0, "val_dice_foreground": 0.7},
    {**TRAINING[1], "val_loss": 2.5, "val_dice_foreground": 0.6},
]


def test_the_lines_are_the_columns_of_the_history() -> None:
    loss, dice, rate = draw_curves(VALIDATED).axes
    assert [line.get_ydata().tolist() for line in loss.lines] == [[2.0, 1.0], [3.0, 2.5]]
    assert [line.get_xdata().tolist() for line in loss.lines] == [[1, 2], [1, 2]]
    assert dice.lines[1].get_ydata().tolist() == [0.7, 0.6]
    best = dice.lines[2]
    assert (best.get_xdata().tolist(), best.get_ydata().tolist()) == ([1], [0.7])
    assert rate.lines[0].get_ydata().tolist() == [0.1, 0.05]
    assert "1.0 minutes" in rate.get_xlabel()


def test_without_validation_there_is_one_line_each() -> None:
    assert [len(axes.lines) for axes in draw_curves(TRAINING).axes] == [1, 1, 1]
    assert plot_curves(TRAINING).shape == (800, 700, 3)


def write_history(run: Run, rows: list[Row]) -> None:
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    run.history.write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_they_are_drawn_at_most_every_30_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(curves.time, "monotonic", lambda: now[0])
    run = Run(tmp_path)
    write_history(run, VALIDATED)
    callback = Curves(run)
    callback.on_train_begin()
    drawn = []
    for second in (10, 29, 31, 50, 62):
        now[0] = float(second)
        callback.on_epoch_end(0)
        drawn.append(run.curves.exists())
        run.curves.unlink(missing_ok=True)
    assert drawn == [False, False, True, False, True]


def test_a_full_disk_does_not_end_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, pixels: object) -> None:
        raise OSError(28, "No space left on device")

    run = Run(tmp_path)
    write_history(run, TRAINING)
    monkeypatch.setattr(curves, "write_picture", fail)
    Curves(run).draw()
    assert not run.curves.exists()


def test_a_finished_run_has_them(trained: Run) -> None:
    with Image.open(trained.curves) as picture:
        assert picture.size == (700, 800)


def test_a_finished_run_has_a_model_card_with_its_scores(trained: Run) -> None:
    card = ModelCard.load(trained.card)
    dice = trained.scored()["mean"]["dice_foreground"]
    values = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert values["dice"] == pytest.approx(dice, abs=1e-4)
