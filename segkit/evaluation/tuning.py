"""`segkit tune`, as one story: temperature first, then thresholds, then rules for objects, on a part with known masks.

Nothing grows with the number of images: the part is predicted two or three times, and sums, histograms and a sample of
pixels are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

from segkit.config import DecodeConfig, RunConfig
from segkit.config.decode import Rule
from segkit.data.sources.source import Subset
from segkit.errors import SegkitWarning
from segkit.evaluation import counts
from segkit.evaluation.calibration import fit_temperature, flatten_known, reliability, tally
from segkit.evaluation.evaluate import predict_part
from segkit.evaluation.thresholds import Goal, choose_threshold, threshold_histogram
from segkit.evaluation.tuning_warnings import too_few_images, what_gets_worse
from segkit.inference.components import areas
from segkit.inference.decoding import decode
from segkit.inference.ensemble import with_temperature
from segkit.inference.temperature import tempered
from segkit.inference.tiles import Predict
from segkit.run.tuned import Tuned
from segkit.task.layers import any_plane, layer_of, layers_of

SAMPLE = 300_000
"""Pixels (times classes, under sigmoid) that the temperature is fitted to."""
SIZES = (8, 32, 128, 512, 2048)
"""Smallest objects that are tried, pixels."""
GAIN = 0.001
"""Dice that a rule must add to its class: less is noise of the part it is tuned on."""
LEAST = 5
"""Images that show a class from which anything is chosen for it; in fewer, one odd object would decide."""
Counting = Callable[[str], AbstractContextManager[Callable[..., None]]]


class Seen(NamedTuple):
    """What the first look at a part keeps."""

    counts: np.ndarray
    tally: np.ndarray
    histograms: np.ndarray
    sample: tuple[np.ndarray, np.ndarray, np.ndarray]
    """Answers, truth and weights, for `fit_temperature`."""
    images: int
    shown: np.ndarray
    """Images whose mask shows each class, (C,) int64."""
    answered: np.ndarray
    """Images in which each class is found, (C,) int64."""
    smallest: np.ndarray
    """Pixels of the smallest true object of each class, (C,); infinite if there is none."""


class Compared(NamedTuple):
    """What a look at a part says of several ways of decoding, the config's own first."""

    totals: np.ndarray
    """(1 + n, 4, C) int64."""
    sums: np.ndarray
    """The tally of reliability."""
    answered: np.ndarray
    """Images in which each class is found, (1 + n, C) int64."""


def choose_decoding(
    predict: Predict, config: RunConfig, part: Subset, name: str, goal: Goal, counting: Counting
) -> Tuned:
    """Return what serves a run best on a part (called `name`) with known masks; `config` is the run's own, not tuned yet.

    `counting(words)` shows the progress of one look at the part. The scores found are optimistic: they are those of the
    part that everything was chosen on.
    """
    with counting("looking at every answer") as done:
        seen = collect_statistics(predict, config, part, done)
    temperature = fit_temperature(*seen.sample)
    few = [i for i in config.task.foreground if seen.shown[i] < LEAST]
    thresholds, notes = choose_thresholds(config, seen.histograms, temperature, goal, few)
    task = config.task.model_copy(update={"thresholds": thresholds})
    calm = with_temperature(predict, task, temperature)
    plain = config.model_copy(
        update={"task": task, "decode": config.decode.model_copy(update={"temperature": 1.0})}
    )
    rules = candidates(plain, np.where(seen.shown < LEAST, 0, seen.smallest))
    chosen, found = _choose_rules(calm, plain, part, rules, goal, counting)
    before = _scores(config, seen.counts, seen.tally, seen.images, seen.answered)
    after = _scores(config, found.totals[0], found.sums, seen.images, found.answered[0])
    notes += [
        *too_few_images(config.task, seen.shown, few, LEAST),
        *what_gets_worse(config.task, before, after, seen.shown),
    ]
    return Tuned(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        part=name,
        images=seen.images,
        goal=str(goal),
        thresholds=thresholds,
        decode=chosen.model_copy(update={"temperature": temperature}),
        before=before,
        after=after,
        notes=tuple(map(str, notes)),
    )


def _choose_rules(
    predict: Predict,
    config: RunConfig,
    part: Subset,
    rules: Sequence[DecodeConfig],
    goal: Goal,
    counting: Counting,
) -> tuple[DecodeConfig, Compared]:
    """Return the best `decode` section that the rules make, and what a look at the part says of it alone."""
    with counting("trying rules for objects") as done:
        compared = compare_decodes(predict, config, part, rules, done)
    steps = combine(config, rules, compared.totals, goal)
    best = 0
    if steps:
        with counting("trying them together") as done:
            compared = compare_decodes(predict, config, part, steps, done)
        best = choose_step(config, compared.totals, goal)
    alone = Compared(
        compared.totals[best : best + 1], compared.sums, compared.answered[best : best + 1]
    )
    return [config.decode, *steps][best], alone


