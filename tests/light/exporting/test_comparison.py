"""Differences between two networks, against plain sums."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest

from segkit import Task
from segkit.config import Config, DecodeConfig, InputConfig, PredictConfig
from segkit.data.sources.source import Sample
from segkit.evaluation import counts
from segkit.exporting.parity import measure_difference, measure_latency
from segkit.inference.tiles import Predict
from tests.helpers.draws import KINDS, task_of
from tests.helpers.samples import in_memory

GIVEN = InputConfig(channels=1, dtype="uint8", mean=(0,), std=(1,), low=0, high=255)


def network(task: Task, seed: int) -> Predict:
    """Return a network whose probabilities depend only on the value of the pixel."""
    table = (
        np.random.default_rng(seed)
        .dirichlet(np.ones(max(2, task.channels)), 256)
        .astype(np.float32)
    )
    return lambda images: table[images[..., 0]][..., : task.channels]


@pytest.mark.parametrize("kind", KINDS)
def test_differences_shares_and_dice_are_those_of_plain_sums(kind: str) -> None:
    task, rng = task_of(kind), np.random.default_rng(0)
    config = Config(task=task, input=GIVEN, predict=PredictConfig(tile=64))
    shape = (9, 11, task.channels) if task.kind == "multilabel" else (9, 11)
    most = task.channels if task.exclusive else 2
    samples = [
        Sample(
            str(i),
            rng.integers(0, 256, (9, 11, 1), np.uint8),
            rng.integers(0, most, shape, np.uint8),
        )
        for i in range(3)
    ]
    one, other = network(task, 1), network(task, 2)
    found = measure_difference(one, other, config, in_memory(samples))
    answers = [[predict(sample.image[None])[0] for sample in samples] for predict in (one, other)]
    differences = np.concatenate([np.abs(a - b).ravel() for a, b in zip(*answers, strict=True)])
    masks = [[task.decode(answer) for answer in many] for many in answers]
    alike = np.concatenate([(a == b).ravel() for a, b in zip(*masks, strict=True)])
    assert found.images == 3
    assert found.largest == pytest.approx(differences.max())
    assert found.mean == pytest.approx(differences.mean(), rel=1e-5)
    assert found.decided_alike == pytest.approx(alike.mean())
    for dice, many in zip(found.dice, masks, strict=True):
        total = sum(
            counts.count(task, task.encode(sample.mask), mask)
            for sample, mask in zip(samples, many, strict=True)
        )
        assert dice == pytest.approx(counts.means(task, np.asarray(total))["dice_foreground"])


def test_masks_are_decoded_as_the_run_was_tuned() -> None:
    """With a high threshold and a temperature both networks predict no object."""
    task = Task.binary("a", threshold=0.9)
    config = Config(task=task, input=GIVEN, decode=DecodeConfig(temperature=4.0))
    sample = Sample("a", np.zeros((4, 4, 1), np.uint8), np.ones((4, 4), np.uint8))
    sure, unsure = (
        lambda images, p=p: np.full((*images.shape[:3], 1), p, np.float32) for p in (0.95, 0.3)
    )
    found = measure_difference(sure, unsure, config, in_memory([sample]))
    assert found.decided_alike == 1
    assert found.dice == (0, 0)


def test_both_are_timed_in_turn() -> None:
    calls: list[str] = []

    def recorder(name: str) -> Predict:
        return lambda images: (calls.append(name), images)[1]

    one, two = measure_latency(
        recorder("one"), recorder("two"), np.zeros((1, 2, 2, 1), np.uint8), turns=3
    )
    assert calls == ["one", "two"] * 5
    assert 0 <= one.median <= one.p95
    assert 0 <= two.median <= two.p95


def test_slow_networks_are_timed_a_few_times() -> None:
    calls: list[str] = []

    def slow(images: np.ndarray) -> np.ndarray:
        calls.append("slow")
        return images

    clock = iter(range(0, 10_000, 10))
    with patch("time.perf_counter", lambda: float(next(clock))):
        one, _ = measure_latency(slow, slow, np.zeros((1, 2, 2, 1), np.uint8))
    assert len(calls) == 2 * (2 + 5)
    assert one.median == 10
