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
from segkit.evaluation import counts
from segkit.evaluation.calibration import fit_temperature, questions, reliability, tally
from segkit.evaluation.evaluate import answered
from segkit.evaluation.thresholds import Goal, choose, histogram
from segkit.inference.decoding import decode
from segkit.inference.ensemble import with_temperature
from segkit.inference.temperature import tempered
from segkit.inference.tiles import Predict
from segkit.run.tuned import Tuned
from segkit.task.layers import any_plane

SAMPLE = 300_000
"""Pixels (times classes, under sigmoid) that the temperature is fitted to."""
SIZES = (8, 32, 128, 512, 2048)
"""Smallest objects that are tried, pixels."""
GAIN = 0.001
"""Dice that a rule must add to its class: less is noise of the part it is tuned on."""
Counting = Callable[[str], AbstractContextManager[Callable[..., None]]]


class Seen(NamedTuple):
    """What the first look at a part keeps."""

    counts: np.ndarray
    tally: np.ndarray
    histograms: np.ndarray
    sample: tuple[np.ndarray, np.ndarray, np.ndarray]
    """Answers, truth and weights, for `fit_temperature`."""
    images: int


def choose_decoding(
    predict: Predict, config: RunConfig, part: Subset, name: str, goal: Goal, counting: Counting
) -> Tuned:
    """Return what serves a run best on a part (called `name`) with known masks; `config` is the run's own, not tuned yet.

    `counting(words)` shows the progress of one look at the part. The scores found are optimistic: they are those of the
    part that everything was chosen on.
    """
    with counting("looking at every answer") as done:
        seen = look(predict, config, part, done)
    temperature = fit_temperature(*seen.sample)
    thresholds, notes = choose_thresholds(config, seen.histograms, temperature, goal)
    task = config.task.model_copy(update={"thresholds": thresholds})
    calm = with_temperature(predict, task, temperature)
    plain = config.model_copy(update={"task": task, "decode": config.decode.model_copy(update={"temperature": 1.0})})
    with counting("trying rules for objects") as done:
        rules = candidates(plain)
        totals, sums = compare(calm, plain, part, rules, done)
    steps = combine(plain, rules, totals, goal)
    best = 0
    if steps:
        with counting("trying them together") as done:
            totals, _ = compare(calm, plain, part, steps, done)
        best = choose_step(plain, totals, goal)
    chosen = ([plain.decode, *steps])[best]
    return Tuned(
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        part=name,
        images=seen.images,
        goal=str(goal),
        thresholds=thresholds,
        decode=chosen.model_copy(update={"temperature": temperature}),
        before=_scores(config, seen.counts, seen.tally, seen.images),
        after=_scores(config, totals[best], sums, seen.images),
        notes=tuple(notes),
    )


