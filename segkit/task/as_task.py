"""A task from whatever is given in its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segkit.errors import ConfigError
from segkit.task.readable import validated
from segkit.task.task import Task


def as_task(task: Any) -> Task:
    """Return a task, also one that was saved as a dictionary.

    Raises:
        ConfigError: For anything else, with the way to make a task.
    """
    if isinstance(task, Task):
        return task
    if isinstance(task, Mapping):
        return validated(Task, dict(task), "task")
    hint = (
        f"; did you mean segkit.Task.{task}(...)?"
        if task in ("binary", "multilabel", "multiclass")
        else ""
    )
    text = repr(task)
    shown = text if len(text) <= 60 else f"an object of type {type(task).__name__}"
    raise ConfigError(
        f"a segkit.Task, such as segkit.Task.binary('crack'); found {shown}{hint}", setting="task"
    )
