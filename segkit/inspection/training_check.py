"""What stands between a data set and its training: problems, and the measures that the model's scaling needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from segkit.config import InputConfig
from segkit.data.sources.source import Subset
from segkit.errors import DataError
from segkit.inspection.duplicate_files import Placed, copied_files
from segkit.inspection.fingerprint import Survey, facts_of, survey
from segkit.inspection.input_statistics import measure_input
from segkit.inspection.problems import SHOWN, Problem, decided_by, find_problems, leak, left_out_of
from segkit.task import VOID, Task

PATIENCE = 4.0
"""Seconds after which training is refused for what was found so far."""


class Findings(NamedTuple):
    """What training needs to know of its data."""

    given: InputConfig
    parts: dict[str, Subset]
    """The parts, without what was left out."""
    left_out: int
    warnings: list[Problem]


def check_training_data(
    task: Task,
    parts: Mapping[str, Subset],
    done: Callable[[], None] = lambda: None,
    *,
    flips: bool = True,
    skip_broken: bool = False,
) -> Findings:
    """Read all samples of all parts, call `done` after each, and return the findings.

    Raises `DataError` with every error that `segkit inspect` reports, in the same words. With `skip_broken` samples that
    cannot be read or do not fit are left out instead.
    """
    began = time.monotonic()
    _refuse_copied_files(task, parts)
    patience = max(0.0, PATIENCE - (time.monotonic() - began))
    found = survey(task, parts, done, float("inf") if skip_broken else patience)
    left_out = {(sample.part, sample.name) for sample in found.broken}
    problems = find_problems(task, found, flips, skip_broken)
    problems += left_out_of(parts) + decided_by(parts)
    errors = [problem for problem in problems if problem.level == "error"]
    if errors:
        raise DataError(_refusal(errors, found), errors[0].code)
    kept = {
        part: Subset(subset.source, [name for name in subset.names if (part, name) not in left_out])
        for part, subset in parts.items()
    }
    return Findings(
        measure_input([fact for fact in found.facts if fact.part == "train"], found.facts),
        kept,
        len(left_out),
        problems,
    )


def _refuse_copied_files(task: Task, parts: Mapping[str, Subset]) -> None:
    """Raise `DataError` for copies of files in two parts, as reading them all would, but within seconds.

    Copies of what cannot be used are no leak, and their error is reported when they are read. Blank images are no leak
    either, because they are alike everywhere.
    """
    found = copied_files(parts, PATIENCE)
    usable = [group for group in found[:SHOWN] if _usable(task, group[0])]
    if usable:
        groups = usable + found[SHOWN:]
        unread = Survey([], [], sum(map(len, parts.values())))
        raise DataError(_refusal([leak(groups)], unread), "leak")


def _usable(task: Task, placed: Placed) -> bool:
    try:
        sample = placed.source.read(placed.name)
        target = task.encode(sample.mask, placed.name, void=VOID)
    except DataError:
        return False
    return not facts_of(task, placed.part, sample, target).blank


def _refusal(errors: Sequence[Problem], found: Survey) -> str:
    read = len(found.facts) + len(found.broken)
    stopped = (
        f"\n(stopped after {read} of {found.total} samples; `segkit inspect` reads them all)"
        if read < found.total
        else ""
    )
    return (
        "training would be wrong:\n  " + "\n  ".join(str(problem) for problem in errors) + stopped
    )


def check_split(task: Task, parts: Mapping[str, Subset], found: Survey) -> None:
    """Raise `DataError` if parts split off the training samples would be wrong, such as copies in two of them.

    `found` knows these samples as training; those of parts with files of their own may have the same names.
    """
    source = parts["train"].source
    where = {
        name: part
        for part, subset in parts.items()
        if subset.source is source
        for name in subset.names
    }
    facts = [
        fact._replace(part=where[fact.name]) if fact.part == "train" else fact
        for fact in found.facts
    ]
    problems = find_problems(
        task, found._replace(facts=facts), flips=False, skip_broken=True
    )  # what is broken was told
    errors = [problem for problem in problems if problem.level == "error"]
    if errors:
        raise DataError(_refusal(errors, found), errors[0].code)
