"""The verdict: which head the masks need, and the numbers that show it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from segkit.inspection.fingerprint import SampleFingerprint
from segkit.system.terminal import counted
from segkit.task import Task

STRAY = 1e-3
"""Share of the foreground below which an overlap may be an annotation error."""
_ON_TOP = (
    "If one class hides the other where they meet, use a multiclass task and list the classes "
    "from top to bottom (data.on_top)"
)


class Verdict(NamedTuple):
    """Which head the masks need, and why."""

    kind: Literal["binary", "exclusive", "overlapping"]
    task: Task
    """The task to train, with the classes as they are stored."""
    because: str
    """The reason, with its numbers: a sentence without capital letter and full stop."""
    unless: str
    """The facts that would change the verdict: a sentence without full stop."""

    def __str__(self) -> str:
        return f"{self.kind}, so the head is {self.task.head}: {self.because}. {self.unless}."


def judge(task: Task, facts: Sequence[SampleFingerprint], refused: int = 0) -> Verdict:
    """Return the verdict on the masks of a data set.

    Args:
        task: The task that the masks were read with. The layers of a multilabel task may turn
            out to be exclusive.
        facts: The fingerprints of the samples.
        refused: Number of samples of an exclusive task that cannot be used, because their
            classes overlap.
    """
    if refused:
        return _refused_overlaps(task, refused)
    if task.channels == 1:
        return _binary(task, facts)
    if task.stores_ids:
        because = (
            f"in {counted(len(facts), 'image')} each pixel has one of {task.channels} ids, so "
            f"where objects overlap only the upper one is marked"
        )
        partly = _partly_known(task, facts)
        if partly:
            because += f". Some pixels can be one of several classes: {partly}"
        unless = "Masks with one layer per class, which show what lies below, could change this"
        return Verdict("exclusive", task, because, unless)
    if any(fact.overlap for fact in facts):
        return _overlapping(task, facts)
    complete = [fact for fact in facts if _knows_all(fact)]
    if not any(fact.labelled for fact in complete) and len(complete) < len(facts):
        return _unseen_overlaps(task, facts)
    foreground = sum(fact.labelled - fact.nothing for fact in complete)
    because = (
        f"none of the {foreground:,} foreground pixels of {counted(len(complete), 'image')} "
        f"belongs to two of the {task.channels} classes"
    )
    if len(complete) < len(facts):
        because += ". The other images do not say yes or no about all classes"
    unless = "If two classes can overlap in later images, use a multilabel task"
    return Verdict("exclusive", _as_exclusive(task, facts), because, unless)


def _unseen_overlaps(task: Task, facts: Sequence[SampleFingerprint]) -> Verdict:
    because = (
        f"none of {counted(len(facts), 'image')} says yes or no about all {task.channels} classes "
        f"at all labelled pixels, so the masks cannot show whether a pixel may belong to two of "
        f"them"
    )
    unless = (
        "If the classes exclude each other, use a multiclass task: then a pixel of one class also "
        "says that it is no other"
    )
    return Verdict("overlapping", task, because, unless)


def _knows_all(fact: SampleFingerprint) -> bool:
    """Return whether the labelled pixels of an image say yes or no about every class."""
    return bool((fact.known == fact.labelled).all())


def _partly_known(task: Task, facts: Sequence[SampleFingerprint]) -> str:
    """Return in how many images each class is known that is not known in all; "" without one."""
    texts = []
    for index in task.foreground:
        known = sum(bool(fact.known[index] == fact.labelled) for fact in facts)
        if known < len(facts):
            texts.append(f"{task.classes[index]} is known in {known} of {len(facts)} images")
    return ", ".join(texts)


def _refused_overlaps(task: Task, refused: int) -> Verdict:
    labels = Task.multilabel([task.classes[index] for index in task.foreground])
    because = (
        f"in {counted(refused, 'image')}, pixels belong to two classes or more, although "
        f"the task allows only one class per pixel"
    )
    return Verdict("overlapping", labels, because, _ON_TOP)


def _binary(task: Task, facts: Sequence[SampleFingerprint]) -> Verdict:
    name = task.classes[0]
    if not task.implies_background:
        task = Task.binary(name, palette=task.palette)
    pixels = int(sum(fact.classes[0] for fact in facts))
    labelled = sum(fact.labelled for fact in facts)
    because = (
        f"each pixel is {name} or not; {_percent(pixels, labelled)} of the labelled pixels of "
        f"{counted(len(facts), 'image')} are {name}"
    )
    unless = "A second class, in these masks or in later ones, would change this"
    return Verdict("binary", task, because, unless)


def _overlapping(task: Task, facts: Sequence[SampleFingerprint]) -> Verdict:
    foreground = sum(fact.labelled - fact.nothing for fact in facts)
    overlap = sum(fact.overlap for fact in facts)
    images = sum(fact.overlap > 0 for fact in facts)
    because = (
        f"{overlap:,} pixels ({_percent(overlap, foreground)} of the foreground, in {images} of "
        f"{counted(len(facts), 'image')}) belong to two classes or more; exclusive classes would "
        f"have to share the probability of such a pixel"
    )
    if overlap < STRAY * foreground:
        because += ". This share is small, so these pixels may be annotation errors"
    return Verdict("overlapping", task, because, _ON_TOP)


def _as_exclusive(task: Task, facts: Sequence[SampleFingerprint]) -> Task:
    """Return the multiclass task of the layers, with a background if it is needed."""
    classes = list(task.classes)
    if any(fact.nothing for fact in facts) and "background" not in classes:
        classes = ["background", *classes]
    return Task.multiclass(classes, flip_pairs=task.flip_pairs)


def _percent(part: float, whole: float) -> str:
    if not whole:
        return "0 %"
    return f"{100 * part / whole:.3g} %"
