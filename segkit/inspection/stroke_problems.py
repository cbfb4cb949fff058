"""Problems of sparse labels, such as strokes: no background, and a canvas that is a class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from segkit.inspection.class_problems import is_background_like
from segkit.inspection.fingerprint import SampleFingerprint
from segkit.inspection.mask_format.strokes import MOST_PAINTED, UNPAINTED
from segkit.inspection.problem import Problem, problem_of
from segkit.task import Task


def find_stroke_problems(task: Task, facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    """Yield the problems of sparse labels in a data set that was read completely.

    Args:
        task: The task.
        facts: The fingerprints of all samples, at least one.
    """
    if task.stores_ids:
        yield from _no_background(task, facts)
        yield from _unpainted_class(task, facts)


def _no_background(task: Task, facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    """Yield a problem if sparse labels of exclusive classes have no pixel of the background."""
    train = [fact for fact in facts if fact.part == "train"]
    labelled = sum(fact.labelled for fact in train)
    is_sparse = 0 < labelled < sum(fact.pixels for fact in train) / 2
    if not is_sparse:
        return
    background = _background_of(task)
    if background is None:
        found = "no class is the background"
        advice = (
            "If one of the classes is the background, name it background. If all other pixels "
            "belong to one of the classes, change nothing"
        )
    else:
        known = sum(fact.known[background] for fact in train)
        present = sum(fact.classes[background] for fact in train)
        if present or known < labelled:
            return
        found = f"the training masks have no pixel of {task.classes[background]}"
        advice = "Check that its colour or value is named in data.mask_colours or data.mask_values"
    objects = [name for index, name in enumerate(task.classes) if index != background]
    message = (
        f"no background strokes: most pixels are unlabelled and {found}, so every pixel will get "
        f"one of the classes {', '.join(objects)}. Draw strokes of the background, too. {advice}"
    )
    yield problem_of("warning", "no-background", message)


def _background_of(task: Task) -> int | None:
    """Return the index of the background, or of a class with a name like it; None if none."""
    if task.background is not None:
        return task.classes.index(task.background)
    for index, name in enumerate(task.classes):
        if is_background_like(name):
            return index
    return None


def _unpainted_class(task: Task, facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    """Yield a problem for a class that covers nearly all of the masks, as a canvas does."""
    if task.channels > MOST_PAINTED:
        return
    for index, name in enumerate(task.classes):
        if _is_canvas(index, facts):
            message = (
                f"{name} covers at least {100 * UNPAINTED:.0f} % of every mask that has it, "
                f"beside two other classes at least, as in strokes of a paint program. If nobody "
                f"painted these pixels, map their value to void (data.mask_values or "
                f"data.mask_colours)"
            )
            yield problem_of("warning", "strokes", message)


def _is_canvas(index: int, facts: Sequence[SampleFingerprint]) -> bool:
    """Return whether a class may be where nobody painted; masks without it are mostly void."""
    having = [fact for fact in facts if fact.classes[index]]
    for fact in facts:
        if not fact.classes[index] and fact.labelled > fact.pixels / 2:
            return False
    for fact in having:
        is_rare = fact.classes[index] < UNPAINTED * fact.labelled
        if is_rare or np.count_nonzero(fact.classes) < 3:
            return False
    # where most pixels of these masks are void, the class was painted
    return any(fact.labelled > fact.pixels / 2 for fact in having)
