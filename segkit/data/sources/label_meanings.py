"""The meaning of the labels of a labelling tool: a class, unlabelled, background or nothing."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from segkit.config import DataConfig
from segkit.errors import ConfigError, DataError
from segkit.task import Task

BACKGROUND = "background"
VOID_NAME = "void"
SKIP = "skip"
OTHERS = "*"
"""Stands for all labels without a meaning in `data.labels`."""
USUAL = {
    "void": VOID_NAME,
    "__ignore__": VOID_NAME,
    "background": BACKGROUND,
    "_background_": BACKGROUND,
}
"""Meanings of labels that are no classes of the task; labelme uses those with underscores."""


class Meanings:
    """Finds the meaning of labels.

    A label means what `data.labels` says. Otherwise it is the class of the same name, or it has a
    usual meaning, such as void. Any other label is an error.

    Args:
        task: The task.
        data: The `data` section of a config.
        usual: Further meanings that the tool defines.

    Raises:
        ConfigError: If `data.labels` names other classes.
    """

    def __init__(self, task: Task, data: DataConfig, usual: Mapping[str, str]) -> None:
        self.task = task
        self.by_label = data.labels or {}
        self.usual = {**USUAL, **usual}
        known = [*task.classes, VOID_NAME, SKIP]
        if task.can_be_nothing:
            known.append(BACKGROUND)
        wrong = sorted({name for name in self.by_label.values() if name not in known})
        if wrong:
            raise ConfigError(
                f"each label means one of {', '.join(dict.fromkeys(known))}; found "
                f"{', '.join(wrong)}",
                "unknown-name",
                setting="data.labels",
            )

    def __call__(self, label: str) -> str:
        """Return a class of the task, "void", "background", or "skip" for shapes to leave out.

        Raises:
            DataError: If the label has no meaning.
        """
        meaning = self._meaning(label)
        if meaning == self.task.background:
            return BACKGROUND
        return meaning

    def _meaning(self, label: str) -> str:
        if label in self.by_label:
            return self.by_label[label]
        if label in self.task.classes:
            return label
        if label in self.usual:
            return self.usual[label]
        if OTHERS in self.by_label:
            return self.by_label[OTHERS]
        raise self._unknown(label)

    def _unknown(self, label: str) -> DataError:
        classes = ", ".join(self.task.classes)
        close = difflib.get_close_matches(label, self.task.classes, n=1)
        hint = ""
        meant = SKIP
        if close:
            hint = f" (did you mean {close[0]!r}?)"
            meant = close[0]
        return DataError(
            f"the label {label!r} is no class of the task ({classes}){hint}. Add the class, or "
            f"name what the label means: data.labels: {{{label!r}: {meant}}}; "
            f'{{"*": skip}} leaves out all labels that are no classes',
            "label-name",
        )
