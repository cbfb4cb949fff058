"""Checks of a task's settings, which raise `ConfigError`."""

from __future__ import annotations

from collections.abc import Sequence

from segkit.errors import ConfigError
from segkit.system.terminal import has_controls, shown
from segkit.task.encoding import VOID
from segkit.task.palette import Colour


def check_classes(kind: str, classes: Sequence[str]) -> None:
    """Check the number and the names of the classes."""
    count = len(classes)
    required = {
        "binary": "exactly one class",
        "multilabel": "one class or more",
        "multiclass": "two classes or more",
    }
    is_enough = {"binary": count == 1, "multilabel": count >= 1, "multiclass": count >= 2}
    if not is_enough[kind]:
        raise ConfigError(
            f"a {kind} task has {required[kind]}; found {count}: {list(classes)}",
            setting="task.classes",
        )
    if count > VOID:
        raise ConfigError(
            f"at most {VOID} classes are possible, because {VOID} marks unlabelled pixels in an "
            f"8-bit mask; found {count}",
            setting="task.classes",
        )
    if len(set(classes)) != count or not all(classes):
        raise ConfigError(
            f"class names must differ and must not be empty; found {classes}",
            setting="task.classes",
        )
    controls = ", ".join(shown(name) for name in classes if has_controls(name))
    if controls:
        raise ConfigError(
            f"class names must not contain control characters; found {controls}",
            "unsafe-name",
            setting="task.classes",
        )


def check_head(kind: str, head: str) -> None:
    """Check that only a multiclass task has a softmax head."""
    if head == "softmax" and kind != "multiclass":
        raise ConfigError(
            f"softmax makes classes exclude each other, but in a {kind} task each channel is a "
            f"separate yes or no (sigmoid). For two exclusive classes under softmax use "
            f"Task.multiclass(['background', 'object'])",
            "not-for-task",
            setting="task.head",
        )


def check_background(kind: str, background: str | None, classes: Sequence[str]) -> None:
    """Check that the background is a class of a multiclass task."""
    if background is None or (kind == "multiclass" and background in classes):
        return
    raise ConfigError(
        f"only a multiclass task has a background, and it is one of its classes; found "
        f"{background!r}",
        setting="task.background",
    )


def check_palette(palette: Sequence[Colour], classes: Sequence[str]) -> None:
    """Check that there is one 8-bit colour per class."""
    if len(palette) != len(classes):
        raise ConfigError(
            f"one colour per class is needed ({len(classes)}); found {len(palette)}",
            setting="task.palette",
        )
    for colour in palette:
        if min(colour) < 0 or max(colour) > 255:
            raise ConfigError(
                f"a colour is three numbers from 0 to 255; found {colour}", setting="task.palette"
            )


def check_thresholds(kind: str, thresholds: Sequence[float] | None, classes: Sequence[str]) -> None:
    """Check that there is one threshold per class, or none in a multiclass task."""
    if kind == "multiclass":
        if thresholds is not None:
            raise ConfigError(
                "a multiclass task has no thresholds, because its mask is the most probable class",
                "not-for-task",
                setting="task.thresholds",
            )
        return
    values = list(thresholds or ())
    if len(values) != len(classes) or not all(0 < value < 1 for value in values):
        raise ConfigError(
            f"one number between 0 and 1 per class is needed ({len(classes)}); found {values}",
            setting="task.thresholds",
        )


def check_flip_pairs(flip_pairs: Sequence[tuple[str, str]], classes: Sequence[str]) -> None:
    """Check that each class is in at most one pair."""
    paired: list[str] = []
    for pair in flip_pairs:
        paired += pair
    if not set(paired) <= set(classes) or len(set(paired)) < len(paired):
        raise ConfigError(
            f"pairs consist of different classes out of {list(classes)}; found {flip_pairs}",
            setting="task.flip_pairs",
        )
