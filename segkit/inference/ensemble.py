"""Predict with several runs or views as one: common config, mean of the probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from segkit.config import DecodeConfig, RunConfig
from segkit.config.decode import Rule
from segkit.errors import ConfigError
from segkit.inference.temperature import entropy, tempered
from segkit.inference.tiles import Predict
from segkit.inference.tta import check_views, in_views, mean_of
from segkit.io.geometry import Area
from segkit.task import Task


def joint(configs: Sequence[RunConfig], names: Sequence[str], tta: str | None = None) -> RunConfig:
    """Return the config with which runs predict together.

    Thresholds are the mean of the runs' thresholds. A rule for objects is as weak as the weakest of
    the runs: the smallest size, and only what all runs do. Windows are those of the run whose
    network has the largest stride. The temperature is 1, because `averaged` applies each run's
    temperature before the mean. Masks are stored and read as the first run does. A single run
    without views keeps its config and its temperature.

    Args:
        configs: The configs of the runs; one or more.
        names: The names of the runs, for messages.
        tta: The views of each image: "flips", "rotations" or None.

    Raises:
        ConfigError: If the runs differ in kind, classes, head, flip pairs, dtype or channels; or if
            a mirrored view would confuse a left class with a right one.
    """
    if tta is not None:
        check_views(configs[0].task, tta)
    if len(configs) == 1 and tta is None:
        return configs[0]
    for config, name in zip(configs, names, strict=True):
        _check_alike(configs[0], config, names[0], name)
    first = configs[0]
    widest = max(configs, key=lambda config: config.model.stride)
    return widest.model_copy(
        update={
            "task": first.task.model_copy(update={"thresholds": _mean_thresholds(configs)}),
            "decode": DecodeConfig().with_rules(first.task, _weakest_rules(configs)),
            "input": first.input,
            "data": first.data,
            "mask_files": first.mask_files,
        }
    )


def average_members(
    networks: Sequence[Predict],
    configs: Sequence[RunConfig],
    tta: str | None = None,
    with_entropy: bool = False,
) -> Predict:
    """Return a predict function for the mean of all runs and views.

    Each run's temperature is applied to each of its predictions before the mean. A single run
    without views is returned unchanged, without its temperature: `decoding` moves the threshold
    instead, which needs no logarithm of each pixel.

    Args:
        networks: The predict function of each run; one or more.
        configs: The config of each run.
        tta: "flips" or "rotations" averages over views, too.
        with_entropy: Whether the last channel is the mean entropy of the predictions, for the maps
            of uncertainty. A single run without views never has it.

    Returns:
        Images (B, H, W, C) -> probabilities (B, H, W, classes), or (B, H, W, classes + 1).
    """
    if len(networks) == 1 and tta is None:
        return networks[0]
    members: list[Predict] = []
    for network, config in zip(networks, configs, strict=True):
        tempered_predict = with_temperature(network, config.task, config.decode.temperature)
        if tta is None:
            members.append(tempered_predict)
        else:
            members.extend(in_views(tempered_predict, config.task, tta))
    if with_entropy and len(members) > 1:
        return mean_of(members, partial(entropy, configs[0].task))
    return mean_of(members)


def with_temperature(network: Predict, task: Task, temperature: float) -> Predict:
    """Return a predict function that applies a temperature to the network's probabilities.

    At a temperature of 1 this is the network itself.
    """
    if temperature == 1.0:
        return network

    def tempered_predict(images: np.ndarray) -> np.ndarray:
        return tempered(task, network(images), temperature)

    return tempered_predict


def _mean_thresholds(configs: Sequence[RunConfig]) -> tuple[float, ...] | None:
    thresholds = []
    for config in configs:
        if config.task.thresholds is not None:
            thresholds.append(config.task.thresholds)
    if not thresholds:
        return None
    return tuple(float(threshold) for threshold in np.mean(thresholds, axis=0))


def _weakest_rules(configs: Sequence[RunConfig]) -> list[Rule]:
    """Return one rule per class, each field the smallest (False for a switch) of all runs.

    A number of pixels and an area cannot be compared, so neither of them is used together.
    """
    rules_of_runs = [config.decode.rules(config.task) for config in configs]
    weakest = []
    for rules in zip(*rules_of_runs, strict=True):
        rule = Rule(
            smallest=min(rule.smallest for rule in rules),
            fill_holes=all(rule.fill_holes for rule in rules),
            keep_largest=all(rule.keep_largest for rule in rules),
            area=_smallest_area([rule.area for rule in rules]),
        )
        weakest.append(rule)
    return weakest


def _smallest_area(texts: Sequence[str]) -> str:
    """Return the smallest area; none if a run has none, whose smallest object is in pixels."""
    areas = [Area.parse(text) for text in texts]
    known = [area for area in areas if area is not None]
    if len(known) < len(areas):
        return ""
    return str(min(known, key=lambda area: area.square_metres))


def _check_alike(one: RunConfig, other: RunConfig, name: str, other_name: str) -> None:
    """Raise `ConfigError` if two runs have different tasks or take different images."""
    settings = _settings_in_common(one)
    other_settings = _settings_in_common(other)
    differences = []
    for setting, value in settings.items():
        if value != other_settings[setting]:
            differences.append(f"{setting}: {value} and {other_settings[setting]}")
    if differences:
        raise ConfigError(
            f"{name} and {other_name}: runs that predict together need the same task and the same "
            f"kind of images; these differ in {'; '.join(differences)}",
            "mismatch",
        )


def _settings_in_common(config: RunConfig) -> dict[str, Any]:
    """Return the settings that must be equal in runs that predict together."""
    task = config.task
    return {
        "task.kind": task.kind,
        "task.classes": list(task.classes),
        "task.head": task.head,
        "task.background": task.background,
        "task.flip_pairs": sorted(sorted(pair) for pair in task.flip_pairs),
        "input.dtype": config.input.dtype,
        "input.channels": config.input.channels,
    }
