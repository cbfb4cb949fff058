"""From probabilities to masks, with and without rules for objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from segkit import ConfigError, Task
from segkit.config import Config, DecodeConfig
from segkit.config.decode import Rule
from segkit.inference.decoding import decode
from segkit.inference.temperature import entropy
from segkit.inference.uncertainty import uncertainty
from tests.helpers.draws import KINDS, task_of, tasks
from tests.helpers.errors import fails

ORGANS = ["background", "liver", "tumour"]


def config_of(task: Task, **settings: Any) -> Config:
    return Config.model_validate(
        {
            "task": task,
            "decode": settings,
            "augment": {"flip_horizontal": False, "flip_vertical": False},
        }
    )


def drawn(task: Task, seed: int, size: tuple[int, int] = (9, 11)) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(0, 2, (*size, task.channels)).astype(np.float32)
    if task.activation == "softmax":
        powers = np.exp(logits)
        return powers / powers.sum(-1, keepdims=True)
    return 1 / (1 + np.exp(-logits))


@given(tasks(), st.integers(0, 99))
def test_without_settings_the_task_decodes(task: Task, seed: int) -> None:
    probabilities = drawn(task, seed)
    np.testing.assert_array_equal(
        decode(config_of(task), probabilities), task.decode(probabilities)
    )


@given(st.sampled_from(KINDS), st.integers(0, 99), st.floats(0.2, 5))
def test_a_temperature_alone_changes_no_mask_at_a_threshold_of_a_half(
    kind: str, seed: int, t: float
) -> None:
    task = task_of(kind)
    probabilities = drawn(task, seed)
    np.testing.assert_array_equal(
        decode(config_of(task, temperature=t), probabilities), task.decode(probabilities)
    )


def test_thresholds_are_those_of_tempered_probabilities() -> None:
    task = Task.binary("crack", threshold=0.7)
    probabilities = np.array(
        [[[0.75], [0.9]]], np.float32
    )  # odds of 3 and 9, whose roots are 1.7 and 3
    assert decode(config_of(task, temperature=2.0), probabilities).tolist() == [[0, 1]]


@given(st.sampled_from(KINDS), st.integers(0, 60), st.integers(2, 9), st.booleans())
def test_every_object_obeys_its_rule(kind: str, seed: int, smallest: int, largest: bool) -> None:
    task = task_of(kind)
    mask = decode(config_of(task, smallest=smallest, keep_largest=largest), drawn(task, seed))
    layers = (
        [mask == i for i in task.foreground]
        if task.exclusive
        else list(np.moveaxis(np.atleast_3d(mask) == 1, -1, 0))
    )
    for layer in layers:
        labels, count = ndimage.label(layer, np.ones((3, 3)))
        assert count <= 1 or not largest
        assert all((labels == i).sum() >= smallest for i in range(1, count + 1))


@given(st.integers(0, 60), st.integers(2, 300))
def test_where_every_class_has_a_rule_each_pixel_still_has_one(seed: int, smallest: int) -> None:
    """Without a background the search ends, too; an image smaller than `smallest` stays."""
    task = Task.multiclass(["a", "b", "c"])
    probabilities = drawn(task, seed)
    mask = decode(config_of(task, smallest=smallest), probabilities)
    if smallest > mask.size:
        np.testing.assert_array_equal(mask, task.decode(probabilities))
    assert mask.shape == probabilities.shape[:2]
    assert mask.dtype == np.uint8


def one_hot(ids: list[list[int]], second: int) -> np.ndarray:
    """Return probabilities 0.6 for the ids, 0.3 for `second`, 0.1 for the third class."""
    grid = np.array(ids)
    values = np.full((*grid.shape, 3), 0.1, np.float32)
    values[..., second] = 0.3
    np.put_along_axis(values, grid[..., None], 0.6, axis=-1)
    return values


def test_removed_objects_become_the_next_most_probable_class() -> None:
    ids = [[1, 1, 1, 0], [1, 2, 1, 0], [1, 1, 1, 0]]
    task = Task.multiclass(ORGANS)
    config = config_of(task, smallest={"tumour": 2})
    assert decode(config, one_hot(ids, second=1))[1, 1] == 1
    assert decode(config, one_hot(ids, second=0))[1, 1] == 0
    both = config_of(task, smallest={"tumour": 2}, fill_holes={"liver": True})
    assert decode(both, one_hot(ids, second=0))[1, 1] == 1


def test_only_background_is_filled() -> None:
    ids = [[1, 1, 1, 1], [1, 2, 0, 1], [1, 1, 1, 1]]
    filled = decode(config_of(Task.multiclass(ORGANS), fill_holes=True), one_hot(ids, second=0))
    assert filled.tolist() == [[1, 1, 1, 1], [1, 2, 1, 1], [1, 1, 1, 1]]


def test_each_class_of_a_multilabel_task_has_its_own_rule() -> None:
    task = Task.multilabel(["a", "b"])
    probabilities = np.zeros((3, 5, 2), np.float32)
    probabilities[0, 0] = probabilities[2, 2:] = 0.9
    mask = decode(config_of(task, smallest={"b": 2}), probabilities)
    assert mask[0, 0].tolist() == [1, 0]
    assert mask[2, 2].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("task", "settings", "code", "values"),
    [
        (Task.multilabel(["a", "b"]), {"smallest": {"c": 3}}, "unknown-name", ("a, b", "c")),
        (
            Task.multiclass(ORGANS),
            {"keep_largest": {"background": True}},
            "unknown-name",
            ("liver, tumour", "background"),
        ),
        (Task.multiclass(["a", "b"]), {"fill_holes": True}, "not-for-task", ()),
    ],
)
def test_rules_that_do_not_fit_the_task_are_refused(
    task: Task, settings: dict[str, Any], code: str, values: tuple[str, ...]
) -> None:
    with fails(ConfigError, code, *values, setting=f"decode.{next(iter(settings))}"):
        config_of(task, **settings)


@pytest.mark.parametrize("kind", KINDS)
def test_rules_are_written_and_read_back(kind: str) -> None:
    task = task_of(kind)
    rules = [
        Rule(4 * i, fill_holes=i > 0, keep_largest=i == 1) if i in task.foreground else Rule()
        for i in range(3)
    ]
    rules = rules[: task.channels]
    written = DecodeConfig(temperature=1.5).with_rules(task, rules)
    assert written.rules(task) == tuple(rules)
    assert written.temperature == 1.5
    assert DecodeConfig.model_validate(written.model_dump(mode="json")) == written
    assert DecodeConfig().with_rules(task, [Rule()] * task.channels) == DecodeConfig()


@given(st.sampled_from(KINDS), st.integers(0, 60))
def test_uncertainty_is_entropy_and_the_disagreement_of_views(kind: str, seed: int) -> None:
    task = task_of(kind)
    views = np.stack([drawn(task, seed), drawn(task, seed + 1)])
    mean = views.mean(0)
    alone = uncertainty(config_of(task), mean)
    assert alone.shape == (9, 11, 1)
    answer = np.concatenate([mean, entropy(task, views).mean(0)[..., None]], axis=-1)
    both = uncertainty(config_of(task), answer)
    np.testing.assert_allclose(both[..., :1], alone)
    assert both.shape == (9, 11, 2)
    assert (both >= 0).all()
    assert (both[..., 1] <= both[..., 0]).all()
    assert both[..., 1].max() > 0
    same = np.concatenate([views[0], entropy(task, views[0])[..., None]], axis=-1)
    np.testing.assert_allclose(uncertainty(config_of(task), same)[..., 1], 0, atol=1e-6)


@given(arrays.arrays(np.float32, (3, 4, 1), elements=st.sampled_from([0.0, 1.0])))
def test_certain_predictions_have_no_uncertainty(probabilities: np.ndarray) -> None:
    assert uncertainty(config_of(Task.binary()), probabilities).max() < 1e-5
