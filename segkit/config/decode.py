"""The section `decode`: how masks are made from the network's probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import Field, PlainValidator

from segkit.config.section import Section
from segkit.errors import ConfigError
from segkit.io.geometry import Area
from segkit.task import Task


def _size(value: Any) -> int | str:
    """Return a number of pixels, or an area as `Area` writes it."""
    area = Area.parse(value) if isinstance(value, str) else None
    if area is not None:
        return str(area)
    is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, str) and value.isdecimal():
        is_whole = True
    if not is_whole or int(value) < 0:
        raise ValueError("a number of pixels from 0 on, or an area such as '12 mm2'")
    return int(value)


def _sizes(value: Any) -> int | str | dict[str, int | str]:
    """Return one size, or a size per class by name."""
    if isinstance(value, dict):
        return {str(name): _size(each) for name, each in value.items()}
    return _size(value)


Sizes = Annotated[
    int | str | dict[str, int | str],
    PlainValidator(_sizes, json_schema_input_type=int | str | dict[str, int | str]),
]
"""The smallest objects of all classes or per class: numbers of pixels, or areas with a unit."""


class Rule(NamedTuple):
    """The changes of the objects of one class; all are off by default."""

    smallest: int = 0
    """Objects of fewer pixels are removed."""
    fill_holes: bool = False
    """Whether holes are filled."""
    keep_largest: bool = False
    """Whether all objects but the largest are removed."""
    area: str = ""
    """Objects of a smaller area are removed, as in "12 mm2"; then `smallest` is 0. Before the rule
    is applied, `DecodeConfig.in_pixels` turns it into pixels."""


class DecodeConfig(Section):
    """How masks are made from probabilities.

    A rule for objects is one value for all foreground classes, or a table with a value per class.
    Pixels of an object touch by a side or a corner; pixels of a hole touch by a side.
    """

    temperature: Annotated[float, Field(ge=0.01, le=100)] = 1.0
    """The number by which the logits are divided: above 1 makes the probabilities less certain,
    below 1 more certain."""
    smallest: Sizes = 0
    """The size below which objects are removed: one for all foreground classes, or one per class by
    name. It is a number of pixels, or an area such as "12 mm2" of images whose pixel size is
    known."""
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
            size = smallest.get(name, 0)
            rule = Rule(
                smallest=0 if isinstance(size, str) else size,
                fill_holes=fill_holes.get(name, False),
                keep_largest=keep_largest.get(name, False),
                area=size if isinstance(size, str) else "",
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
        for field in ("smallest", "fill_holes", "keep_largest"):
            by_class = {}
            for name, rule in zip(task.classes, rules, strict=True):
                value = getattr(rule, field)
                if field == "smallest":
                    value = rule.area or value
                if value:
                    by_class[name] = value
            settings[field] = by_class or Rule._field_defaults[field]
        return DecodeConfig.model_validate(settings)

    @property
    def has_areas(self) -> bool:
        """Whether a smallest object is an area, so that `in_pixels` is needed."""
        return any(isinstance(size, str) for size in self._sizes())

    def in_pixels(self, size: tuple[float, float], unit: str) -> DecodeConfig:
        """Return these settings with areas as numbers of pixels.

        Args:
            size: Height and width of a pixel.
            unit: Their unit, a key of `segkit.io.geometry.METRES`.
        """
        if isinstance(self.smallest, dict):
            by_class = {name: _pixels(each, size, unit) for name, each in self.smallest.items()}
            return self.model_copy(update={"smallest": by_class})
        return self.model_copy(update={"smallest": _pixels(self.smallest, size, unit)})

    def _sizes(self) -> list[int | str]:
        if isinstance(self.smallest, dict):
            return list(self.smallest.values())
        return [self.smallest]


def _pixels(smallest: int | str, size: tuple[float, float], unit: str) -> int:
    """Return a smallest object in pixels."""
    if not isinstance(smallest, str):
        return smallest
    area = Area.parse(smallest)
    assert area is not None  # the setting was checked
    return area.pixels(size, unit)


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
