"""Open pixels, the bounds of Dice, and parents, against loops over the pixels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segkit import VOID, Task
from segkit.comparison.scoring import flatten_mask
from segkit.evaluation.calibration import flatten_known
from segkit.evaluation.counts import count, split_layers
from segkit.evaluation.measurements import Measurements, Scene
from segkit.evaluation.open_pixels import count_open, dice_bounds
from segkit.evaluation.parents import count_parents, parent_scores
from segkit.evaluation.summary import build_report

pytestmark = pytest.mark.long

CLASSES = ["background", "vessel", "liver", "tumour"]
PARENTS = {"organ": ["liver", "tumour"]}
SETS = [["background", "vessel"], ["vessel", "tumour"]]
BODY = Task.multiclass(CLASSES, sets=SETS, parents=PARENTS)
LABELS = Task.multilabel(CLASSES[1:], parents=PARENTS)
pixels = st.integers(1, 5)


def targets(task: Task, width: int) -> st.SearchStrategy[np.ndarray]:
    values = st.integers(0, task.target_values - 1) | st.just(VOID)
    size = width if task.stores_ids else width * task.channels
    rows = st.lists(values, min_size=size, max_size=size)
    shape = task.target_shape(1, width)
    return rows.map(lambda row: np.array(row, np.uint8).reshape(shape))


def completions(task: Task, target: np.ndarray) -> list[np.ndarray]:
    """Return all masks that a target of one row leaves possible."""
    values = target.reshape(-1).tolist()
    choices = []
    for value in values:
        if task.stores_ids:
            choices.append(np.flatnonzero(task.possible[value]).tolist())
        else:
            choices.append([0, 1] if value == VOID else [value])
    return [
        np.array(chosen, np.uint8).reshape(target.shape) for chosen in itertools.product(*choices)
    ]


@given(st.data())
@pytest.mark.parametrize("task", [BODY, LABELS], ids=["exclusive", "multilabel"])
def test_every_truth_that_the_target_allows_has_a_dice_within_the_bounds(
    task: Task, data: st.DataObject
) -> None:
    width = data.draw(st.integers(1, 3))
    target = data.draw(targets(task, width))
    mask = data.draw(targets(task.without_sets, width).filter(lambda found: VOID not in found))
    mask = mask if task.layered else mask.reshape(1, width)
    layers = split_layers(task, target, mask)
    counts = count(task, target, mask)
    open_pixels = count_open(task, layers, mask)
    assert ((counts.sum(axis=0) + open_pixels.sum(axis=0)) == width).all()
    low, high = dice_bounds(counts, open_pixels)
    seen = []
    for truth in completions(task, target):
        tp, fp, fn, _ = count(task, truth, mask).astype(float)
        with np.errstate(invalid="ignore"):
            seen.append(2 * tp / (2 * tp + fp + fn))
    for label in range(task.channels):
        values = [dice[label] for dice in seen if not np.isnan(dice[label])]
        if values:
            assert low[label] == pytest.approx(min(values))
            assert np.nanmax([high[label], low[label]]) == pytest.approx(max(values))


@given(st.data())
@pytest.mark.parametrize("task", [BODY, LABELS], ids=["exclusive", "multilabel"])
def test_a_parent_is_known_where_all_possible_truths_agree(task: Task, data: st.DataObject) -> None:
    width = data.draw(st.integers(1, 3))
    target = data.draw(targets(task, width))
    mask = data.draw(targets(task.without_sets, width).filter(lambda found: VOID not in found))
    mask = mask if task.layered else mask.reshape(1, width)

    def inside(truth: np.ndarray) -> np.ndarray:
        if task.stores_ids:
            return np.isin(truth, [2, 3])[0]
        return (truth[0][:, [1, 2]] == 1).any(axis=-1)

    truths = np.array([inside(truth) for truth in completions(task, target)])
    predicted = inside(mask)
    expected = [0, 0, 0, 0]
    for column in range(width):
        if truths[:, column].all() or not truths[:, column].any():
            expected[2 * (not predicted[column]) + (not truths[0, column])] += 1
    tp, fp, fn, tn = count_parents(task, target, mask)[:, 0].tolist()
    assert [tp, fp, fn, tn] == expected


def test_the_report_has_bounds_known_shares_and_parents() -> None:
    target = BODY.encode(np.array([[0, 1, 2, 4, 4, 6, VOID, 2]]), void=VOID)
    mask = np.array([[0, 1, 2, 0, 1, 3, 0, 3]], np.uint8)
    measured = Measurements(BODY)
    measured.add(Scene("a", np.zeros((1, 8, 1), np.uint8), target, mask))
    report = build_report(measured, has_groups=False)
    vessel = report["classes"]["vessel"]
    assert vessel["dice"] == 1.0
    assert report["open"]["vessel"]["known"] == 5 / 8
    # of the open pixels one is predicted as vessel and two are not
    assert report["open"]["vessel"]["dice_bounds"] == [pytest.approx(2 / 5), 1.0]
    assert report["open"]["tumour"]["dice_bounds"] == [0.0, pytest.approx(2 / 3)]
    organ = report["parents"]["organ"]
    assert organ["dice"] == 1.0
    assert (organ["pixels_true"], organ["pixels_predicted"]) == (3, 3)


def test_a_class_that_is_known_everywhere_has_equal_bounds() -> None:
    task = Task.binary("crack")
    measured = Measurements(task)
    target = task.encode(np.array([[0, 1, 1, 0]]))
    mask = np.array([[0, 1, 0, 0]], np.uint8)
    measured.add(Scene("a", np.zeros((1, 4, 1), np.uint8), target, mask))
    report = build_report(measured, has_groups=False)
    dice = report["classes"]["crack"]["dice"]
    assert report["open"]["crack"] == {"known": 1.0, "dice_bounds": [dice, dice]}
    assert "parents" not in report


def test_a_parent_without_pixels_has_no_score() -> None:
    scores = parent_scores(LABELS, np.zeros((4, 1), np.int64))
    assert scores["organ"]["dice"] is None


def test_probabilities_are_judged_where_one_class_is_possible() -> None:
    target = BODY.encode(np.array([[0, 4, 3, 5, VOID]]), void=VOID)
    probabilities = np.full((1, 5, 4), 0.25, np.float32)
    for flatten in (flatten_known, flatten_mask):
        distributions, truth = flatten(BODY, probabilities, target)
        assert (distributions.shape, truth.tolist()) == ((2, 4), [0, 3])
    one_by_one = Task.multiclass(CLASSES, sets=SETS, head="sigmoid")
    distributions, truth = flatten_known(one_by_one, probabilities, target)
    assert len(truth) == 4 + 2 + 4 + 2
    assert (1 - truth).sum() == 2  # 0 means yes


def test_what_a_second_annotator_leaves_open_is_not_compared() -> None:
    measured = Measurements(BODY)
    first = BODY.encode(np.array([[0, 1, 2, 3]]))
    second = BODY.encode(np.array([[0, 4, 3, VOID]]), void=VOID)
    image = np.zeros((1, 4, 1), np.uint8)
    measured.add(Scene("a", image, first, np.zeros((1, 4), np.uint8), second))
    assert measured.annotators.sum(axis=0).tolist() == [2, 2, 2, 2]
    assert measured.annotators[:, 2].tolist() == [0, 0, 1, 1]
