"""Accepts a task or its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segkit.errors import ConfigError
from segkit.task.readable import validated
from segkit.task.task import Task

LONGEST = 60
"""Characters up to which an error shows a wrong value."""


def as_task(task: Any) -> Task:
    """Return a task.

    Args:
        task: A task, or a dictionary of its settings.

    Raises:
        ConfigError: If `task` is anything else, or if a setting is wrong.
    """
    if isinstance(task, Task):
        return task
    if isinstance(task, Mapping):
        return validated(Task, dict(task), "task")
    found = repr(task)
    if len(found) > LONGEST:
        found = f"an object of type {type(task).__name__}"
    hint = ""
    if task in ("binary", "multilabel", "multiclass"):
        hint = f"; did you mean segkit.Task.{task}(...)?"
    raise ConfigError(
        f"must be a segkit.Task, such as segkit.Task.binary('crack'); found {found}{hint}",
        setting="task",
    )
