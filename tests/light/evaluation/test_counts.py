from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score

from segkit import VOID, Task
from segkit.evaluation.counts import count, mean_known, means, ratios, score_report
from tests.helpers.draws import KINDS, as_probabilities, masks, task_of, tasks

CRACK = Task.binary("crack")
ORGANS = Task.multiclass(["background", "liver", "tumour"])
ORACLES = {
    "iou": jaccard_score,
    "dice": f1_score,
    "precision": precision_score,
    "recall": recall_score,
}


def known_pixels(
    task: Task, target: np.ndarray, mask: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return truth and answer (0/1) of each class at its known pixels."""
    target, pairs = target.reshape(mask.shape), []
    for i in range(task.channels):
        truth, answer = (target == i, mask == i) if task.exclusive else (target == 1, mask == 1)
        known = target != VOID
        if task.kind == "multilabel":
            truth, answer, known = truth[..., i], answer[..., i], known[..., i]
        pairs.append((truth[known], answer[known]))
    return pairs


@given(st.data())
def test_counts_are_those_of_a_loop_over_the_pixels(data: st.DataObject) -> None:
    task = data.draw(tasks())
    mask = data.draw(masks(task))
    answer = (
        np.random.default_rng(data.draw(st.integers(0, 99)))
        .permutation(mask.ravel())
        .reshape(mask.shape)
    )
    answer = np.where(answer == VOID, 0, answer)
    target = task.encode(mask, void=VOID)
    counts = count(task, target, answer)
    for i, (truth, found) in enumerate(known_pixels(task, target, answer)):
        pairs = list(zip(truth.tolist(), found.tolist(), strict=True))
        cells = [(True, True), (False, True), (True, False), (False, False)]
        assert counts[:, i].tolist() == [pairs.count(cell) for cell in cells]


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, answer = rng.integers(0, 3, (2, 1, 9, 9), np.uint8)[:, 0]
    scores = ratios(count(ORGANS, truth, answer))
    for name, oracle in ORACLES.items():
        np.testing.assert_allclose(
            scores[name], oracle(truth.ravel(), answer.ravel(), average=None), rtol=1e-12
        )
    foreground = jaccard_score(truth.ravel(), answer.ravel(), average="macro", labels=[1, 2])
    assert means(ORGANS, count(ORGANS, truth, answer))["iou_foreground"] == pytest.approx(
        foreground
    )


@given(st.data())
def test_unlabelled_pixels_are_never_counted(data: st.DataObject) -> None:
    task = data.draw(tasks())
    mask = data.draw(masks(task))
    target = task.encode(mask, void=VOID)
    answer = task.decode(as_probabilities(task, target))
    other = np.where(mask == VOID, 1, answer).astype(np.uint8)
    np.testing.assert_array_equal(count(task, target, other), count(task, target, answer))
    assert not count(task, target, answer)[
        1:3
    ].any()  # the answer is right wherever the truth is known


@pytest.mark.parametrize("kind", KINDS)
def test_trap_22_scores_do_not_depend_on_how_images_are_batched(kind: str) -> None:
    task, rng = task_of(kind), np.random.default_rng(0)
    top = task.channels if task.exclusive else 2
    shape = (6, 5, 5) if task.kind != "multilabel" else (6, 5, 5, task.channels)
    truth, answer = rng.integers(0, top, (2, *shape), np.uint8)
    targets = truth[..., None] if task.kind == "binary" else truth
    whole = count(task, targets, answer)
    for size in (1, 4):
        parts = [
            count(task, targets[i : i + size], answer[i : i + size]) for i in range(0, 6, size)
        ]
        np.testing.assert_array_equal(np.sum(parts, axis=0), whole)


def test_counts_do_not_stop_at_2_to_24() -> None:
    counts = np.full((4, 1), 2**40, np.int64)
    assert ratios(counts)["iou"][0] == pytest.approx(1 / 3)
    assert count(CRACK, np.ones((2, 2, 1), np.uint8), np.ones((2, 2), np.uint8)).dtype == np.int64


def test_trap_19_an_all_background_mask_scores_0_and_the_other_mean_has_its_own_name() -> None:
    target = np.zeros((10, 10, 1), np.uint8)
    target[0, 0] = 1
    scores = means(CRACK, count(CRACK, target, np.zeros((10, 10), np.uint8)))
    assert scores["iou_foreground"] == 0
    assert scores["dice_foreground"] == 0
    assert scores["iou_with_background"] == pytest.approx(0.495)


def test_trap_20_the_background_leaves_the_mean_and_does_not_count_as_0() -> None:
    counts = np.array([[500, 90, 90], [0, 5, 5], [0, 5, 5], [0, 0, 0]])
    scores = means(ORGANS, counts)
    assert scores["iou_foreground"] == pytest.approx(0.9)
    assert scores["iou_with_background"] == pytest.approx((1 + 0.9 + 0.9) / 3)


@pytest.mark.parametrize("task", [CRACK, Task.multiclass(["background", "crack"])])
def test_trap_21_a_correct_mask_scores_1_for_any_confidence(task: Task) -> None:
    truth = np.array([[0, 1, 1, 0]], np.uint8)
    yes = np.where(truth == 1, 0.6, 0.4)
    probabilities = yes[..., None] if task.kind == "binary" else np.stack([1 - yes, yes], axis=-1)
    scores = means(task, count(task, task.encode(truth), task.decode(probabilities)))
    assert set(scores.values()) == {1.0}


def test_trap_23_an_absent_class_is_neither_0_nor_1_but_left_out_and_named() -> None:
    target = np.array([[0, 0, 1, 1]], np.uint8)
    answer = np.array([[0, 1, 1, 1]], np.uint8)
    counts = count(ORGANS, target, answer)
    assert means(ORGANS, counts)["iou_foreground"] == pytest.approx(2 / 3)
    told = score_report(ORGANS, counts, images=1)
    assert told["absent"] == ["tumour"]
    assert told["classes"]["tumour"]["iou"] is None
    assert told["mean"]["iou_foreground"] == pytest.approx(2 / 3)


def test_trap_24_false_positives_on_images_without_the_object_cost() -> None:
    full, empty = np.ones((4, 4, 1), np.uint8), np.zeros((4, 4, 1), np.uint8)
    counts = count(CRACK, full, full[..., 0]) + count(CRACK, empty, full[..., 0])
    scores = means(CRACK, counts)
    assert scores["iou_foreground"] == pytest.approx(0.5)
    assert scores["dice_foreground"] == pytest.approx(2 / 3)


def test_nothing_to_score_is_none_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = score_report(CRACK, np.zeros((4, 1), np.int64), images=0)
    assert told["mean"] == {
        "iou_foreground": None,
        "dice_foreground": None,
        "iou_with_background": None,
    }
    assert np.isnan(mean_known(np.array([np.nan])))
    assert mean_known(np.array([np.nan, 1, 2])) == 1.5


def test_a_report_names_its_aggregation_and_counts_pixels() -> None:
    told = score_report(ORGANS, np.array([[5, 2, 1], [1, 0, 3], [0, 4, 0], [9, 9, 9]]), images=7)
    assert (told["aggregation"], told["images"], told["absent"]) == ("dataset", 7, [])
    assert told["classes"]["liver"] == {
        "iou": pytest.approx(2 / 6),
        "dice": pytest.approx(4 / 8),
        "precision": 1.0,
        "recall": pytest.approx(2 / 6),
        "pixels_true": 6,
        "pixels_predicted": 2,
    }
