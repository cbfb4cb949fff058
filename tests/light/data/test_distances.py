from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import distance_transform_edt

from segkit import VOID, Task
from segkit.data.batches.distances import as_losses_need, signed_distances, with_distances
from tests.helpers.draws import KINDS, masks, task_of, tasks

SIZES = arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)


@given(st.data())
def test_distances_are_those_of_scipy_less_half_a_pixel(data: st.DataObject) -> None:
    shape = data.draw(SIZES)
    truth = data.draw(arrays.arrays(bool, shape))
    known = data.draw(arrays.arrays(bool, shape)) | truth
    found = signed_distances(truth, known)
    assert found.dtype == np.float32
    assert not found[~known].any()
    others = known & ~truth
    if truth.any() and others.any():
        np.testing.assert_allclose(
            found[truth], 0.5 - distance_transform_edt(~others)[truth], rtol=1e-6
        )
        np.testing.assert_allclose(
            found[others], distance_transform_edt(~truth)[others] - 0.5, rtol=1e-6
        )
    else:  # no outline
        assert (found[truth] == -1).all()
        assert (found[others] == 1).all()


def test_distances_are_exact_in_an_image_of_usual_size() -> None:
    truth = np.zeros((700, 900), bool)
    truth[650:660, 3:5] = True
    found = signed_distances(truth, np.ones_like(truth))
    np.testing.assert_allclose(
        found[~truth], distance_transform_edt(~truth)[~truth] - 0.5, rtol=1e-6
    )


def test_the_edge_of_the_labelled_area_is_not_an_outline() -> None:
    truth = np.zeros((20, 30), bool)
    truth[5:15, 8:30] = True
    known = np.ones_like(truth)
    known[:, 18:] = False
    np.testing.assert_array_equal(
        signed_distances(truth & known, known)[:, :18],
        signed_distances(truth[:, :18], known[:, :18]),
    )


@given(st.data())
def test_a_target_with_distances_contains_the_target(data: st.DataObject) -> None:
    task = data.draw(tasks())
    target = task.encode(data.draw(masks(task)), void=VOID)
    found = with_distances(target, task)
    assert found.shape == (*target.shape[:2], task.channels, 2)
    assert found.dtype == np.float32
    for channel in range(task.channels):
        plane = target if task.exclusive else target[..., channel]
        true = plane == channel if task.exclusive else plane == 1
        np.testing.assert_array_equal(found[..., channel, 0], np.where(plane == VOID, VOID, true))
        np.testing.assert_array_equal(found[..., channel, 1], signed_distances(true, plane != VOID))


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_gets_distances_only_for_a_loss_that_needs_them(kind: str) -> None:
    task: Task = task_of(kind)
    targets = np.zeros((2, *task.target_shape(4, 5)), np.uint8)  # type: ignore[arg-type]
    targets[1, 2, 3] = 1
    assert as_losses_need(targets, task, {"dice": 1.0, "lovasz": 1.0}) is targets
    found = as_losses_need(targets, task, {"dice": 1.0, "boundary": {"weight": [0, 0.1]}})
    np.testing.assert_array_equal(
        found, np.stack([with_distances(target, task) for target in targets])
    )
