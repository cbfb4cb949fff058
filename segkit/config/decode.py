"""The `decode` section of a config: what is done with the network's probabilities on their way to a mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from segkit.config.section import Section
from segkit.errors import ConfigError
from segkit.task import Task

Pixels = Annotated[int, Field(ge=0)]


class Rule(NamedTuple):
    """What is done with the objects of one class; all off by default."""

    smallest: int = 0
    fill_holes: bool = False
    keep_largest: bool = False


class DecodeConfig(Section):
    """Temperature, and rules for objects: one value for every foreground class, or one a class by name.

    An object is a set of pixels that touch by a side or a corner; a hole is a set of pixels that touch by their sides.
    """

    temperature: Annotated[float, Field(ge=0.01, le=100)] = 1.0
    """The head's logits are divided by it: above 1 softens the probabilities, below 1 sharpens them."""
    smallest: Pixels | dict[str, Pixels] = 0
    """Objects of fewer pixels are removed."""
    fill_holes: bool | dict[str, bool] = False
    keep_largest: bool | dict[str, bool] = False
    """All objects of an image but the largest are removed."""

    def rules(self, task: Task) -> tuple[Rule, ...]:
        """Return the rule of each class; the background has none. Raises `ConfigError` for what does not fit the task."""
        given = {
            name: _by_class(getattr(self, name), f"decode.{name}", task) for name in Rule._fields
        }
        rules = tuple(
            Rule(**{name: values.get(label, 0) for name, values in given.items()})
            for label in task.classes
        )
        if not task.can_be_nothing and any(rule.fill_holes for rule in rules):
            raise ConfigError(
                "holes are filled where the mask says background, and this task has no background",
                "not-for-task",
                setting="decode.fill_holes",
            )
        return rules

    def with_rules(self, task: Task, rules: Sequence[Rule]) -> DecodeConfig:
        """Return these settings with other rules, one a class; classes without a rule are not named."""
        settings: dict[str, Any] = {"temperature": self.temperature}
        for field in Rule._fields:
            by_class = {
                label: getattr(rule, field) for label, rule in zip(task.classes, rules, strict=True)
            }
            settings[field] = {
                label: value for label, value in by_class.items() if value
            } or Rule._field_defaults[field]
        return DecodeConfig.model_validate(settings)


def _by_class(given: Any, setting: str, task: Task) -> Mapping[str, Any]:
    foreground = [task.classes[i] for i in task.foreground]
    if not isinstance(given, dict):
        return dict.fromkeys(foreground, given)
    wrong = sorted(set(given) - set(foreground))
    if wrong:
        raise ConfigError(
            f"names are {', '.join(foreground)}; found {', '.join(wrong)}",
            "unknown-name",
            setting=setting,
        )
    return given
