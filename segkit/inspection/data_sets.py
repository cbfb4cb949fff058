"""What each of several data sets (`data.sets`) knows about the classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from segkit.config import DataConfig
from segkit.data.sources.data_sets import set_of
from segkit.inspection.fingerprint import SampleFingerprint
from segkit.inspection.problem import Problem, problem_of
from segkit.task import Task


@dataclass(frozen=True)
class SetSummary:
    """Facts of one data set, of its samples that can be read."""

    samples: dict[str, int]
    """Number of samples of each part."""
    known: dict[str, int]
    """Number of images in which every labelled pixel says whether it has the class, by class."""
    shown: dict[str, int]
    """Number of images that show the class, by class."""


def summarize_sets(
    data: DataConfig, task: Task, facts: Sequence[SampleFingerprint]
) -> dict[str, SetSummary]:
    """Return the facts of each set, by its name; none without sets.

    Args:
        data: The section `data`.
        task: The task of the masks.
        facts: The fingerprints of all samples.
    """
    found = {}
    for name in data.sets or {}:
        own = [fact for fact in facts if set_of(fact.name) == name]
        known = {}
        shown = {}
        for index in task.foreground:
            label = task.classes[index]
            known[label] = sum(knows(fact, index) for fact in own)
            shown[label] = sum(bool(fact.classes[index]) for fact in own)
        found[name] = SetSummary(dict(Counter(fact.part for fact in own)), known, shown)
    return found


def knows(fact: SampleFingerprint, index: int) -> bool:
    """Return whether all labelled pixels of an image say whether they have a class."""
    return fact.labelled > 0 and bool(fact.known[index] == fact.labelled)


def set_lines(sets: dict[str, SetSummary]) -> list[tuple[str, str]]:
    """Return a line about each set: a name and a text.

    Args:
        sets: The facts of the sets.
    """
    lines = []
    for name, facts in sets.items():
        counts = [f"{count} {part}" for part, count in facts.samples.items()]
        known = [f"{label} {count}" for label, count in facts.known.items()]
        text = f"{', '.join(counts) or 'no samples'}; images in which a class is known: "
        lines.append((f"set {name}", f"{text}{', '.join(known)}"))
    return lines


def set_problems(data: DataConfig, task: Task, facts: Sequence[SampleFingerprint]) -> list[Problem]:
    """Return a warning for each set that never shows a class which was annotated in it.

    Args:
        data: The section `data`.
        task: The task of the masks.
        facts: The fingerprints of all samples.
    """
    problems = []
    for name, found in summarize_sets(data, task, facts).items():
        absent = [label for label, count in found.known.items() if count and not found.shown[label]]
        if absent:
            message = (
                f"the set {name} has no pixel of {', '.join(absent)}, so all its pixels say that "
                f"they are something else. If this was not annotated there, name the classes that "
                f"were: data.sets.{name}.labelled_classes"
            )
            problems.append(problem_of("warning", "absent-class", message))
    return problems
