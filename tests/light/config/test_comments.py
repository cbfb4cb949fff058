"""Comments of a config file stay with their settings in the config of the run."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from segkit.config import Config, read
from segkit.config.comments import comments_of, read_comments, with_comments
from segkit.task import Task

PLANNED = """# Made by a command.
# Second line.

# The masks show it.
task:
  kind: binary
  classes: [crack]  # not above a setting

train:
  # Small images
  # need few epochs.
  epochs: 5
  #batch
  batch_size: 2
  crop:
  # a comment in a list
  - 32
  - 32
"""


def test_comments_belong_to_the_setting_below_them() -> None:
    assert read_comments(PLANNED) == {
        "task": "The masks show it.",
        "train.epochs": "Small images\nneed few epochs.",
        "train.batch_size": "batch",
    }


def test_the_file_of_a_run_has_the_comments_and_the_same_settings(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(PLANNED, encoding="utf-8")
    config = read(path)
    text = with_comments(config.as_yaml(), comments_of(path))
    assert read_comments(text) == comments_of(path)
    assert yaml.safe_load(text) == yaml.safe_load(config.as_yaml())
    lines = text.splitlines()
    place = lines.index("  epochs: 5")
    assert lines[place - 2 : place] == ["  # Small images", "  # need few epochs."]


@pytest.mark.parametrize(
    ("override", "left"),
    [
        ("train.epochs=7", {"task", "train.batch_size"}),
        ("train={}", {"task"}),
        ("task.kind=multilabel", {"train.epochs", "train.batch_size"}),
        ("train.epochs_of_another=7", {"task", "train.epochs", "train.batch_size"}),
    ],
)
def test_comments_on_changed_settings_are_left_out(
    tmp_path: Path, override: str, left: set[str]
) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(PLANNED, encoding="utf-8")
    assert set(comments_of(path, [override])) == left


def test_a_config_that_is_no_file_has_no_comments() -> None:
    config = Config(task=Task.binary())
    assert comments_of(config) == {}
    assert with_comments(config.as_yaml(), {}) == config.as_yaml()


def test_comments_of_any_text_are_comments_again() -> None:
    text = with_comments("train:\n  epochs: 5\n", {"train.epochs": "a: b\u2028- c\n\td"})
    assert yaml.safe_load(text) == {"train": {"epochs": 5}}
