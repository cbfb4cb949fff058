"""The checks before a training, and the measurement of the `input` section."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from segkit.config import InputConfig
from segkit.data.sources.source import Subset
from segkit.errors import DataError
from segkit.inspection.copy_problems import leak
from segkit.inspection.duplicate_files import Placed, copied_files
from segkit.inspection.fingerprint import Survey, facts_of, survey
from segkit.inspection.input_statistics import measure_input
from segkit.inspection.problem import SHOWN, Problem
from segkit.inspection.problems import decided_by, find_problems, left_out_of
from segkit.task import VOID, Task

PATIENCE = 4.0
"""Seconds after which training is refused for the errors found so far."""


class Findings(NamedTuple):
    """The results of the checks that training needs."""

    input_config: InputConfig
    """The measured `input` section."""
    parts: dict[str, Subset]
    """The parts without the samples that cannot be used."""
    left_out: int
    """Number of samples that cannot be used."""
    warnings: list[Problem]


def check_training_data(
    task: Task,
    parts: Mapping[str, Subset],
    progress: Callable[[], None] = lambda: None,
    *,
    flips: bool = True,
    skip_broken: bool = False,
) -> Findings:
    """Read all samples, and refuse the data if `segkit inspect` reports an error.

    Args:
        task: The task to train.
        parts: The samples of each part.
        progress: Called after each sample.
        flips: Whether training mirrors images.
        skip_broken: Whether samples that cannot be used are left out instead of refused.

    Raises:
        DataError: All errors, with the messages of `segkit inspect`.
    """
    found = survey_for_training(task, parts, progress, skip_broken=skip_broken)
    return judge_for_training(task, parts, found, flips=flips, skip_broken=skip_broken)


def survey_for_training(
    task: Task,
    parts: Mapping[str, Subset],
    progress: Callable[[], None] = lambda: None,
    *,
    skip_broken: bool = False,
    divided: Sequence[str] = (),
) -> Survey:
    """Read all samples; stop early if training will be refused.

    Args:
        task: The task to train.
        parts: The samples of each part.
        progress: Called after each sample.
        skip_broken: Whether samples that cannot be used are left out instead of refused.
        divided: The parts among which segkit divides samples itself. Copies in two of them are no
            reason to stop, because `keep_copies_together` puts them into one part.

    Raises:
        DataError: If the same file is in two parts.
    """
    began = time.monotonic()
    _refuse_copied_files(task, parts, divided)
    patience = max(0.0, PATIENCE - (time.monotonic() - began))
    if skip_broken:
        patience = float("inf")
    return survey(task, parts, progress, patience)


def judge_for_training(
    task: Task,
    parts: Mapping[str, Subset],
    found: Survey,
    *,
    flips: bool = True,
    skip_broken: bool = False,
) -> Findings:
    """Refuse data if `segkit inspect` reports an error.

    Args:
        task: The task to train.
        parts: The samples of each part.
        found: Their fingerprints.
        flips: Whether training mirrors images.
        skip_broken: Whether samples that cannot be used are left out instead of refused.

    Raises:
        DataError: All errors, with the messages of `segkit inspect`.
    """
    problems = find_problems(task, found, flips, skip_broken)
    problems += left_out_of(parts) + decided_by(parts)
    refuse_errors(problems, found)
    train = [fact for fact in found.facts if fact.part == "train"]
    return Findings(
        input_config=measure_input(train, found.facts),
        parts=_usable_parts(parts, found),
        left_out=len({(sample.part, sample.name) for sample in found.broken}),
        warnings=problems,
    )


def _usable_parts(parts: Mapping[str, Subset], found: Survey) -> dict[str, Subset]:
    unusable = {(sample.part, sample.name) for sample in found.broken}
    usable = {}
    for part, subset in parts.items():
        names = [name for name in subset.names if (part, name) not in unusable]
        usable[part] = Subset(subset.source, names)
    return usable


def _refuse_copied_files(task: Task, parts: Mapping[str, Subset], divided: Sequence[str]) -> None:
    """Raise `DataError` for equal image files in two parts of the user, within seconds.

    All parts that segkit divides itself count as one.

    Equal files that cannot be used are not a leak; reading the samples reports their error. Blank
    images are not a leak either, because all blank images are alike.
    """
    found = copied_files(parts, PATIENCE)
    found = [group for group in found if not {placed.part for placed in group} <= set(divided)]
    usable = [group for group in found[:SHOWN] if _is_usable(task, group[0])]
    if usable:
        unread = Survey([], [], sum(map(len, parts.values())))
        refuse_errors([leak(usable + found[SHOWN:])], unread)


def _is_usable(task: Task, placed: Placed) -> bool:
    try:
        sample = placed.source.read(placed.name)
        target = task.encode(sample.mask, placed.name, void=VOID)
    except DataError:
        return False
    return not facts_of(task, placed.part, sample, target).blank


def refuse_errors(problems: Sequence[Problem], found: Survey) -> None:
    """Raise `DataError` with all errors among the problems, if there is one."""
    errors = [problem for problem in problems if problem.level == "error"]
    if not errors:
        return
    lines = ["training would be wrong:"]
    lines += [f"  {problem}" for problem in errors]
    samples_read = len(found.facts) + len(found.broken)
    if samples_read < found.total:
        lines.append(
            f"(stopped after {samples_read} of {found.total} samples; `segkit inspect` reads them "
            f"all)"
        )
    raise DataError("\n".join(lines), errors[0].code)


def check_split(task: Task, found: Survey) -> None:
    """Check parts into which samples were divided after they were read, for example for copies.

    Args:
        task: The task to train.
        found: The fingerprints with the new parts.

    Raises:
        DataError: Training with these parts would be wrong.
    """
    # the survey of all samples has reported the broken ones already
    problems = find_problems(task, found, flips=False, skip_broken=True)
    refuse_errors(problems, found)
