"""The score of the truth against itself moved by one pixel, against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from segkit.evaluation.ceiling import ceiling_scores, count_moved
from segkit.evaluation.counts import split_layers
from segkit.task import VOID, Task
from tests.helpers.draws import masks, task_of

CELL = Task.binary("cell")


def dice_moved(mask: np.ndarray, rows: int, columns: int) -> float:
    """Return the Dice of a mask of 0, 1 and VOID against itself, moved; a pixel outside is void."""
    overlap = 0
    sizes = 0
    for row, column in np.ndindex(mask.shape):
        if not (0 <= row - rows < mask.shape[0] and 0 <= column - columns < mask.shape[1]):
            continue
        here = mask[row, column]
        there = mask[row - rows, column - columns]
        if VOID in (here, there):
            continue
        overlap += int(here == 1 and there == 1)
        sizes += int(here == 1) + int(there == 1)
    return 2 * overlap / sizes if sizes else np.nan


@given(masks(CELL))
def test_the_ceiling_is_the_mean_over_four_directions(mask: np.ndarray) -> None:
    target = CELL.encode(mask, "a", void=VOID)
    layers = split_layers(CELL, target, np.zeros_like(mask))
    found = ceiling_scores(CELL, count_moved(layers))["classes"]["cell"]["dice"]
    expected = np.mean([dice_moved(mask, *way) for way in ((1, 0), (-1, 0), (0, 1), (0, -1))])
    assert found == pytest.approx(None if np.isnan(expected) else expected)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_a_mask_without_edges_has_the_ceiling_1(kind: str) -> None:
    task = task_of(kind)
    shape = task.target_shape(5, 4)
    layers = split_layers(task, np.ones(shape, np.uint8), np.ones(shape[: 2 + task.layered]))
    found = ceiling_scores(task, count_moved(layers))
    assert found["dice"] == found["iou"] == 1