def collect_statistics(
    predict: Predict, config: RunConfig, part: Subset, progress: Callable[[str], None]
) -> Seen:
    """Return sums and a sample of what a run answers before it is tuned; each image gives as many pixels, at random."""
    task, images, quota = config.task, 0, max(1, SAMPLE // max(1, len(part)))
    total, sums, histograms, sample = (
        np.zeros((4, task.channels), np.int64),
        np.zeros(1),
        np.zeros(1, np.int64),
        [],
    )
    shown, found = np.zeros((2, task.channels), np.int64)
    smallest = np.full(task.channels, np.inf)
    for target, probabilities in predict_part(predict, config, part, progress):
        mask = decode(config, probabilities)
        total += counts.count(task, target, mask)
        shown += _classes_in(config, target)
        found += _classes_in(config, mask)
        smallest = np.minimum(smallest, _smallest_objects(config, target))
        answers, truth = flatten_known(task, probabilities, target)
        sums = sums + tally(
            *flatten_known(task, tempered(task, probabilities, config.decode.temperature), target)
        )
        if task.thresholds is not None:
            histograms = histograms + threshold_histogram(task, probabilities, target)
        some = np.random.default_rng(images).permutation(len(truth))[:quota]
        sample.append(
            (answers[some], truth[some], np.full(len(some), len(truth) / max(1, len(some))))
        )
        images += 1
    together = [np.concatenate(arrays) for arrays in zip(*sample, strict=True)]
    sampled = (together[0], together[1], together[2])
    return Seen(total, sums, histograms, sampled, images, shown, found, smallest)


def _classes_in(config: RunConfig, labels: np.ndarray) -> np.ndarray:
    """Return whether a target or a mask shows each class, (C,) bool."""
    return np.array([layer.any() for layer in layers_of(config.task, labels)])


def _smallest_objects(config: RunConfig, target: np.ndarray) -> np.ndarray:
    """Return the pixels of the smallest object of each class in a target, (C,); infinite where there is none."""
    found = np.full(config.task.channels, np.inf)
    for i in config.task.foreground:
        found[i] = min(areas(layer_of(config.task, target, i)), default=np.inf)
    return found


def choose_thresholds(
    config: RunConfig,
    histograms: np.ndarray,
    temperature: float,
    goal: Goal,
    few: Sequence[int] = (),
) -> tuple[tuple[float, ...] | None, list[SegkitWarning]]:
    """Choose thresholds on tempered probabilities.

    Args:
        config: The run's own config.
        histograms: Of `thresholds.histogram`, over all images.
        temperature: What the probabilities are tempered by from now on.
        goal: What thresholds are chosen for.
        few: Classes that too few images show; they keep taking the same pixels.

    Returns:
        The thresholds, None where the task has none, and what was not reached.
    """
    task = config.task
    if task.thresholds is None:
        return None, []
    chosen = [
        None if i in few else choose_threshold(histograms[:, i], goal) for i in range(task.channels)
    ]
    notes = [
        SegkitWarning(
            f"{name}: no threshold reaches {goal}; it takes the same pixels as before",
            "goal-not-reached",
        )
        for i, name in enumerate(task.classes)
        if chosen[i] is None and i not in few
    ]
    # a temperature keeps the order of a class's probabilities, so a tempered threshold takes the same pixels
    before = tempered(task, np.array(task.thresholds), 1 / config.decode.temperature)
    found = np.array([old if new is None else new for old, new in zip(before, chosen, strict=True)])
    inside = np.clip(
        tempered(task, found, temperature), 1e-30, np.nextafter(np.float32(1), np.float32(0))
    )
    return tuple(map(float, inside)), notes


def candidates(config: RunConfig, smallest: np.ndarray) -> list[DecodeConfig]:
    """Return the config's `decode` section with one rule of one foreground class changed, each in turn.

    Args:
        config: The config whose rules are changed.
        smallest: Pixels of the smallest true object of each class, (C,): no larger object is removed for its size. A class
            with 0 gets no rule.
    """
    task, rules = config.task, config.decode.rules(config.task)
    found = []
    for i in task.foreground:
        changes: list[dict[str, Any]] = [
            {"smallest": size} for size in SIZES if size <= smallest[i]
        ]
        if smallest[i]:
            changes.append({"keep_largest": True})
        if smallest[i] and task.can_be_nothing:
            changes.append({"fill_holes": True})
        tried = [rules[i]._replace(**change) for change in changes]
        found += [_with_rule(config, i, rule) for rule in tried if rule != rules[i]]
    return found


def compare_decodes(
    predict: Predict,
    config: RunConfig,
    part: Subset,
    decodes: Sequence[DecodeConfig],
    progress: Callable[[str], None],
) -> Compared:
    """Return what a look at a part says of the config and of each other `decode` section.

    Only the pixels that a section changes are counted anew.
    """
    task = config.task
    total, sums = np.zeros((1 + len(decodes), 4, task.channels), np.int64), np.zeros(1)
    found = np.zeros((1 + len(decodes), task.channels), np.int64)
    others = [config.model_copy(update={"decode": each}) for each in decodes]
    for target, probabilities in predict_part(predict, config, part, progress):
        mask = decode(config, probabilities)
        total += counts.count(task, target, mask)
        sums = sums + tally(*flatten_known(task, probabilities, target))
        found[0] += _classes_in(config, mask)
        for i, other in enumerate(others, start=1):
            changed = decode(other, probabilities)
            total[i] += _difference(config, target, mask, changed)
            found[i] += _classes_in(config, changed)
    return Compared(total, sums, found)


def combine(
    config: RunConfig, tried: Sequence[DecodeConfig], totals: np.ndarray, goal: Goal
) -> list[DecodeConfig]:
    """Return `decode` sections, each with one more of the rules that help, best gain first.

    A rule helps if its class gains `GAIN` of Dice, and no class falls in Dice or in what the goal asks for. Of the rules
    that remove objects of a class only the best is taken, of equals the mildest.
    """
    task, rules = config.task, list(config.decode.rules(config.task))
    best: dict[tuple[int, bool], tuple[float, str, Any]] = {}
    for decoding, total in zip(tried, totals[1:], strict=True):
        i, field, value = _changed(rules, decoding.rules(task))
        gain = float((counts.ratios(total)["dice"] - counts.ratios(totals[0])["dice"])[i])
        kind = (i, field == "fill_holes")
        if gain >= GAIN and not _falls(totals[0], total, goal) and gain > best.get(kind, (0.0,))[0]:
            best[kind] = gain, field, value
    steps = []
    for (i, _), (_, field, value) in sorted(best.items(), key=lambda item: -item[1][0]):
        rules[i] = rules[i]._replace(**{field: value})
        steps.append(config.decode.with_rules(task, rules))
    return steps


def choose_step(config: RunConfig, totals: np.ndarray, goal: Goal) -> int:
    """Return which counts have the highest mean foreground Dice among those in which no class falls below the first."""
    dice = [
        counts.means(config.task, total)["dice_foreground"]
        if not _falls(totals[0], total, goal)
        else -1.0
        for total in totals
    ]
    return int(np.nanargmax(dice)) if not np.isnan(dice).all() else 0


def _falls(before: np.ndarray, after: np.ndarray, goal: Goal) -> bool:
    old, new = counts.ratios(before), counts.ratios(after)
    return any(bool((new[score] < old[score]).any()) for score in {"dice", goal.score})


def _changed(before: Sequence[Rule], after: Sequence[Rule]) -> tuple[int, str, Any]:
    """Return the class, the name and the new value of the one setting in which rules differ."""
    i = next(i for i, (old, new) in enumerate(zip(before, after, strict=True)) if old != new)
    return next(
        (i, name, new)
        for name, old, new in zip(Rule._fields, before[i], after[i], strict=True)
        if old != new
    )


def _with_rule(config: RunConfig, i: int, rule: Rule) -> DecodeConfig:
    rules = list(config.decode.rules(config.task))
    rules[i] = rule
    return config.decode.with_rules(config.task, rules)


def _difference(
    config: RunConfig, target: np.ndarray, old: np.ndarray, new: np.ndarray
) -> np.ndarray:
    changed = any_plane(old != new)
    truth = target[changed][None]
    return counts.count(config.task, truth, new[changed][None]) - counts.count(
        config.task, truth, old[changed][None]
    )


def _scores(
    config: RunConfig, total: np.ndarray, sums: np.ndarray, images: int, answered: np.ndarray
) -> dict[str, Any]:
    report = counts.report(config.task, total, images)
    trust = {
        name: None if np.isnan(value) else round(value, 6)
        for name, value in reliability(sums).items()
    }
    by_class = {
        label: int(number) for label, number in zip(config.task.classes, answered, strict=True)
    }
    return {
        "mean": report["mean"],
        "classes": report["classes"],
        "reliability": trust,
        "images": by_class,
    }
