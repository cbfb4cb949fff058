"""Temperature, entropy and reliability against logits, scipy and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, special, stats
from sklearn.metrics import brier_score_loss, log_loss

from segkit import VOID, Task
from segkit.evaluation.calibration import BINS, fit_temperature, flatten_known, reliability, tally
from segkit.inference.temperature import entropy, tempered
from tests.helpers.draws import KINDS, task_of


def activate(task: Task, logits: np.ndarray) -> np.ndarray:
    return special.softmax(logits, -1) if task.activation == "softmax" else special.expit(logits)


def drawn(kind: str, seed: int, sharpness: float = 1.0) -> tuple[Task, np.ndarray, np.ndarray]:
    """Return a task, logits (40, 30, C) and a target.

    The target is drawn by the true probabilities; the logits are their logits times `sharpness`.
    """
    task, rng = task_of(kind), np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (40, 30, task.channels))
    if task.exclusive:
        target = (special.softmax(logits, -1).cumsum(-1) > rng.random((40, 30, 1))).argmax(-1)
    else:
        target = (special.expit(logits) > rng.random(logits.shape)).astype(int)
    target[:2] = VOID
    return task, logits * sharpness, target.astype(np.uint8)


@given(st.sampled_from(KINDS), st.integers(0, 50), st.floats(0.2, 5))
def test_tempering_divides_the_head_s_logits(kind: str, seed: int, temperature: float) -> None:
    task, logits, _ = drawn(kind, seed)
    expected = activate(task, logits / temperature)
    np.testing.assert_allclose(
        tempered(task, activate(task, logits), temperature), expected, atol=2e-6, rtol=1e-3
    )


@pytest.mark.parametrize("kind", KINDS)
def test_saturated_probabilities_stay_probabilities(kind: str) -> None:
    task = task_of(kind)
    sure = np.eye(task.channels, dtype=np.float32)
    for temperature in (0.1, 10.0):
        answer = tempered(task, sure, temperature)
        assert np.isfinite(answer).all()
        assert (answer >= 0).all()
        assert (answer <= 1).all()
        assert (answer.argmax(-1) == sure.argmax(-1)).all()
    assert tempered(task, sure, 1.0) is sure


def test_entropy_is_that_of_scipy_and_ends_at_0_and_1() -> None:
    task, logits, _ = drawn("multiclass", 3)
    p = activate(task, logits)
    np.testing.assert_allclose(entropy(task, p), stats.entropy(p, axis=-1) / math.log(3), atol=1e-6)
    task, logits, _ = drawn("multilabel", 4)
    p = activate(task, logits)
    each = stats.entropy(np.stack([p, 1 - p]), axis=0) / math.log(2)
    np.testing.assert_allclose(entropy(task, p), each.mean(-1), atol=1e-6)
    for kind in KINDS:
        task = task_of(kind)
        equal = np.full(
            (2, task.channels), 1 / task.channels if task.activation == "softmax" else 0.5
        )
        np.testing.assert_allclose(entropy(task, equal), 1, atol=1e-6)


def test_brier_and_likelihood_are_those_of_scikit_learn() -> None:
    task, logits, target = drawn("binary", 5, sharpness=3)
    p, known = activate(task, logits), target != VOID
    scores = reliability(tally(*flatten_known(task, p, target)))
    assert scores["brier"] == pytest.approx(brier_score_loss(target[known], p[known]), abs=1e-6)
    assert scores["nll"] == pytest.approx(log_loss(target[known], p[known]), abs=1e-5)
    task, logits, target = drawn("multiclass", 6, sharpness=3)
    p, known = activate(task, logits), target != VOID
    scores = reliability(tally(*flatten_known(task, p, target)))
    assert scores["brier"] == pytest.approx(
        ((p[known] - np.eye(3)[target[known]]) ** 2).sum(-1).mean() / 2, abs=1e-6
    )
    assert scores["nll"] == pytest.approx(log_loss(target[known], p[known]), abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_calibration_error_is_that_of_a_plain_loop(kind: str) -> None:
    task, logits, target = drawn(kind, 7, sharpness=4)
    answers, truth = flatten_known(task, activate(task, logits), target)
    gap = 0.0
    for b in range(BINS):
        inside = [i for i, a in enumerate(answers) if b / BINS < a.max() <= (b + 1) / BINS]
        right = sum(answers[i].argmax() == truth[i] for i in inside)
        gap += abs(sum(float(answers[i].max()) for i in inside) - right)
    assert reliability(tally(answers, truth))["ece"] == pytest.approx(gap / len(truth), abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_unlabelled_pixels_do_not_count_and_tallies_add_up(kind: str) -> None:
    task, logits, target = drawn(kind, 8)
    p = activate(task, logits)
    other = p.copy()
    other[:2] = 1 - p[:2]
    whole = tally(*flatten_known(task, p, target))
    np.testing.assert_array_equal(whole, tally(*flatten_known(task, other, target)))
    halves = [
        tally(*flatten_known(task, p[part], target[part])) for part in (slice(20), slice(20, 40))
    ]
    np.testing.assert_allclose(whole, halves[0] + halves[1])
    empty = tally(*flatten_known(task, p, np.full_like(target, VOID)))
    assert all(math.isnan(value) for value in reliability(empty).values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_corrects_overconfident_predictions(kind: str, sharpness: float) -> None:
    task, logits, target = drawn(kind, 9, sharpness)
    answers, truth = flatten_known(task, activate(task, logits), target)
    found = fit_temperature(answers, truth, np.ones(len(truth)))
    if kind != "one against the rest":  # whose target is drawn by softmax
        assert found == pytest.approx(sharpness, rel=0.25)
    z = np.log(answers.astype(np.float64))

    def cost(t: float) -> float:
        return float(-special.log_softmax(z / t, -1)[np.arange(len(truth)), truth].sum())

    best = optimize.minimize_scalar(
        cost, bounds=(0.1, 10), method="bounded", options={"xatol": 1e-6}
    )
    assert found == pytest.approx(best.x, rel=1e-3)


def test_the_temperature_without_a_pixel_is_1_and_weights_count() -> None:
    assert fit_temperature(np.zeros((0, 2), np.float32), np.zeros(0, int), np.zeros(0)) == 1.0
    task, logits, target = drawn("binary", 10, 2.0)
    answers, truth = flatten_known(task, activate(task, logits), target)
    twice = fit_temperature(
        np.concatenate([answers, answers[:300]]), np.append(truth, truth[:300]), np.ones(1140 + 300)
    )
    weights = np.where(np.arange(len(truth)) < 300, 2.0, 1.0)
    assert fit_temperature(answers, truth, weights) == pytest.approx(twice, rel=1e-3)
