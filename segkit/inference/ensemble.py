"""Several runs, and several views, as one: what they must have in common, and the mean of their answers."""

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
from segkit.task import Task


def joint(configs: Sequence[RunConfig], names: Sequence[str], tta: str | None = None) -> RunConfig:
    """Return the config that runs predict with together; `names` are theirs, for messages.

    Thresholds are the mean of the runs'; a rule for objects holds where every run has it (the smallest size). Windows are
    those of the run whose network has the largest stride. The temperature is 1, since `answers` tempers each run's answer
    before the mean. One run without views keeps its config, and its temperature with it. Masks are stored, and read, as the
    first run does.

    Raises `ConfigError` naming what differs in kind, classes, head, flip pairs, depth or channels; also if a mirrored
    view would confuse classes with a side.
    """
    if tta is not None:
        check_views(configs[0].task, tta)
    if len(configs) == 1 and tta is None:
        return configs[0]
    for config, name in zip(configs, names, strict=True):
        _check_alike(configs[0], config, names[0], name)
    first = configs[0].task
    thresholds = [
        config.task.thresholds for config in configs if config.task.thresholds is not None
    ]
    mean = tuple(float(t) for t in np.mean(thresholds, axis=0)) if thresholds else None
    rules = [
        Rule(*map(min, zip(*each, strict=True))) for each in zip(*_rules(configs), strict=True)
    ]
    decode = DecodeConfig().with_rules(first, rules)
    widest = max(configs, key=lambda config: config.model.stride)
    task = first.model_copy(update={"thresholds": mean})
    same = {"input": configs[0].input, "data": configs[0].data, "mask_files": configs[0].mask_files}
    return widest.model_copy(update={"task": task, "decode": decode, **same})


def answers(
    networks: Sequence[Predict],
    configs: Sequence[RunConfig],
    tta: str | None = None,
    spread: bool = False,
) -> Predict:
    """Return one predict function: each run's answer in each view ("flips", "rotations"), tempered, then their mean.

    With `spread` and more than one answer the mean entropy of the answers is a last channel, for the uncertainty maps.
    One run without views gives its own answers, untempered: its mask needs no logarithm of each pixel (see `decoding`).
    """
    if len(networks) == 1 and tta is None:
        return networks[0]
    members: list[Predict] = []
    for network, config in zip(networks, configs, strict=True):
        calm = with_temperature(network, config.task, config.decode.temperature)
        members += [calm] if tta is None else in_views(calm, config.task, tta)
    several = len(members) > 1 and spread
    return mean_of(members, partial(entropy, configs[0].task) if several else None)


def with_temperature(network: Predict, task: Task, temperature: float) -> Predict:
    """Return the network with its answers tempered; itself at a temperature of 1."""
    return (
        network
        if temperature == 1.0
        else lambda images: tempered(task, network(images), temperature)
    )


def _rules(configs: Sequence[RunConfig]) -> list[tuple[Rule, ...]]:
    return [config.decode.rules(config.task) for config in configs]


def _check_alike(one: RunConfig, other: RunConfig, name: str, other_name: str) -> None:
    differences = [
        f"{key}: {before} and {after}"
        for (key, before), after in zip(_facts(one).items(), _facts(other).values(), strict=True)
        if before != after
    ]
    if differences:
        raise ConfigError(
            f"{name} and {other_name}: runs that answer together have the same task and kind of images; these differ in "
            f"{'; '.join(differences)}",
            "mismatch",
        )


def _facts(config: RunConfig) -> dict[str, Any]:
    task, given = config.task, config.input
    pairs = sorted(sorted(pair) for pair in task.flip_pairs)
    images = {"input.dtype": given.dtype, "input.channels": given.channels}
    return {"task.kind": task.kind, "task.classes": list(task.classes), "task.head": task.head,
            "task.background": task.background, "task.flip_pairs": pairs, **images}  # fmt: skip
