"""Optimizers against plain loops: schedules, accumulation, averages, a rate for the encoder."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from keras import ops

from segkit.config import TrainConfig
from segkit.training.checkpointing import restore, state_of
from segkit.training.ema import averaged
from segkit.training.optimizer import make_optimizer, rate_at

STEPS = 10
PLAIN = {"schedule": "constant", "clip_norm": 0.0, "weight_decay": 0.0, "learning_rate": 0.1}


def settings(**values: object) -> TrainConfig:
    return TrainConfig.model_validate({"epochs": 2, **PLAIN, **values})


def variables() -> list[keras.Variable]:
    start = ((1.0, -2.0), (0.5, 3.0), (2.0, 1.0))
    return [
        keras.Variable(np.array(v, np.float32), name=n)
        for v, n in zip(start, ("kernel", "bias", "head"), strict=True)
    ]


def gradients(step: int) -> list[np.ndarray]:
    return list(np.random.default_rng(step).normal(size=(3, 2)).astype(np.float32))


def apply(
    optimizer: keras.optimizers.Optimizer, theirs: list[keras.Variable], steps: int
) -> list[np.ndarray]:
    for step in range(steps):
        optimizer.apply(gradients(step), theirs)
    return [ops.convert_to_numpy(variable) for variable in theirs]


@pytest.mark.parametrize("schedule", ["cosine", "polynomial", "constant"])
@pytest.mark.parametrize("accumulate", [1, 4])
def test_the_rate_of_an_update_is_that_of_the_share_of_updates_made(
    schedule: str, accumulate: int
) -> None:
    given = settings(schedule=schedule, steps=400, warmup=0.1, accumulate=accumulate)
    optimizer = make_optimizer(given, STEPS)
    for step in (0, 3, 4, 39, 40, 41, 200, 399):
        share = (step // accumulate) / (400 // accumulate)
        if schedule == "constant":
            expected = 0.1
        elif share < 0.1:
            expected = 0.1 * share / 0.1
        elif schedule == "cosine":
            expected = 0.1 * (1 + math.cos(math.pi * (share - 0.1) / 0.9)) / 2
        else:
            expected = 0.1 * (1 - (share - 0.1) / 0.9) ** 0.9
        optimizer._iterations.assign(step)
        assert float(optimizer.learning_rate) == pytest.approx(expected, abs=1e-7)
        assert rate_at(given, share) == pytest.approx(expected, abs=1e-7)


def test_polynomial_without_warm_up_is_keras_own() -> None:
    given = settings(schedule="polynomial", warmup=0.0)
    schedule = keras.optimizers.schedules.PolynomialDecay(
        0.1, 1000, end_learning_rate=0.0, power=0.9
    )
    for step in (0, 1, 500, 999, 1000):
        assert rate_at(given, step / 1000) == pytest.approx(float(schedule(step)), abs=1e-7)


@pytest.mark.parametrize("budget", [{"epochs": 3}, {"steps": 30}])
def test_a_budget_of_steps_or_epochs_is_the_length_of_the_schedule(budget: dict[str, int]) -> None:
    optimizer = make_optimizer(settings(schedule="cosine", warmup=0.0, **budget), STEPS)
    optimizer._iterations.assign(30)
    assert float(optimizer.learning_rate) == 0.0
    optimizer._iterations.assign(15)
    assert float(optimizer.learning_rate) == pytest.approx(0.05)


def test_sgd_is_nesterov_s() -> None:
    theirs = variables()
    found = apply(make_optimizer(settings(optimizer="sgd", momentum=0.9), STEPS), theirs, 5)
    weights, velocities = [ops.convert_to_numpy(v) for v in variables()], [np.zeros(2)] * 3
    for step in range(5):
        for i, gradient in enumerate(gradients(step)):
            velocities[i] = 0.9 * velocities[i] - 0.1 * gradient
            weights[i] = weights[i] + 0.9 * velocities[i] - 0.1 * gradient
    np.testing.assert_allclose(found, weights, rtol=1e-5)


@pytest.mark.parametrize("clip", [0.5, 100.0])
def test_clipping_shrinks_all_gradients_to_one_norm(clip: float) -> None:
    theirs = variables()
    given = settings(optimizer="sgd", momentum=0.0, learning_rate=1.0, clip_norm=clip)
    found = np.array(apply(make_optimizer(given, STEPS), theirs, 1))
    before, wanted = (
        np.array([ops.convert_to_numpy(v) for v in variables()]),
        np.array(gradients(0)),
    )
    norm = np.linalg.norm(wanted)
    assert 0.5 < norm < 100
    np.testing.assert_allclose(before - found, wanted * min(1.0, clip / norm), rtol=1e-5)


def test_decay_leaves_biases_alone() -> None:
    theirs = variables()
    optimizer = make_optimizer(settings(weight_decay=0.5, optimizer="sgd"), STEPS)
    optimizer.apply([np.zeros(2, np.float32)] * 3, theirs)
    for variable, start in zip(theirs, variables(), strict=True):
        expected = ops.convert_to_numpy(start) * (1.0 if start.name == "bias" else 1 - 0.1 * 0.5)
        np.testing.assert_allclose(ops.convert_to_numpy(variable), expected, rtol=1e-6)


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_accumulated_batches_are_one_update_of_their_mean(kind: str) -> None:
    theirs, ours = variables(), variables()
    apply(
        make_optimizer(
            settings(optimizer=kind, accumulate=3, weight_decay=0.1, clip_norm=0.5), STEPS
        ),
        theirs,
        6,
    )
    single = make_optimizer(settings(optimizer=kind, weight_decay=0.1, clip_norm=0.5), STEPS)
    for first in (0, 3):
        single.apply(list(np.mean([gradients(first + i) for i in range(3)], axis=0)), ours)
    np.testing.assert_allclose(
        [ops.convert_to_numpy(v) for v in theirs],
        [ops.convert_to_numpy(v) for v in ours],
        rtol=1e-5,
    )


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_the_encoder_learns_and_decays_at_its_share_of_the_rate(kind: str) -> None:
    """As two optimizers would: one at a quarter of the rate for the encoder, one for the rest."""
    given = settings(optimizer=kind, weight_decay=0.2, encoder_learning_rate=0.25)
    theirs, slow, fast = variables(), variables(), variables()
    found = apply(make_optimizer(given, STEPS, encoder=theirs[:2]), theirs, 7)
    quarter = settings(optimizer=kind, weight_decay=0.2, learning_rate=0.025)
    expected = [
        *apply(make_optimizer(quarter, STEPS), slow, 7)[:2],
        apply(make_optimizer(settings(optimizer=kind, weight_decay=0.2), STEPS), fast, 7)[2],
    ]
    np.testing.assert_allclose(found, expected, rtol=2e-5)
    assert not np.allclose(found[0], ops.convert_to_numpy(fast[0]))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_frozen_encoder_stays_to_the_bit_and_then_learns(accumulate: int) -> None:
    given = settings(weight_decay=0.2, freeze_encoder_epochs=1, accumulate=accumulate)
    theirs = variables()
    optimizer = make_optimizer(given, STEPS, encoder=theirs[:2])
    frozen = apply(optimizer, theirs, STEPS)
    for i in range(2):
        np.testing.assert_array_equal(frozen[i], ops.convert_to_numpy(variables()[i]))
    assert (frozen[2] != ops.convert_to_numpy(variables()[2])).all()
    assert all(
        (a != b).all() for a, b in zip(apply(optimizer, theirs, accumulate), frozen, strict=True)
    )


def network(**values: object) -> keras.Model:
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
    )
    model.compile(optimizer=make_optimizer(settings(**values), STEPS), loss="mse")
    return model


def fit(model: keras.Model, steps: int) -> None:
    images = np.random.default_rng(1).normal(size=(steps, 2)).astype(np.float32)
    for i in range(steps):
        model.train_on_batch(images[i : i + 1], np.ones((1, 1), np.float32))


@pytest.mark.parametrize("accumulate", [1, 3])
def test_averages_are_in_use_within_and_the_weights_are_back_to_the_bit(accumulate: int) -> None:
    model = network(ema=0.8, accumulate=accumulate)
    expected: list[np.ndarray] = []
    momentum = 0.8 ** (1 / accumulate)
    for step in range(9):
        fit(model, 1)
        now = [ops.convert_to_numpy(v) for v in model.trainable_variables]
        keep = (
            momentum if step >= accumulate else 0.0
        )  # the first update's weights are the first average
        expected = [keep * e + (1 - keep) * n for e, n in zip(expected or now, now, strict=True)]
    raw = [ops.convert_to_numpy(v) for v in model.trainable_variables]
    with averaged(model):
        within = [ops.convert_to_numpy(v) for v in model.trainable_variables]
    for found, mean in zip(within, expected, strict=True):
        np.testing.assert_allclose(found, mean, rtol=1e-5, atol=1e-6)
    for variable, before, mean in zip(model.trainable_variables, raw, within, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable), before)
        assert not np.array_equal(before, mean)


def test_without_averages_nothing_is_exchanged() -> None:
    model = network()
    with averaged(model):
        pass
    fit(model, 2)
    raw = [ops.convert_to_numpy(v) for v in model.trainable_variables]
    with averaged(model):
        for variable, before in zip(model.trainable_variables, raw, strict=True):
            np.testing.assert_array_equal(ops.convert_to_numpy(variable), before)


def test_a_restored_state_goes_on_to_the_bit_dropout_and_averages_included() -> None:
    whole, other = network(ema=0.9, accumulate=2), network(ema=0.9, accumulate=2)
    fit(whole, 5)
    saved = state_of(whole)
    fit(other, 1)
    restore(other, saved)
    fit(whole, 4)
    fit(other, 4)
    for kind, group in state_of(whole).items():
        assert len(group) == len(saved[kind])
        for array, expected in zip(group, state_of(other)[kind], strict=True):
            np.testing.assert_array_equal(array, expected)
    assert any("seed" in variable.path for variable in whole.variables)
