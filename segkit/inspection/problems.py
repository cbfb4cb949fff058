"""All problems of a data set; each has a code, the files, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from segkit.data.sources.source import Subset
from segkit.inspection.class_problems import background_names, find_class_problems
from segkit.inspection.copy_problems import find_copies
from segkit.inspection.fingerprint import SampleFingerprint, Survey
from segkit.inspection.problem import Level, Problem, problem_of
from segkit.inspection.ranges import odd_ranges
from segkit.inspection.stroke_problems import find_stroke_problems
from segkit.io.image_files import LeftOut
from segkit.system.terminal import shown
from segkit.task import Task

MOST_LISTED = 50
"""Largest number of unread files that are listed one by one."""
NO_SCORE = 6
"""Number of images below which a score has no meaning."""
FEW = 20
"""Number of images below which a score depends on the choice of the test images."""
LARGE = 1024
"""Side of an image from which its regions can be samples of their own, pixels."""


def find_problems(
    task: Task, survey: Survey, flips: bool = True, skip_broken: bool = False
) -> list[Problem]:
    """Return all problems of a data set, errors first.

    Args:
        task: The task.
        survey: The fingerprints. If the survey stopped early, problems that only the whole data
            set shows are not looked for.
        flips: Whether training mirrors images.
        skip_broken: Whether samples that cannot be used are left out, and so only a warning.
    """
    facts = survey.facts
    is_complete = len(facts) + len(survey.broken) >= survey.total
    found = broken_samples(survey, skip_broken)
    found += background_names(task)
    if facts:
        found += _different_kinds(facts)
        found += find_copies(facts)
    if facts and is_complete:
        found += find_class_problems(task, facts, flips)
        found += find_stroke_problems(task, facts)
        found += _flat_images(facts)
        found += odd_ranges(facts)
    return sorted(found, key=lambda problem: problem.level)


def left_out_of(parts: Mapping[str, Subset]) -> list[Problem]:
    """Return warnings for files that look like images and are not read, and for skipped entries.

    Sources skip broken entries of an annotation file if `data.skip_broken` is set.
    """
    skipped: Counter[str] = Counter()
    unread: dict[LeftOut, None] = {}
    for source in _sources(parts):
        skipped.update(getattr(source, "skipped", {}))
        unread.update(dict.fromkeys(getattr(source, "left_out", ())))
    problems = _unread_files(list(unread))
    for code, number in skipped.items():
        message = (
            f"{number} broken entries are left out, as data.skip_broken says; their pixels are "
            f"unlabelled"
        )
        if code == "unpaired":
            message = f"{number} images with labels are not there, and are left out"
        problems.append(problem_of("warning", code, message))
    return problems


def decided_by(parts: Mapping[str, Subset]) -> list[Problem]:
    """Return a warning for each choice that a source made between two meanings of its files."""
    decisions: list[tuple[str, str]] = []
    for source in _sources(parts):
        decisions += getattr(source, "decisions", [])
    return [problem_of("warning", code, message) for code, message in dict.fromkeys(decisions)]


def _sources(parts: Mapping[str, Subset]) -> list[Any]:
    """Return the different sources of the parts."""
    by_identity = {id(subset.source): subset.source for subset in parts.values()}
    return list(by_identity.values())


def _unread_files(entries: Sequence[LeftOut]) -> list[Problem]:
    problems = []
    for entry in entries[:MOST_LISTED]:
        message = f"{shown(entry.path)}: not read, {entry.why}"
        problems.append(problem_of("warning", "not-read", message))
    more = [shown(entry.path) for entry in entries[MOST_LISTED:]]
    if more:
        problems.append(problem_of("warning", "not-read", "more files are not read", more))
    return problems


def broken_samples(survey: Survey, skip_broken: bool) -> list[Problem]:
    """Return a problem for each code of samples that cannot be used, and for an empty data set."""
    level: Level = "error"
    if skip_broken:
        level = "warning"
    by_code: dict[str, list[str]] = {}
    messages: dict[str, str] = {}
    for sample in survey.broken:
        by_code.setdefault(sample.code, []).append(sample.name)
        messages.setdefault(sample.code, sample.message)
    problems = [problem_of(level, code, messages[code], by_code[code]) for code in by_code]
    if not survey.total:
        problems.append(problem_of("error", "empty", "the data set has no sample"))
    elif skip_broken and not survey.facts:
        message = f"none of the {survey.total} samples can be used, so there is nothing to train on"
        problems.append(problem_of("error", "empty", message))
    return problems


def _different_kinds(facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    """Yield errors for images of different depth or bands; grey and RGB images may be mixed."""
    yield from _different("depth", facts, lambda fact: fact.dtype)
    grey_and_rgb = {"1 band(s)", "3 band(s)"}
    yield from _different("channels", facts, lambda fact: f"{fact.bands} band(s)", grey_and_rgb)


def _different(
    code: str,
    facts: Sequence[SampleFingerprint],
    kind_of: Callable[[SampleFingerprint], str],
    allowed: Collection[str] = (),
) -> Iterator[Problem]:
    kinds = Counter(kind_of(fact) for fact in facts)
    if len(kinds) == 1 or set(kinds) == set(allowed):
        return
    ranked = kinds.most_common()
    usual = ranked[0][0]
    counts = ", ".join(f"{kind} ({count} images)" for kind, count in ranked)
    message = (
        f"all images of a data set need the same kind; found {counts}. Convert the others to "
        f"{usual}, or remove them"
    )
    files = [fact.name for fact in facts if kind_of(fact) != usual]
    yield problem_of("error", code, message, files)


def _flat_images(facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    flat = [fact.name for fact in facts if fact.low == fact.high]
    if flat:
        message = "images with a single value; remove them if this is not intended"
        yield problem_of("warning", "flat-image", message, flat)


def few_images(parts: Mapping[str, Subset], facts: Sequence[SampleFingerprint]) -> list[Problem]:
    """Return a warning that says what a data set of few images allows.

    Args:
        parts: The samples of each part. Several samples may be regions of one image.
        facts: The fingerprints, which hold the sizes of the images.
    """
    images = set()
    samples = 0
    for subset in parts.values():
        images |= _images(subset)
        samples += len(subset)
    count = len(images)
    if not 0 < count < FEW:
        return []
    if samples > count:
        message = (
            f"the {samples} samples are regions of {count} image(s), so a score describes these "
            f"images, and not other ones"
        )
        return [problem_of("warning", "few-images", message)]
    message = _what_few_images_allow(count)
    if any(min(fact.size) >= LARGE for fact in facts):
        message += (
            f". The images are large: data.blocks: {LARGE // 2} makes samples of their regions"
        )
    return [problem_of("warning", "few-images", message)]


def _images(subset: Subset) -> set[tuple[int, str]]:
    """Return the images of a part's samples; several samples may be regions of one image."""
    image_of = getattr(subset.source, "image_of", lambda name: name)
    return {(id(subset.source), image_of(name)) for name in subset.names}


def _what_few_images_allow(count: int) -> str:
    if count == 1:
        return (
            "1 image: none is left to choose the best epoch or to compute a score. Training with "
            "data.validation: 0 and data.test: 0 only shows whether a network can learn it"
        )
    if count < NO_SCORE:
        return (
            f"{count} images: a network can learn them, but a score of so few has little meaning. "
            f"Train on all of them (segkit train CONFIG --on-all). For a score, score each image "
            f"with a network that was trained on the others: "
            f"segkit train CONFIG --set data.test=0 --fold all/{count} --on-all"
        )
    test_images = max(1, round(0.15 * count))
    return (
        f"{count} images: a test part of 15 % has about {test_images}, so its score depends on "
        f"which these are. Cross-validation scores each image once, and "
        f"then all images train: segkit train CONFIG --set data.test=0 --fold all/5 --on-all"
    )
