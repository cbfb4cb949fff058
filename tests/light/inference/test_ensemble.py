"""Several runs as one: the mean of calibrated probabilities, and runs that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from segkit import ConfigError, Task
from segkit.config import Config, InputConfig
from segkit.config.decode import Rule
from segkit.inference.decoding import decode
from segkit.inference.ensemble import average_members, joint
from segkit.inference.temperature import entropy, tempered
from segkit.inference.tiles import Predict
from tests.helpers.errors import fails

GIVEN = {"channels": 3, "dtype": "uint8", "mean": [0], "std": [1], "low": 0, "high": 255}
TASK = Task.multilabel(["a", "b"], thresholds=[0.4, 0.6])


def config_of(task: Task = TASK, **sections: Any) -> Config:
    given = InputConfig.model_validate({**GIVEN, **sections.pop("input", {})})
    off = {"flip_horizontal": False, "flip_vertical": False}
    return Config.model_validate({"task": task, "input": given, "augment": off, **sections})


def network(value: float) -> Predict:
    return lambda images: np.full((*images.shape[:3], 2), value, np.float32)


IMAGES = np.zeros((1, 4, 5, 3), np.uint8)


def test_probabilities_are_averaged_after_each_run_s_own_temperature() -> None:
    configs = [config_of(decode={"temperature": 2.0}), config_of()]
    together = joint(configs, ["one", "two"])
    assert together.decode.temperature == 1.0
    answer = average_members([network(0.9), network(0.5)], configs)(IMAGES)
    np.testing.assert_allclose(answer, (0.75 + 0.5) / 2, rtol=1e-5)  # odds of 9, whose root is 3


def test_a_single_run_keeps_its_raw_probabilities_and_its_config() -> None:
    config = config_of(decode={"temperature": 3.0, "smallest": 2})
    alone = network(0.5)
    assert average_members([alone], [config]) is alone
    assert joint([config], ["one"]) is config


def test_views_of_one_run_are_averaged_at_its_temperature() -> None:
    config = config_of(decode={"temperature": 3.0, "smallest": 2})
    raw = np.random.default_rng(0).random((9, 9, 2)).astype(np.float32)

    def same_in_each_view(images: np.ndarray) -> np.ndarray:
        return np.take_along_axis(
            raw.reshape(1, -1, 2), images[..., :1].reshape(1, -1, 1), axis=1
        ).reshape(1, 9, 9, 2)

    numbered = np.arange(81, dtype=np.uint8).reshape(1, 9, 9, 1).repeat(3, axis=-1)
    probabilities = average_members([same_in_each_view], [config], "flips")(numbered)[0]
    np.testing.assert_allclose(probabilities, tempered(TASK, raw, 3.0), rtol=1e-5)
    np.testing.assert_array_equal(
        decode(joint([config], ["one"], "flips"), probabilities), decode(config, raw)
    )


def test_thresholds_are_averaged_and_rules_hold_where_every_run_has_them() -> None:
    one = config_of(decode={"smallest": {"a": 9, "b": 4}, "keep_largest": True})
    two = config_of(
        Task.multilabel(["a", "b"], thresholds=[0.2, 0.6]),
        decode={"smallest": {"a": 5}, "keep_largest": True},
    )
    together = joint([one, two], ["one", "two"])
    assert together.task.thresholds == pytest.approx((0.3, 0.6))
    assert together.decode.smallest == {"a": 5}
    expected = (Rule(smallest=5, keep_largest=True), Rule(keep_largest=True))
    assert together.decode.rules(TASK) == expected
    exclusive = config_of(Task.multiclass(["background", "a"]))
    assert joint([exclusive, exclusive], ["one", "two"]).task.thresholds is None


def test_the_smallest_area_of_all_runs_is_used_unless_one_counts_pixels() -> None:
    """As text "8 mm2" is more than "12 mm2", and 900,000 is more than 9."""
    areas = {"a": "12 mm2", "b": "9 mm2"}
    others = {"a": "8 mm2", "b": "900000 um2"}
    together = joint(
        [config_of(decode={"smallest": areas}), config_of(decode={"smallest": others})], ["", ""]
    )
    assert together.decode.smallest == {"a": "8 mm2", "b": "900000 µm2"}
    mixed = {"a": "12 mm2", "b": 7}
    together = joint(
        [config_of(decode={"smallest": mixed}), config_of(decode={"smallest": 5})], ["", ""]
    )
    assert together.decode.smallest == {"b": 5}


def test_windows_fit_the_run_with_the_largest_stride() -> None:
    deep = config_of(model={"depth": 6}, predict={"tile": 256})
    for configs in ([config_of(), deep], [deep, config_of()]):
        together = joint(configs, ["one", "two"])
        assert (together.model.stride, together.predict.tile) == (64, 256)


@pytest.mark.parametrize(
    ("other", "values"),
    [
        (config_of(Task.multilabel(["b", "a"])), ("task.classes", ["a", "b"], ["b", "a"])),
        (config_of(Task.binary("a")), ("task.kind", "multilabel", "binary")),
        (config_of(Task.multilabel(["a", "b"], flip_pairs=[["a", "b"]])), ("task.flip_pairs",)),
        (config_of(input={"channels": 1}), ("input.channels", 3, 1)),
        (config_of(input={"dtype": "uint16"}), ("input.dtype", "uint8", "uint16")),
    ],
)
def test_runs_that_differ_are_refused_by_name(other: Config, values: tuple[object, ...]) -> None:
    with fails(ConfigError, "mismatch", "runs/x", "runs/z", *values):
        joint([config_of(), config_of(), other], ["runs/x", "runs/y", "runs/z"])


def test_heads_must_be_equal_too() -> None:
    names = ["background", "a"]
    configs = [config_of(Task.multiclass(names)), config_of(Task.multiclass(names, head="sigmoid"))]
    with fails(ConfigError, "mismatch", "task.head", "softmax", "sigmoid"):
        joint(configs, ["one", "two"])


def test_sides_are_checked_before_any_network_is_opened() -> None:
    config = config_of(Task.binary("left eye"))
    joint([config], ["one"])
    with fails(ConfigError, "not-for-task", "left eye", setting="tta"):
        joint([config], ["one"], "flips")
    with fails(ConfigError, "unknown-name", "flips, rotations", "'all'", setting="tta"):
        joint([config_of()], ["one"], "all")


def test_the_last_channel_is_the_mean_entropy_of_all_views_of_all_runs() -> None:
    configs = [config_of(decode={"temperature": 2.0}), config_of()]
    answer = average_members([network(0.9), network(0.5)], configs, "flips", with_entropy=True)(
        IMAGES
    )
    each = entropy(TASK, np.full(2, 0.75)), entropy(TASK, np.full(2, 0.5))
    np.testing.assert_allclose(answer[..., 2], np.mean(each), rtol=1e-5)
    assert (
        average_members([network(0.9)], [config_of()], with_entropy=True)(IMAGES).shape[-1] == 2
    )  # one view has no entropy channel
