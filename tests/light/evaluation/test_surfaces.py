"""Boundary scores against plain loops, SciPy, scikit-image and the values of MONAI's tests."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.ndimage
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage.metrics import hausdorff_distance

from segkit.evaluation.surfaces import (
    BoundaryScores,
    average_distance,
    boundary_iou,
    boundary_scores,
    hausdorff95,
    surface,
    surface_dice,
    surface_distances,
)

MASKS = arrays.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))
SPACINGS = st.tuples(st.floats(0.1, 5), st.floats(0.1, 5))


def loop_surface(mask: np.ndarray) -> list[tuple[int, int]]:
    """Return the pixels with a neighbour outside the mask or the image."""
    height, width = mask.shape
    found = []
    for row in range(height):
        for column in range(width):
            if not mask[row, column]:
                continue
            neighbours = [
                (row - 1, column),
                (row + 1, column),
                (row, column - 1),
                (row, column + 1),
            ]
            for r, c in neighbours:
                if not (0 <= r < height and 0 <= c < width) or not mask[r, c]:
                    found.append((row, column))
                    break
    return found


def loop_distances(
    start: np.ndarray, goal: np.ndarray, spacing: tuple[float, float]
) -> list[float]:
    """Return the distance of each surface pixel of `start` to the closest one of `goal`."""
    found = []
    for row, column in loop_surface(start):
        steps = [
            math.hypot((row - r) * spacing[0], (column - c) * spacing[1])
            for r, c in loop_surface(goal)
        ]
        found.append(min(steps))
    return found


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Return two masks of one shape that are not empty."""
    first = draw(MASKS)
    second = draw(arrays.arrays(bool, first.shape))
    first[draw(st.integers(0, first.shape[0] - 1)), 0] = True
    second[0, draw(st.integers(0, first.shape[1] - 1))] = True
    return first, second


@given(MASKS)
def test_the_surface_is_the_mask_without_its_erosion(mask: np.ndarray) -> None:
    expected = mask & ~scipy.ndimage.binary_erosion(mask)
    np.testing.assert_array_equal(surface(mask), expected)
    assert [tuple(pixel) for pixel in np.argwhere(surface(mask))] == loop_surface(mask)


@given(pairs(), SPACINGS)
@settings(max_examples=60)
def test_scores_are_those_of_plain_loops(
    masks: tuple[np.ndarray, np.ndarray], spacing: tuple[float, float]
) -> None:
    truth, predicted = masks
    to_truth = loop_distances(predicted, truth, spacing)
    to_prediction = loop_distances(truth, predicted, spacing)
    both = np.array([*to_truth, *to_prediction])
    distances = surface_distances(truth, predicted, spacing)
    np.testing.assert_allclose(distances.to_truth, to_truth)
    np.testing.assert_allclose(distances.to_prediction, to_prediction)
    expected = max(np.percentile(to_truth, 95), np.percentile(to_prediction, 95))
    np.testing.assert_allclose(hausdorff95(distances), expected)
    np.testing.assert_allclose(average_distance(distances), both.mean())
    tolerance = float(np.median(both)) + 1e-6
    np.testing.assert_allclose(surface_dice(distances, tolerance), (both <= tolerance).mean())


@given(pairs())
@settings(max_examples=40)
def test_the_largest_distance_is_the_hausdorff_distance_of_scikit_image(
    masks: tuple[np.ndarray, np.ndarray],
) -> None:
    truth, predicted = masks
    distances = surface_distances(truth, predicted)
    largest = max(distances.to_truth.max(), distances.to_prediction.max())
    found = hausdorff_distance(surface(truth), surface(predicted))
    np.testing.assert_allclose(largest, found)


