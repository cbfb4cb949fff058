"""The choice of the best epoch where the score is undefined or 0."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from segkit import Task
from segkit.config import Config, TrainConfig
from segkit.data.batches.windows import MaskSummary
from segkit.training.best_epoch import BY_LOSS, BY_SCORE, LAST, Choice, best_epoch, choice_for

ORGANS = Task.multiclass(["background", "liver", "tumour"])
SCORE, LOSS = "val_dice_foreground", "val_loss"


def config_of(task: Task = ORGANS, **sections: Any) -> Config:
    return Config(task=task, **sections)


def shown(*classes: int, labelled: bool = True) -> MaskSummary:
    """Return the content of masks with these classes of three."""
    return MaskSummary(np.full((4, 2), 64), np.isin(np.arange(3), classes), labelled)


def best(choice: Choice, scores: list[float], losses: list[float]) -> int:
    """Return the number of the best epoch from 0, by a plain loop over all epochs."""
    found, top = -1, (-1, 0.0)
    for epoch, (score, loss) in enumerate(zip(scores, losses, strict=True)):
        rank = choice.rank(epoch, {SCORE: score, LOSS: loss})
        if rank > top:
            found, top = epoch, rank
    return found


NAN = math.nan


@pytest.mark.parametrize(
    ("scores", "losses", "expected"),
    [
        ([0.1, 0.7, 0.6], [3, 2, 1], 1),
        ([0.7, 0.7], [2, 1], 0),
        ([0.0, 0.0, 0.0], [3, 1, 2], 1),
        ([NAN, 0.0, NAN], [3, 1, 2], 1),
        ([0.0, 1e-9, NAN], [1, 5, 1], 1),
        ([NAN, NAN, NAN], [NAN, NAN, NAN], 2),
        ([NAN, NAN, NAN], [math.inf, 5, NAN], 1),
        ([math.inf, 0.2], [1, 1], 1),
    ],
)
def test_trap_35_an_undefined_score_is_not_the_best(
    scores: list[float], losses: list[float], expected: int
) -> None:
    assert best(choice_for(config_of(), shown(0, 1, 2)), scores, losses) == expected


@pytest.mark.parametrize("monitor", ["dice_foreground", "iou_foreground", "loss"])
def test_the_monitored_score_decides_where_it_can(monitor: Any) -> None:
    choice = choice_for(config_of(train=TrainConfig(monitor=monitor)), shown(0, 1, 2))
    worse = {"val_dice_foreground": 0.4, "val_iou_foreground": 0.3, "val_loss": 2.0}
    better = {**worse, f"val_{monitor}": 1.0}
    assert choice.rank(1, better) > choice.rank(2, worse)
    assert choice.warning(choice.rank(1, better)) is None


def test_trap_35_masks_without_an_object_leave_the_choice_to_the_loss() -> None:
    choice = choice_for(config_of(), shown(0))
    assert best(choice, [0.0, 0.9, NAN], [3, 2, 1]) == 2
    warning = choice.warning((BY_LOSS, -1.0))
    assert warning is not None
    assert warning.code == "unscored"
    assert LOSS in str(warning)


def test_trap_35_masks_that_nobody_labelled_leave_the_last_epoch() -> None:
    choice = choice_for(config_of(), shown(labelled=False))
    assert best(choice, [0.5, 0.0, NAN], [1, 2, 3]) == 2
    warning = choice.warning((LAST, 2))
    assert warning is not None
    assert warning.code == "unscored"


def test_losses_that_cannot_be_compared_do_not_decide() -> None:
    changing = config_of(loss={"cross_entropy": [1.0, 0.0], "dice": [0.0, 1.0]})
    assert best(choice_for(changing, shown(0)), [0.0, 0.0, NAN], [1, 2, 3]) == 2
    assert best(choice_for(changing, shown(0, 1, 2)), [0.4, 0.3, NAN], [3, 2, 1]) == 0


@pytest.mark.parametrize("monitor", ["dice_foreground", "iou_foreground"])
def test_classes_absent_from_the_validation_masks_do_not_count(monitor: Any) -> None:
    config = config_of(train=TrainConfig(monitor=monitor))
    for classes, present in (((0, 1), (1,)), ((2,), (2,))):
        choice = choice_for(config, shown(*classes))
        assert choice.present == present
        assert choice.score not in (None, f"val_{monitor}")
        rows = [
            {f"val_{monitor}": 0.9, choice.score: 0.1, LOSS: 1.0},
            {choice.score: 0.2, LOSS: 2.0},
        ]
        assert choice.rank(0, rows[0]) < choice.rank(1, rows[1])
    assert choice_for(config, shown(1, 2)).present is None
    assert choice_for(config_of(train=TrainConfig(monitor="loss")), shown(0, 1)).score is None


def test_a_run_of_an_older_version_is_resumed_by_the_score_that_its_history_has() -> None:
    rows = [{SCORE: 0.5, LOSS: 1.0}]
    assert choice_for(config_of(), shown(0, 1), rows).score == SCORE
    newer = choice_for(config_of(), shown(0, 1))
    rows[0][str(newer.score)] = 0.5
    assert choice_for(config_of(), shown(0, 1), rows) == newer


def test_without_a_validation_part_the_training_scores_decide() -> None:
    choice = choice_for(config_of(), None)
    assert choice.rank(0, {"dice_foreground": 0.5, "loss": 1.0}) == (BY_SCORE, 0.5)
    assert choice.rank(0, {"dice_foreground": NAN, "loss": 1.0}) == (BY_LOSS, -1.0)


def test_training_losses_with_a_rising_weight_are_not_compared() -> None:
    config = config_of(train=TrainConfig(consistency=1, ema=0.9))
    assert choice_for(config, None).loss is None
    assert choice_for(config, shown(0, 1, 2)).loss == LOSS  # this one has no such term


def test_a_score_that_was_always_0_causes_a_warning() -> None:
    choice = choice_for(config_of(), shown(0, 1, 2))
    warning = choice.warning(choice.rank(0, {SCORE: 0.0, LOSS: 2.0}))
    assert warning is not None
    assert warning.code == "unscored"
    assert choice.warning(None) is None


def test_a_training_on_all_samples_keeps_its_last_epoch_without_a_warning() -> None:
    choice = choice_for(config_of(data={"on_all": True}), None)
    assert best(choice, [0.9, 0.5, NAN], [1, 2, NAN]) == 2
    assert choice.warning(choice.rank(2, {})) is None


@pytest.mark.parametrize("monitor", ["dice_foreground", "loss"])
@pytest.mark.parametrize("suffix", ["", "_present"])
def test_the_best_epoch_of_a_history_is_that_of_the_training(monitor: str, suffix: str) -> None:
    rows = []
    for score, loss in ((0.0, 0.1), (0.6, 3.0), (0.8, 2.0), (0.7, 1.0)):
        rows.append({SCORE: 1 - score, LOSS: loss} | {f"{SCORE}{suffix}": score})
    config = config_of(train=TrainConfig(monitor=monitor))
    assert best_epoch(config, rows) == (1 if monitor == "loss" else 3)
