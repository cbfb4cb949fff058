"""A training that is killed goes on, and ends with the very weights of one that was not."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from segkit.run import Run
from tests.helpers.recovery import assert_same, config_of, kill_once, standing, train


def check_kills(folder: Path, kills: int, **settings: object) -> None:
    config, run, whole = config_of(folder, **settings), Run(folder / "run"), Run(folder / "whole")
    moment, killed = random.Random(0), []
    while len(killed) < kills and kill_once(config, run, moment):
        killed.append(standing(run))
    assert len(killed) == kills, "the training ended before it was killed often enough"
    assert any(position.step for position in killed)
    assert train(config, run, "--resume") == 0
    assert train(config, whole) == 0
    assert_same(run, whole)
    assert not list(run.path.rglob("*.part*"))


def test_two_kills_change_nothing(tmp_path: Path) -> None:
    check_kills(tmp_path, 2)


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_nothing(tmp_path: Path) -> None:
    check_kills(tmp_path, 10, epochs=5, steps_per_epoch=200)
