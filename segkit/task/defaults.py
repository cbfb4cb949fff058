"""The settings of a task that follow from others."""

from __future__ import annotations

from typing import Any

from segkit.errors import ConfigError
from segkit.task.palette import default_palette
from segkit.task.sets import completed, flattened


def with_defaults(values: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a task with those that the user left out.

    Args:
        values: The settings of the user; None means that a setting is left out, except for
            `background`, where it means that there is none.

    Raises:
        ConfigError: If `classes` is no list of names, or if a parent contains itself.
    """
    filled = {}
    for key, value in values.items():
        if value is not None or key == "background":  # None means no background
            filled[key] = value
    classes = _as_list(filled.get("classes", []))
    head = "sigmoid"
    background = None
    thresholds: Any = 0.5
    if filled.get("kind") == "multiclass":
        head = "softmax"
        thresholds = None
        if "background" in classes:
            background = "background"
    filled["classes"] = classes
    filled.setdefault("head", head)
    filled.setdefault("background", background)
    filled.setdefault("palette", default_palette(classes, filled["background"]))
    filled.setdefault("thresholds", thresholds)
    filled["parents"] = flattened(filled.get("parents", {}))
    if filled.get("kind") == "multiclass" and not filled.get("soft"):
        filled["sets"] = completed(
            filled.get("sets", ()), classes, filled["parents"], filled.get("flip_pairs")
        )
    if isinstance(filled["thresholds"], int | float):
        filled["thresholds"] = [filled["thresholds"]] * len(classes)
    return filled


def _as_list(classes: Any) -> list[Any]:
    """Return the names of classes as a list; a single name is a list of one."""
    if isinstance(classes, str):
        return [classes]
    if isinstance(classes, list | tuple):
        return list(classes)
    raise ConfigError(f"a list of names; found {classes!r}", setting="task.classes")
