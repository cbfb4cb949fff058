"""The checks of images without masks before a training (`train.unlabelled`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from segkit.data.sources.source import Subset
from segkit.inspection.copy_problems import leak
from segkit.inspection.fingerprint import SampleFingerprint, survey
from segkit.inspection.near_duplicates import near_pairs, same_images
from segkit.inspection.problem import Problem, problem_of
from segkit.inspection.problems import broken_samples, left_out_of
from segkit.inspection.training_check import PATIENCE, refuse_errors
from segkit.task import Task

PART = "unlabelled"
"""Name of the images without masks, beside the parts of the data."""
HELD_OUT = ("validation", "test")
"""The parts that must not teach."""


def check_unlabelled_images(
    task: Task,
    images: Subset,
    facts: Sequence[SampleFingerprint],
    progress: Callable[[], None] = lambda: None,
    *,
    skip_broken: bool = False,
) -> tuple[Subset, list[Problem]]:
    """Read all images without masks, and look for copies of images of the other parts.

    An image of the validation or test part is an error, because scores would be too good. Images
    of the training part may be among them.

    Args:
        task: The task of the network.
        images: The images.
        facts: The fingerprints of the samples of all parts.
        progress: Called after each image.
        skip_broken: Whether images that cannot be used are left out instead of refused.

    Returns:
        The images that can be used, and the warnings.

    Raises:
        DataError: All errors.
    """
    found = survey(task, {PART: images}, progress, float("inf") if skip_broken else PATIENCE)
    problems = broken_samples(found, skip_broken)
    held_out = [fact for fact in facts if fact.part in HELD_OUT]
    problems += _copies([*held_out, *found.facts])
    problems += left_out_of({PART: images})
    refuse_errors(problems, found)
    unusable = {sample.name for sample in found.broken}
    names = [name for name in images.names if name not in unusable]
    return Subset(images.source, names), problems


def _copies(facts: Sequence[SampleFingerprint]) -> list[Problem]:
    """Return the problems of equal, and of nearly equal, images without masks and held out."""
    equal = []
    for group in same_images(facts):
        if _is_leak(group) and not group[0].blank:
            equal.append(group)
    problems = []
    if equal:
        problems.append(leak(equal))
    near = []
    for one, other in near_pairs(facts):
        if _is_leak((one, other)):
            near.append(f"{one.name} ({one.part}) ~ {other.name} ({other.part})")
    if near:
        message = (
            f"images of train.unlabelled look nearly the same as held-out ones: {near[0]}. If they "
            f"are copies, or neighbours in one series, remove them from the folder; otherwise the "
            f"scores will be too good"
        )
        problems.append(problem_of("warning", "near-leak", message, near))
    return problems


def _is_leak(facts: Sequence[SampleFingerprint]) -> bool:
    """Return whether one of the images has no mask and another one is held out."""
    parts = {fact.part for fact in facts}
    return PART in parts and len(parts) > 1
