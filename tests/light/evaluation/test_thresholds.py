"""Thresholds from histograms against scikit-learn's curve over every pixel and `Task.decode`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve

from segkit import VOID, ConfigError, Task
from segkit.evaluation.counts import count, ratios
from segkit.evaluation.thresholds import (
    EDGES,
    STEPS,
    Goal,
    choose_threshold,
    threshold_bins,
    threshold_histogram,
)
from tests.helpers.errors import fails

TASK = Task.multilabel(["a", "b"])


def scored(seed: int, pixels: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities (n, 1, 2) on the histogram's grid, and a target."""
    rng = np.random.default_rng(seed)
    target = (rng.random((pixels, 1, 2)) < 0.3).astype(np.uint8)
    logits = rng.normal(0, 1, target.shape) + 1.5 * target - 1
    probabilities = np.floor(1000 / (1 + np.exp(-logits))) / 1000
    target[:20] = VOID
    return probabilities.astype(np.float32), target


@given(
    st.integers(0, 200),
    st.sampled_from(["dice", "precision=0.6", "precision=0.9", "recall=0.5", "recall=0.95"]),
)
def test_the_best_threshold_is_that_of_a_search_over_every_pixel(seed: int, goal: str) -> None:
    probabilities, target = scored(seed)
    histograms, wanted = threshold_histogram(TASK, probabilities, target), Goal.parse(goal)
    for i in range(2):
        known = target[..., i] != VOID
        precision, recall, at = precision_recall_curve(
            target[..., i][known], probabilities[..., i][known]
        )
        precision, recall = precision[:-1], recall[:-1]
        inside = (at > 0) & (at < 1)
        dice = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        value = {"dice": dice, "precision": recall, "recall": precision}[wanted.score]
        reached = {"dice": dice, "precision": precision, "recall": recall}[wanted.score] >= (
            wanted.least or 0
        )
        found = choose_threshold(histograms[:, i], wanted)
        if not (reached & inside).any():
            assert found is None
            continue
        assert found is not None
        mask = Task.multilabel(["a", "b"], thresholds=found).decode(probabilities)
        scores = {name: values[i] for name, values in ratios(count(TASK, target, mask)).items()}
        best = value[reached & inside].max()
        assert scores[
            {"dice": "dice", "precision": "recall", "recall": "precision"}[wanted.score]
        ] == pytest.approx(best)
        assert wanted.least is None or scores[wanted.score] >= wanted.least


@given(st.integers(0, 100), st.integers(1, STEPS - 1))
def test_a_histogram_counts_what_a_threshold_takes_in_and_leaves_out_void(
    seed: int, step: int
) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.random((50, 4, 2)).astype(np.float32)
    probabilities[:10] = EDGES[step - 1]  # exactly at the threshold
    target = rng.choice(np.array([0, 1, VOID], np.uint8), (50, 4, 2))
    mask = Task.multilabel(["a", "b"], thresholds=step / STEPS).decode(probabilities)
    tp, fp, fn, tn = count(TASK, target, mask)
    without, having = threshold_histogram(TASK, probabilities, target)
    np.testing.assert_array_equal(having[:, step:].sum(-1), tp)
    np.testing.assert_array_equal(without[:, step:].sum(-1), fp)
    np.testing.assert_array_equal(having[:, :step].sum(-1), fn)
    np.testing.assert_array_equal(without[:, :step].sum(-1), tn)


def test_of_equally_good_thresholds_the_nearest_to_a_half_is_chosen() -> None:
    histograms = np.zeros((2, STEPS), int)
    histograms[0, 100], histograms[1, 900] = 10, 10
    assert choose_threshold(histograms, Goal("dice")) == pytest.approx(0.5)
    histograms[0, 700] = 5
    assert choose_threshold(histograms, Goal("dice")) == pytest.approx(0.701)


def test_a_class_without_pixels_has_no_threshold() -> None:
    histograms = np.zeros((2, STEPS), int)
    histograms[0, 3] = 7
    assert choose_threshold(histograms, Goal("dice")) is None
    histograms[1, 0] = 1  # below every threshold
    assert choose_threshold(histograms, Goal("recall", 0.5)) is None


@pytest.mark.parametrize("text", ["precision=0.9", "recall=1", "dice"])
def test_goals_are_parsed_and_printed_the_same(text: str) -> None:
    assert str(Goal.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "iou", "precision", "recall=0", "precision=1.2", "recall=x", "dice=0.9", "precision=nan"],
)
def test_other_goals_are_refused(text: str) -> None:
    with fails(ConfigError, "wrong-value", "--for", repr(text)):
        Goal.parse(text)


def test_bins_are_those_of_a_binary_search_also_next_to_every_threshold() -> None:
    below = np.nextafter(EDGES, np.float32(0))
    above = np.nextafter(EDGES, np.float32(1))
    tiny = np.array([0, 1e-30, 1, np.nextafter(np.float32(1), np.float32(0))], np.float32)
    drawn = np.random.default_rng(0).random(10_000, np.float32)
    values = np.concatenate([below, EDGES, above, tiny, drawn])
    expected = np.searchsorted(EDGES, values, side="right")
    assert np.array_equal(threshold_bins(values), expected)
    assert np.array_equal(threshold_bins(values.reshape(-1, 1)), expected[:, None])