@given(pairs(), SPACINGS)
def test_scores_do_not_depend_on_the_order_and_scale_with_the_spacing(
    masks: tuple[np.ndarray, np.ndarray], spacing: tuple[float, float]
) -> None:
    one = boundary_scores(*masks, spacing)
    other = boundary_scores(*reversed(masks), spacing)
    np.testing.assert_allclose(one, other)
    doubled = boundary_scores(*masks, (2 * spacing[0], 2 * spacing[1]))
    np.testing.assert_allclose(doubled[:2], np.multiply(one[:2], 2))


@given(MASKS)
def test_equal_masks_have_distance_0_and_overlap_1(mask: np.ndarray) -> None:
    mask[0, 0] = True
    assert boundary_scores(mask, mask) == BoundaryScores(0.0, 0.0, 1.0, 1.0)


def test_two_empty_masks_have_no_score_and_one_empty_mask_is_a_diagonal_away() -> None:
    empty = np.zeros((30, 40), bool)
    full = ~empty
    assert np.isnan(boundary_scores(empty, empty)).all()
    for truth, predicted in [(empty, full), (full, empty)]:
        assert boundary_scores(truth, predicted, (2.0, 2.0)) == BoundaryScores(100, 100, 0, 0)


def columns_from(first: int) -> np.ndarray:
    mask = np.zeros((480, 640), bool)
    mask[:, first:] = True
    return mask


@pytest.mark.parametrize(
    ("truth", "predicted", "expected"),
    [
        (columns_from(60), columns_from(50), 1 - (478 + 480 + 18) / (1920 + 1176 + 1156)),
        (~columns_from(60), ~columns_from(50), 1 - (478 + 480 + 18) / (1920 + 96 + 116)),
    ],
)
def test_surface_dice_has_the_values_of_monai_for_a_shift_of_10_columns(
    truth: np.ndarray, predicted: np.ndarray, expected: float
) -> None:
    """MONAI, tests/test_surface_dice.py, test_tolerance_euclidean_distance."""
    distances = surface_distances(truth, predicted)
    np.testing.assert_allclose(surface_dice(distances, 0), expected)
    assert surface_dice(distances, 9) < surface_dice(distances, 10) == 1


def test_surface_dice_has_the_values_of_monai_for_two_short_lines() -> None:
    """MONAI, tests/test_surface_dice.py, test_tolerance_all_distances."""
    predicted = np.zeros((10, 10), bool)
    predicted[1:4, 1] = True
    truth = np.zeros((10, 10), bool)
    truth[5:8, 6] = True
    lines = surface_distances(truth, predicted)
    rest = surface_distances(~truth, ~predicted)
    for tolerance, line, others in [
        (0, 0, 1 - 12 / 84),
        (5.5, 1 - 4 / 6, 1),
        (6, 1 - 2 / 6, 1),
        (2.8, 0, 1 - 3 / 84),
        (3, 0, 1 - 1 / 84),
    ]:
        np.testing.assert_allclose(surface_dice(lines, tolerance), line)
        np.testing.assert_allclose(surface_dice(rest, tolerance), others)


def loop_band(mask: np.ndarray, width: int) -> np.ndarray:
    """Return the pixels of a mask with a pixel outside it, or the image's end, within `width`."""
    height, columns = mask.shape
    band = np.zeros_like(mask)
    for row, column in np.argwhere(mask):
        top, left = row - width, column - width
        bottom, right = row + width + 1, column + width + 1
        leaves = top < 0 or left < 0 or bottom > height or right > columns
        window = mask[max(top, 0) : bottom, max(left, 0) : right]
        band[row, column] = leaves or not window.all()
    return band


@given(pairs(), st.integers(1, 4))
@settings(max_examples=60)
def test_boundary_iou_is_the_iou_of_the_bands(
    masks: tuple[np.ndarray, np.ndarray], width: int
) -> None:
    truth, predicted = masks
    first = loop_band(truth, width)
    second = loop_band(predicted, width)
    expected = (first & second).sum() / (first | second).sum()
    share = width / math.hypot(*truth.shape)
    np.testing.assert_allclose(boundary_iou(truth, predicted, share), expected)
