"""Settings and tasks in Python raise the same errors as in a file."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import segkit
from segkit import ConfigError, Task, config
from segkit.config import ModelConfig
from segkit.config.loss import LARGEST, parse_terms
from tests.helpers.errors import fails

CRACK = Task.binary("crack")

WRONG: dict[str, tuple[Callable[[], Any], str, str, tuple[object, ...]]] = {
    "name of a class": (lambda: Task.binary(3), "wrong-value", "task.classes.0", (3,)),  # type: ignore[arg-type]
    "setting of a task": (
        lambda: Task.binary("a", hed="sigmoid"),
        "unknown-setting",
        "task.hed",
        ("'head'",),
    ),
    "threshold": (lambda: Task.binary("a", threshold=2), "wrong-value", "task.thresholds", (2.0,)),
    "section": (
        lambda: segkit.Config(task=CRACK, modl={}),
        "unknown-setting",
        "modl",
        ("'model'",),
    ),
    "setting of a section": (
        lambda: segkit.Config(task=CRACK, model={"widdth": 3}),
        "unknown-setting",
        "model.widdth",
        ("'width'",),
    ),
    "no task": (lambda: segkit.Config(), "missing-setting", "task", ()),
    "task by name": (lambda: segkit.Config(task="binary"), "wrong-value", "task", ("'binary'",)),
    "two settings": (lambda: ModelConfig(width=0, depth=9), "wrong-value", "width", (0, 9)),
    "no config": (lambda: config.as_config(3), "wrong-value", "config", ("int",)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_setting_is_named(name: str) -> None:
    call, code, setting, values = WRONG[name]
    with fails(ConfigError, code, *values, setting=setting) as problem:
        call()
    assert "pydantic" not in str(problem.value)


def test_a_config_is_read_from_a_path_that_is_a_string(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("task: {kind: binary, classes: [crack]}\n")
    assert config.read(str(file)) == config.read(file)
    with fails(ConfigError, "missing-file", tmp_path / "none.yaml"):
        config.read(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize("weight", [-1, math.nan, math.inf, 1e-13, 1e13, "1", True, None])
def test_class_weights_are_within_the_range_of_float32(weight: Any) -> None:
    with fails(ConfigError, "wrong-value", "crack", setting="class_weights"):
        CRACK.weights({"crack": weight})


def test_class_weights_are_given_by_name() -> None:
    assert CRACK.weights({"crack": 1e12, "background": 0}) == (0.0, 1e12)
    assert CRACK.weights(None) == (1.0, 1.0)
    with fails(ConfigError, "unknown-name", "'crack'", setting="class_weights"):
        CRACK.weights({"krack": 1.0})
    with fails(ConfigError, "unknown-name", 0, setting="class_weights"):
        CRACK.weights({0: 1.0})  # type: ignore[dict-item]
    with fails(ConfigError, "wrong-value", [1, 2], setting="class_weights"):
        CRACK.weights([1, 2])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("dice", "smooth", 2 * LARGEST),
        ("dice", "weight", 2 * LARGEST),
        ("focal", "gamma", 101),
        ("tversky", "false_positives", 2 * LARGEST),
    ],
)
def test_loss_settings_are_within_the_range_of_float32(
    name: str, setting: str, value: float
) -> None:
    with fails(ConfigError, "wrong-value", setting=f"loss.{name}.{setting}"):
        parse_terms({name: {setting: value}})
