"""Training by the clock: learning rate, last validation, and Ctrl-C."""

from __future__ import annotations

import contextlib
import signal
import time
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from segkit.config import TrainConfig
from segkit.training import callbacks
from segkit.training.callbacks import TimeBudget
from segkit.training.optimizer import rate_at

SETTINGS = TrainConfig(learning_rate=0.01, warmup=0.1)


class Clock:
    """Replaces the module's clock; tests move it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_the_rate_is_that_of_keras_own_cosine_schedule() -> None:
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, 900, warmup_target=0.01, warmup_steps=100
    )
    for step in (0, 1, 50, 100, 101, 500, 900, 1000):
        assert rate_at(SETTINGS, step / 1000) == pytest.approx(float(schedule(step)), abs=1e-8)
    assert rate_at(TrainConfig(schedule="constant", learning_rate=0.3), 0.7) == 0.3


@pytest.mark.parametrize("step_seconds", [1.0, 7.0])
def test_the_rate_follows_the_clock_and_the_last_validation_fits_in(
    monkeypatch: pytest.MonkeyPatch, step_seconds: float
) -> None:
    clock = Clock()
    monkeypatch.setattr(callbacks, "time", clock)
    budget = TimeBudget(SETTINGS, minutes=5, used=60)
    model = SimpleNamespace(optimizer=SimpleNamespace(learning_rate=0.0), stop_training=False)
    budget.set_model(model)
    budget.on_train_begin()
    for epoch in range(1000):
        budget.on_epoch_begin(epoch)
        for batch in range(10):
            budget.on_train_batch_begin(batch)
            share = min(1.0, (60 + clock.now - 1000) / (300 - budget.reserve))
            assert model.optimizer.learning_rate == pytest.approx(rate_at(SETTINGS, share))
            clock.now += step_seconds
            budget.on_train_batch_end(batch)
            if model.stop_training:
                break
        clock.now += 12.0  # the validation
        budget.on_epoch_end(epoch)
        if model.stop_training:
            break
    used = 60 + clock.now - 1000
    assert 300 - 1e-6 <= used <= 300 + step_seconds


def test_ctrl_c_ends_the_training_where_keras_swallows_it() -> None:
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    steps: list[int] = []

    def press(batch: int, logs: object = None) -> None:
        steps.append(batch)
        if batch == 3:
            with contextlib.suppress(KeyboardInterrupt):  # as `pythonify_logs` does
                signal.raise_signal(signal.SIGINT)

    data = np.ones((20, 1), np.float32)
    pressed = keras.callbacks.LambdaCallback(on_train_batch_begin=press)
    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell's background job ignores it
    try:
        with pytest.raises(KeyboardInterrupt), callbacks.heard_interrupts() as interrupts:
            model.fit(data, data, batch_size=1, callbacks=[interrupts, pressed], verbose=0)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert steps == [0, 1, 2, 3]


def test_ctrl_c_in_the_last_validation_ends_the_training() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with (
            pytest.raises(KeyboardInterrupt),
            callbacks.heard_interrupts(),
            contextlib.suppress(KeyboardInterrupt),
        ):
            signal.raise_signal(signal.SIGINT)
        with callbacks.heard_interrupts():
            pass
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_only_epoch_of_a_budget_is_not_all_at_the_rate_that_the_warm_up_begins_with() -> None:
    """On JAX the optimizer's state changes only between epochs, so a rate of 0 would stay."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    before = model.get_weights()[0]
    data = np.ones((400, 1), np.float32)
    budget = TimeBudget(SETTINGS, minutes=1 / 12, used=0)
    steps = keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_, **__: time.sleep(0.005))
    model.fit(data, data + 5, batch_size=1, epochs=1, callbacks=[budget, steps], verbose=0)
    assert abs(model.get_weights()[0] - before).max() > 0.1
