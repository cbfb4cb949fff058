"""What is compared: whole configs, made of one config and the values that vary, or given beside it."""

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
from segkit.data.sources.source import Subset
from segkit.errors import ConfigError
from segkit.evaluation import counts
from segkit.io.yaml_text import parse_yaml
from segkit.models.weights import check_frozen
from segkit.system.threads import prefetch
from segkit.task import VOID, Task

_TAKEN = {
    "train.seed": "--seeds",
    "train.minutes": "--minutes",
    "train.epochs": "--minutes",
    "train.steps": "--minutes",
    "train.patience": "--minutes",
}


class Setting(NamedTuple):
    """One thing to compare: a name that people read, and the config to train."""

    name: str
    config: Config


def name_of(config: ConfigLike) -> str:
    """Return the name of a config's file without suffix, "config" for one that is no file."""
    return Path(config).stem if isinstance(config, str | PathLike) else "config"


def list_settings(
    config: ConfigLike,
    varied: Sequence[str],
    others: Sequence[ConfigLike],
    overrides: Sequence[str],
    minutes: float,
    trust: bool = False,
) -> list[Setting]:
    """Return every combination of the varied values on the config, and each other config as it is.

    `varied` are "section.setting=VALUE,VALUE" with YAML values; `overrides` and the minutes hold for all, and nothing
    stops early. `trust` says whether Python that files name may be imported. Raises `ConfigError` for what cannot be
    compared.
    """
    for setting in [each.partition("=")[0].strip() for each in (*varied, *overrides)]:
        if setting in _TAKEN:
            raise ConfigError(
                f"every setting trains for the same time and seeds; say {_TAKEN[setting]}",
                "contradiction",
                setting=setting,
            )
    fixed = [f"train.minutes={minutes}", "train.steps=null", "train.patience=0"]
    found = [
        Setting(
            ", ".join(chosen) or name_of(config),
            as_config(config, [*overrides, *chosen, *fixed], trust=trust),
        )
        for chosen in itertools.product(*map(_values, varied))
    ]
    for number, other in enumerate(others, start=2):
        name = name_of(other) if isinstance(other, str | PathLike) else f"config {number}"
        found.append(Setting(name, as_config(other, [*overrides, *fixed], trust=trust)))
    _check_differ(found)
    for each in found:
        check_frozen(each.config.model)
    return found


def _values(varied: str) -> list[str]:
    """Return "train.ema=0", "train.ema=0.99" of "train.ema=0,0.99"; the list is YAML's."""
    setting, equals, text = varied.partition("=")
    try:
        values = parse_yaml(f"[{text}]")
    except ConfigError as problem:
        raise ConfigError(
            f"{varied}: not a list of YAML values: {problem}",
            setting="--vary",
        ) from problem
    if not equals or not values:
        raise ConfigError(
            f"{varied} is written section.setting=VALUE,VALUE, as in model.encoder=plain,residual",
            setting="--vary",
        )
    return [f"{setting.strip()}={as_line(value)}" for value in values]


def _check_differ(settings: Sequence[Setting]) -> None:
    if len(settings) < 2:
        raise ConfigError(
            "one setting alone is no comparison; give --vary section.setting=VALUE,VALUE or --also CONFIG",
            "missing-setting",
        )
    for one, other in itertools.combinations(settings, 2):
        if one.config == other.config:
            raise ConfigError(
                f"{one.name} and {other.name} are the same config; nothing would be compared",
                "given-twice",
            )
        if one.name == other.name:
            raise ConfigError(
                f"two settings are called {one.name}; rename one of the config files",
                "given-twice",
            )


def foreground(task: Task) -> list[str]:
    """Return the names of the classes that enter the mean scores."""
    return [task.classes[i] for i in task.foreground]


def check_same_masks(settings: Sequence[Setting]) -> str:
    """Return the part that all settings are scored on, after seeing that its images and their foreground are the same.

    The masks are read only where the data or the classes of two settings differ. Raises `ConfigError` where scores of
    two settings would be answers to different questions.
    """
    first, *others = settings
    part, subset = scored_part(first.config)
    for other in others:
        its_part, its_subset = scored_part(other.config)
        if its_part != part or list(its_subset.names) != list(subset.names):
            raise ConfigError(
                f"{first.name} is scored on {len(subset)} images of its {part} part and "
                f"{other.name} on {len(its_subset)} of its {its_part} part, which are not the "
                f"same; give both the same data.validation and data.test",
                "mismatch",
            )
        names, its_names = (sorted(foreground(each.config.task)) for each in (first, other))
        if names != its_names:
            raise ConfigError(
                f"{first.name} is scored on {', '.join(names)} and {other.name} on {', '.join(its_names)}; foreground "
                f"classes are to be the same, by name",
                "mismatch",
            )
        if _reading(first.config) != _reading(other.config):
            _check_truth(first, subset, other, its_subset)
    return part


def scored_part(config: Config) -> tuple[str, Subset]:
    """Return the part that a config's trainings are scored on, by name: test, or validation where there is no test part."""
    parts = open_parts(config)
    name = held_out(parts)
    return name, readable_part(parts[name], config)


def _reading(config: Config) -> tuple[Any, ...]:
    return config.data, config.task.kind, config.task.classes, config.task.background


def _check_truth(one: Setting, subset: Subset, other: Setting, its_subset: Subset) -> None:
    pairs = zip(subset.names, _truths(one, subset), _truths(other, its_subset), strict=True)
    for name, truth, its_truth in pairs:
        for label, pixels in truth.items():
            if not np.array_equal(pixels, its_truth[label]):
                raise ConfigError(
                    f"{name}: {label} has {pixels[0]:,} of {pixels.sum():,} labelled pixels for {one.name} and "
                    f"{its_truth[label][0]:,} of {its_truth[label].sum():,} for {other.name}; scores on different masks "
                    f"cannot be compared",
                    "mismatch",
                )


def _truths(setting: Setting, subset: Subset) -> Iterator[dict[str, np.ndarray]]:
    """Yield how many pixels of an image are a class, and how many labelled ones are not, by name: (2,)."""
    task = setting.config.task
    for sample in prefetch(subset.read, subset.names):
        target = task.encode(sample.mask, sample.name, void=VOID)
        cells = counts.count(task, target, target)
        yield {task.classes[i]: cells[[0, 3], i] for i in task.foreground}