def look(predict: Predict, config: RunConfig, part: Subset, progress: Callable[[str], None]) -> Seen:
    """Return sums and a sample of what a run answers before it is tuned; each image gives as many pixels, at random."""
    task, images, quota = config.task, 0, max(1, SAMPLE // max(1, len(part)))
    total, sums, histograms, sample = np.zeros((4, task.channels), np.int64), np.zeros(1), np.zeros(1, np.int64), []
    for target, probabilities in answered(predict, config, part, progress):
        total += counts.count(task, target, decode(config, probabilities))
        answers, truth = questions(task, probabilities, target)
        sums = sums + tally(*questions(task, tempered(task, probabilities, config.decode.temperature), target))
        if task.thresholds is not None:
            histograms = histograms + histogram(task, probabilities, target)
        some = np.random.default_rng(images).permutation(len(truth))[:quota]
        sample.append((answers[some], truth[some], np.full(len(some), len(truth) / max(1, len(some)))))
        images += 1
    together = [np.concatenate(arrays) for arrays in zip(*sample, strict=True)]
    return Seen(total, sums, histograms, (together[0], together[1], together[2]), images)


def choose_thresholds(
    config: RunConfig, histograms: np.ndarray, temperature: float, goal: Goal
) -> tuple[tuple[float, ...] | None, list[str]]:
    """Return the thresholds on tempered probabilities, None where the task has none, and what was not reached, in words."""
    task = config.task
    if task.thresholds is None:
        return None, []
    chosen = [choose(histograms[:, i], goal) for i in range(task.channels)]
    notes = [
        f"{name}: the part has no such pixel, or no threshold reaches {goal}; it takes the same pixels as before"
        for name, threshold in zip(task.classes, chosen, strict=True)
        if threshold is None
    ]
    # a temperature keeps the order of a class's probabilities, so a tempered threshold takes the same pixels
    before = tempered(task, np.array(task.thresholds), 1 / config.decode.temperature)
    found = np.array([old if new is None else new for old, new in zip(before, chosen, strict=True)])
    inside = np.clip(tempered(task, found, temperature), 1e-30, np.nextafter(np.float32(1), np.float32(0)))
    return tuple(map(float, inside)), notes


def candidates(config: RunConfig) -> list[DecodeConfig]:
    """Return the config's `decode` section with one rule of one foreground class changed, each in turn."""
    task, rules = config.task, config.decode.rules(config.task)
    changes: list[dict[str, Any]] = [{"smallest": size} for size in SIZES]
    changes += [{"keep_largest": True}, *([{"fill_holes": True}] if task.can_be_nothing else [])]
    tried = [(i, rules[i]._replace(**change)) for i in task.foreground for change in changes]
    return [_with_rule(config, i, rule) for i, rule in tried if rule != rules[i]]


def compare(
    predict: Predict, config: RunConfig, part: Subset, decodes: Sequence[DecodeConfig], progress: Callable[[str], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts of the config and of each other `decode` section, (1 + n, 4, C), and the tally of reliability.

    Only the pixels that a section changes are counted anew.
    """
    task = config.task
    total, sums = np.zeros((1 + len(decodes), 4, task.channels), np.int64), np.zeros(1)
    others = [config.model_copy(update={"decode": each}) for each in decodes]
    for target, probabilities in answered(predict, config, part, progress):
        mask = decode(config, probabilities)
        total += counts.count(task, target, mask)
        sums = sums + tally(*questions(task, probabilities, target))
        for i, other in enumerate(others, start=1):
            total[i] += _difference(config, target, mask, decode(other, probabilities))
    return total, sums


def combine(config: RunConfig, tried: Sequence[DecodeConfig], totals: np.ndarray, goal: Goal) -> list[DecodeConfig]:
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
        counts.means(config.task, total)["dice_foreground"] if not _falls(totals[0], total, goal) else -1.0
        for total in totals
    ]
    return int(np.nanargmax(dice)) if not np.isnan(dice).all() else 0


def _falls(before: np.ndarray, after: np.ndarray, goal: Goal) -> bool:
    old, new = counts.ratios(before), counts.ratios(after)
    return any(bool((new[score] < old[score]).any()) for score in {"dice", goal.score})


def _changed(before: Sequence[Rule], after: Sequence[Rule]) -> tuple[int, str, Any]:
    """Return the class, the name and the new value of the one setting in which rules differ."""
    i = next(i for i, (old, new) in enumerate(zip(before, after, strict=True)) if old != new)
    return next((i, name, new) for name, old, new in zip(Rule._fields, before[i], after[i], strict=True) if old != new)


def _with_rule(config: RunConfig, i: int, rule: Rule) -> DecodeConfig:
    rules = list(config.decode.rules(config.task))
    rules[i] = rule
    return config.decode.with_rules(config.task, rules)


def _difference(config: RunConfig, target: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    changed = any_plane(old != new)
    truth = target[changed][None]
    return counts.count(config.task, truth, new[changed][None]) - counts.count(config.task, truth, old[changed][None])


def _scores(config: RunConfig, total: np.ndarray, sums: np.ndarray, images: int) -> dict[str, Any]:
    report = counts.report(config.task, total, images)
    trust = {name: None if np.isnan(value) else round(value, 6) for name, value in reliability(sums).items()}
    return {"mean": report["mean"], "classes": report["classes"], "reliability": trust}
