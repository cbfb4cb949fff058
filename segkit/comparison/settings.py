"""The settings to compare, and the check that their scores are comparable."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.config import Config, ConfigLike, as_config
from segkit.config.reading import as_line
from segkit.data.parts import held_out, open_parts, readable_part
from segkit.data.sources.source import Subset, task_of_source
from segkit.errors import ConfigError
from segkit.evaluation import counts
from segkit.io.yaml_text import parse_yaml
from segkit.models.weights import check_frozen
from segkit.system.threads import prefetch
from segkit.task import VOID, Task

_SAME_FOR_ALL = {
    "train.seed": "--seeds",
    "train.minutes": "--minutes",
    "train.epochs": "--minutes",
    "train.steps": "--minutes",
    "train.patience": "--minutes",
}


class Setting(NamedTuple):
    """A named config that takes part in a comparison."""

    name: str
    config: Config


def name_of(config: ConfigLike) -> str:
    """Return the name of a config's file without suffix; "config" if it is not a file."""
    if isinstance(config, str | PathLike):
        return Path(config).stem
    return "config"


def list_settings(
    config: ConfigLike,
    varied: Sequence[str],
    others: Sequence[ConfigLike],
    overrides: Sequence[str],
    minutes: float,
    trust: bool = False,
) -> list[Setting]:
    """Return every combination of the varied values on the config, then each other config.

    All trainings take the same time: step budgets and early stopping are switched off.

    Args:
        config: The config whose values vary.
        varied: "section.setting=VALUE,VALUE" with YAML values. They do not change `others`.
        others: More configs.
        overrides: "section.setting=VALUE", for all settings.
        minutes: Time of each training.
        trust: Whether Python that the configs name may be imported.

    Raises:
        ConfigError: A value or a combination is not valid, or two settings are the same.
    """
    _check_not_fixed([*varied, *overrides])
    fixed = [f"train.minutes={minutes}", "train.steps=null", "train.patience=0"]
    settings = []
    for chosen in itertools.product(*map(_assignments, varied)):
        name = ", ".join(chosen) or name_of(config)
        changed = as_config(config, [*overrides, *chosen, *fixed], trust=trust)
        settings.append(Setting(name, changed))
    for number, other in enumerate(others, start=2):
        name = f"config {number}"
        if isinstance(other, str | PathLike):
            name = name_of(other)
        settings.append(Setting(name, as_config(other, [*overrides, *fixed], trust=trust)))
    _check_differ(settings)
    for setting in settings:
        check_frozen(setting.config.model)
    return settings


def _check_not_fixed(assignments: Sequence[str]) -> None:
    """Refuse to vary seeds and length, which are the same for all settings."""
    for assignment in assignments:
        name = assignment.partition("=")[0].strip()
        if name in _SAME_FOR_ALL:
            raise ConfigError(
                f"all settings are trained for the same time and with the same seeds; "
                f"use {_SAME_FOR_ALL[name]}",
                "contradiction",
                setting=name,
            )


def _assignments(varied: str) -> list[str]:
    """Return ["train.ema=0", "train.ema=0.99"] for "train.ema=0,0.99", a YAML list of values."""
    name, equals, text = varied.partition("=")
    try:
        values = parse_yaml(f"[{text}]")
    except ConfigError as problem:
        raise ConfigError(
            f"{varied}: not a list of YAML values: {problem}",
            setting="--vary",
        ) from problem
    if not equals or not values:
        raise ConfigError(
            f"write section.setting=VALUE,VALUE, such as model.encoder=plain,residual; "
            f"found {varied}",
            setting="--vary",
        )
    return [f"{name.strip()}={as_line(value)}" for value in values]


def _check_differ(settings: Sequence[Setting]) -> None:
    """Refuse fewer than two settings, and settings with equal configs or names."""
    if len(settings) < 2:
        raise ConfigError(
            "there is only one setting; add --vary section.setting=VALUE,VALUE or --also CONFIG",
            "missing-setting",
        )
    for one, other in itertools.combinations(settings, 2):
        if one.config == other.config:
            raise ConfigError(
                f"{one.name} and {other.name} are the same config; remove one of them",
                "given-twice",
            )
        if one.name == other.name:
            raise ConfigError(
                f"two settings are called {one.name}; rename one of the config files",
                "given-twice",
            )


def foreground(task: Task) -> list[str]:
    """Return the names of the classes that enter the mean scores."""
    return [task.classes[index] for index in task.foreground]


def check_same_masks(settings: Sequence[Setting]) -> str:
    """Check that all settings are scored on the same images, classes and masks.

    The masks are read only where the data or the classes of two settings differ.

    Returns:
        The name of the part that is scored: "test" or "validation".

    Raises:
        ConfigError: The scores of two settings would not be comparable.
    """
    first = settings[0]
    part, subset = scored_part(first.config)
    for other in settings[1:]:
        other_part, other_subset = scored_part(other.config)
        if other_part != part or list(other_subset.names) != list(subset.names):
            raise ConfigError(
                f"{first.name} is scored on {len(subset)} images of its {part} part and "
                f"{other.name} on {len(other_subset)} of its {other_part} part, which are not "
                f"the same images; set the same data.validation and data.test for both",
                "mismatch",
            )
        _check_foreground(first, other)
        if _data_and_classes(first.config) != _data_and_classes(other.config):
            _check_truth(first, subset, other, other_subset)
    return part


def scored_part(config: Config) -> tuple[str, Subset]:
    """Return the name and the samples of the part that is scored.

    It is the test part, or the validation part if there is no test part.
    """
    if config.data.on_all:
        raise ConfigError(
            "settings are compared on images that are held back from training; leave it out",
            "contradiction",
            setting="data.on_all",
        )
    parts = open_parts(config)
    name = held_out(parts)
    return name, readable_part(parts[name], config)


def _check_foreground(one: Setting, other: Setting) -> None:
    names = sorted(foreground(one.config.task))
    other_names = sorted(foreground(other.config.task))
    if names != other_names:
        raise ConfigError(
            f"{one.name} is scored on {', '.join(names)} and {other.name} on "
            f"{', '.join(other_names)}; the foreground classes need the same names",
            "mismatch",
        )


def _data_and_classes(config: Config) -> tuple[Any, ...]:
    return config.data, config.task.kind, config.task.classes, config.task.background


def _check_truth(one: Setting, subset: Subset, other: Setting, other_subset: Subset) -> None:
    """Refuse masks in which the pixels of a class or the labelled pixels differ in number."""
    truths = _count_truth(one, subset)
    other_truths = _count_truth(other, other_subset)
    for name, truth, other_truth in zip(subset.names, truths, other_truths, strict=True):
        for label, pixels in truth.items():
            other_pixels = other_truth[label]
            if not np.array_equal(pixels, other_pixels):
                raise ConfigError(
                    f"{name}: {label} has {pixels[0]:,} of {pixels.sum():,} labelled pixels for "
                    f"{one.name} and {other_pixels[0]:,} of {other_pixels.sum():,} for "
                    f"{other.name}; scores on different masks cannot be compared",
                    "mismatch",
                )


def _count_truth(setting: Setting, subset: Subset) -> Iterator[dict[str, np.ndarray]]:
    """Yield per image and class name the pixels of the class and the other labelled ones, (2,)."""
    task = task_of_source(setting.config.task, subset.source)
    for sample in prefetch(subset.read, subset.names):
        target = task.encode(sample.mask, sample.name, void=VOID)
        cells = counts.count(task, target, target)
        yield {task.classes[index]: cells[[0, 3], index] for index in task.foreground}
