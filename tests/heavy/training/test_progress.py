"""The time that a training has left."""

from __future__ import annotations

import pytest

from segkit.config import TrainConfig
from segkit.training.progress import TrainingClock

pytestmark = pytest.mark.one_backend


@pytest.mark.parametrize("done", [0, 35])
def test_the_time_left_does_not_count_the_first_step(
    done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("segkit.training.progress.time.monotonic", lambda: now)
    clock = TrainingClock(TrainConfig(epochs=10), steps=20, steps_done=done, seconds_used=0.0)
    now += 60.0  # the first step compiles
    epoch, step = divmod(done, 20)
    assert clock.status(epoch, step + 1, loss=1.0).seconds_left is None
    for steps in range(2, 5):
        now += 0.5
        status = clock.status(epoch, step + steps, loss=1.0)
        assert status.seconds_left == pytest.approx(0.5 * (200 - done - steps))
        assert status.share == pytest.approx((done + steps) / 200)


def test_no_time_is_left_after_the_last_step() -> None:
    clock = TrainingClock(TrainConfig(steps=30), steps=20, steps_done=0, seconds_used=0.0)
    status = clock.status(1, 20, loss=1.0)  # the last epoch ends after 10 steps of 20
    assert status.seconds_left == 0


def test_with_a_budget_of_minutes_the_rest_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("segkit.training.progress.time.monotonic", lambda: now)
    clock = TrainingClock(TrainConfig(minutes=2), steps=20, steps_done=7, seconds_used=30.0)
    now += 60.0
    status = clock.status(0, 8, loss=1.0)
    assert status.seconds_left == pytest.approx(30.0)
    assert status.share == pytest.approx(0.75)
