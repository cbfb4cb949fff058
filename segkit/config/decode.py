"""The section `decode`: how masks are made from the network's probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from segkit.config.section import Section
from segkit.errors import ConfigError
from segkit.task import Task

Pixels = Annotated[int, Field(ge=0)]


class Rule(NamedTuple):
    """The changes of the objects of one class; all are off by default."""

    smallest: int = 0
    """Objects of fewer pixels are removed."""
    fill_holes: bool = False
    """Whether holes are filled."""
    keep_largest: bool = False
    """Whether all objects but the largest are removed."""


class DecodeConfig(Section):
    """How masks are made from probabilities.

    A rule for objects is one value for all foreground classes, or a table with a value per class.
    Pixels of an object touch by a side or a corner; pixels of a hole touch by a side.
    """

    temperature: Annotated[float, Field(ge=0.01, le=100)] = 1.0
    """The number by which the logits are divided: above 1 makes the probabilities less certain,
    below 1 more certain."""
    smallest: Pixels | dict[str, Pixels] = 0
    """The size in pixels below which objects are removed: one for all foreground classes, or one
    per class by name."""
    fill_holes: bool | dict[str, bool] = False
    """Whether holes of objects are filled, for all foreground classes or per class by name; the
    task needs a background."""
    keep_largest: bool | dict[str, bool] = False
    """Whether all objects of an image but the largest are removed, for all foreground classes or
    per class by name."""

    def rules(self, task: Task) -> tuple[Rule, ...]:
        """Return one rule per class.

        Args:
            task: The task of the masks.

        Returns:
            The rules in the order of the classes. That of the background changes nothing.

        Raises:
            ConfigError: If a setting does not fit the task.
        """
        smallest = _by_class(self.smallest, "decode.smallest", task)
        fill_holes = _by_class(self.fill_holes, "decode.fill_holes", task)
        keep_largest = _by_class(self.keep_largest, "decode.keep_largest", task)
        rules = []
        for name in task.classes:
            rule = Rule(
                smallest.get(name, 0), fill_holes.get(name, False), keep_largest.get(name, False)
            )
            rules.append(rule)
        if not task.can_be_nothing and any(rule.fill_holes for rule in rules):
            raise ConfigError(
                "holes consist of background, and this task has no background",
                "not-for-task",
                setting="decode.fill_holes",
            )
        return tuple(rules)

    def with_rules(self, task: Task, rules: Sequence[Rule]) -> DecodeConfig:
        """Return these settings with other rules.

        Args:
            task: The task of the masks.
            rules: One rule per class, in the order of the classes.
        """
        settings: dict[str, Any] = {"temperature": self.temperature}
        for field in Rule._fields:
            by_class = {}
            for name, rule in zip(task.classes, rules, strict=True):
                value = getattr(rule, field)
                if value:
                    by_class[name] = value
            settings[field] = by_class or Rule._field_defaults[field]
        return DecodeConfig.model_validate(settings)


def _by_class(value: Any, setting: str, task: Task) -> Mapping[str, Any]:
    """Return the values of a setting by the names of foreground classes."""
    foreground = [task.classes[i] for i in task.foreground]
    if not isinstance(value, dict):
        return dict.fromkeys(foreground, value)
    wrong = sorted(set(value) - set(foreground))
    if wrong:
        raise ConfigError(
            f"names are {', '.join(foreground)}; found {', '.join(wrong)}",
            "unknown-name",
            setting=setting,
        )
    return value
