"""What a pixel can be, judged from the masks: which head, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from segkit.inspection.fingerprint import SampleFingerprint
from segkit.task import Task

STRAY = 1e-3
"""Share of the foreground up to which an overlap may be a slip of the annotator, and is said to be small."""


_ON_TOP = "If one class hides the other where they meet, say multiclass and name them from top to bottom (data.on_top)"


class Verdict(NamedTuple):
    """The answer to "which head do I need?", with the numbers behind it."""

    kind: Literal["binary", "exclusive", "overlapping"]
    task: Task
    """The task to train, with the classes as they are stored."""
    because: str
    unless: str
    """What would change this verdict."""

    def __str__(self) -> str:
        return f"{self.kind}, hence {self.task.head}, because {self.because}. {self.unless}."


def judge(task: Task, facts: Sequence[SampleFingerprint], refused: int = 0) -> Verdict:
    """Return the verdict on masks that were read as `task`: layers of a multilabel task may turn out to be exclusive.

    `refused` samples of an exclusive task could not be read, because their classes overlap.
    """
    if refused:
        labels = Task.multilabel([task.classes[i] for i in task.foreground])
        because = f"in {refused} images pixels belong to two classes or more, though the task says that exactly one holds"
        return Verdict("overlapping", labels, because, _ON_TOP)
    held = sum(fact.labelled - fact.nothing for fact in facts)
    images = f"{len(facts)} images"
    if task.channels == 1:
        task = (
            task if task.implies_background else Task.binary(task.classes[0], palette=task.palette)
        )
        pixels = int(sum(fact.classes[0] for fact in facts))
        labelled = sum(fact.labelled for fact in facts)
        because = f"a pixel is {task.classes[0]} or not: {_percent(pixels, labelled)} of the pixels of {images} are"
        return Verdict(
            "binary",
            task,
            because,
            "A second class, in the masks or in images to come, would change it",
        )
    if task.stores_ids:
        because = f"the masks hold one of {task.channels} ids at each pixel, so one class of {images} hides the others"
        unless = "Masks that show what lies below, one layer a class, would change it"
        return Verdict("exclusive", task, because, unless)
    overlap, both = sum(fact.overlap for fact in facts), sum(fact.overlap > 0 for fact in facts)
    if overlap:
        small = ", a small share that may be slips of the pen;" if overlap < STRAY * held else ";"
        because = (
            f"{overlap:,} pixels ({_percent(overlap, held)} of the foreground, in {both} of {images}) belong to two classes "
            f"or more{small} if they shared one probability, each would get a part of it"
        )
        return Verdict("overlapping", task, because, _ON_TOP)
    because = f"none of the {held:,} foreground pixels of {images} belongs to two of the {task.channels} classes"
    unless = "If two classes may hold together in images to come, say multilabel"
    return Verdict("exclusive", _as_exclusive(task, facts), because, unless)


def _as_exclusive(task: Task, facts: Sequence[SampleFingerprint]) -> Task:
    """Return the layers as classes that exclude each other, with a background if a pixel may have none."""
    nothing = any(fact.nothing for fact in facts) and "background" not in task.classes
    return Task.multiclass(
        [*(["background"] if nothing else []), *task.classes], flip_pairs=task.flip_pairs
    )


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.3g} %" if whole else "0 %"
