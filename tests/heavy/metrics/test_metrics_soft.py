"""Scores of soft targets during training equal those of their masks. Runs on every backend."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from segkit import VOID, metrics
from segkit.evaluation.counts import count
from segkit.task.soft import as_probabilities, hard_target
from tests.helpers.loss_cases import SIZE, TASKS
from tests.oracles.question import activated


@pytest.mark.parametrize("kind", list(TASKS))
def test_soft_targets_count_as_their_masks(kind: str) -> None:
    task = TASKS[kind].model_copy(update={"soft": True})
    rng = np.random.default_rng(0)
    shape = (3, *SIZE, task.channels)
    coded = rng.choice(np.array([0, 60, 127, 200, 254], np.uint8), shape)
    unknown = rng.random(shape) < 0.2
    if task.stores_ids:
        coded[..., 0] = np.maximum(coded[..., 0], 1)
        unknown[:] = unknown[..., :1]
    coded[unknown] = VOID
    logits = rng.uniform(-4, 4, shape).astype(np.float32)
    scores = metrics.Dice(task, from_logits=True)
    scores.update_state(as_probabilities(task, coded), logits)
    mask = task.decode(activated(logits, task.head == "softmax").astype(np.float32))
    target = np.stack([hard_target(task, image) for image in coded])
    np.testing.assert_array_equal(ops.convert_to_numpy(scores.counts()), count(task, target, mask))
