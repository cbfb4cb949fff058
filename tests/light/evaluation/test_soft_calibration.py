"""Calibration on soft labels: a network that predicts them exactly is calibrated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from segkit import Task
from segkit.config import Config, InputConfig
from segkit.data.sources.source import Sample, Subset
from segkit.evaluation.evaluate import score_part
from segkit.evaluation.thresholds import Goal
from segkit.evaluation.tuning import choose_decoding
from segkit.task.soft import as_probabilities, encode_probabilities, hard_target
from tests.helpers.samples import in_memory

pytestmark = pytest.mark.long

TASKS = {
    "softmax": Task.multiclass(["background", "a", "b"], soft=True),
    "layers": Task.multilabel(["a", "b"], soft=True),
}
every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


def config_of(task: Task) -> Config:
    given = InputConfig(channels=task.channels, dtype="float32", mean=(0,), std=(1,), low=0, high=1)
    return Config.model_validate({"task": task.model_dump(mode="json"), "input": given})


def part_of(task: Task, soft: bool = True) -> Subset:
    """Return samples whose images are their labels, without soft labels if `soft` is false."""
    made = []
    for number in range(6):
        rng = np.random.default_rng(number)
        values = rng.dirichlet([1.0] * 3, (8, 8)).repeat(6, axis=0).repeat(6, axis=1)
        label = encode_probabilities(task, values[..., : task.channels], "a")
        mask = hard_target(task, label)
        image = as_probabilities(task, label)
        made.append(Sample(str(number), image, mask, soft=label if soft else None))
    return in_memory(made)


@contextmanager
def quietly(words: str) -> Iterator[Any]:
    yield lambda *_: None


@every_task
def test_tune_keeps_probabilities_that_are_the_labels(task: Task) -> None:
    config: Any = config_of(task)
    chosen = {}
    for soft in (True, False):
        found = choose_decoding(
            lambda images: images, config, part_of(task, soft), "test", Goal.parse("dice"), quietly
        )
        chosen[soft] = found
    assert chosen[True].decode.temperature == pytest.approx(1, abs=0.05)
    # the mask of the most probable classes looks as if the network were too unsure
    assert chosen[False].decode.temperature < 0.5
    assert chosen[True].before["classes"] == chosen[False].before["classes"]


@every_task
def test_reliability_is_that_of_one_annotator(task: Task) -> None:
    config: Any = config_of(task)
    reports = {soft: score_part(lambda x: x, config, part_of(task, soft)) for soft in (True, False)}
    for name in ("a", "b"):
        errors = {soft: reports[soft]["reliability"][name]["error"] for soft in reports}
        assert errors[True] < 0.02
        assert errors[False] > 0.1
        counts = {}
        for soft, report in reports.items():
            counts[soft] = [each["count"] for each in report["reliability"][name]["bins"]]
        assert counts[True] == counts[False]
    assert reports[True]["classes"] == reports[False]["classes"]
