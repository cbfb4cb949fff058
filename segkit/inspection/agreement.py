"""How much several annotators of the same images agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segkit.inspection.fingerprint import SampleFingerprint
from segkit.task import Task


@dataclass(frozen=True)
class AgreementSummary:
    """How much annotators agree."""

    images: int
    """Number of images with the masks of two annotators or more."""
    annotators: list[int]
    """The least and the largest number of annotators of an image."""
    dice: dict[str, float | None]
    """Dice of two annotators by class: twice their common pixels, summed over all pairs and images,
    divided by the sum of both sizes; None if nobody marked the class."""


def summarize_agreement(task: Task, facts: Sequence[SampleFingerprint]) -> AgreementSummary | None:
    """Return how much annotators agree; None if no image has the masks of two of them.

    Args:
        task: The task of the masks.
        facts: The fingerprints of the samples.
    """
    several = [fact.agreement for fact in facts if fact.annotators > 1]
    if not several:
        return None
    numbers = [fact.annotators for fact in facts if fact.annotators]
    common, sizes = np.sum([counts for counts in several if counts is not None], axis=0)
    dice: dict[str, float | None] = {}
    for label in task.foreground:
        value = None
        if sizes[label]:
            value = round(float(common[label] / sizes[label]), 6)
        dice[task.classes[label]] = value
    return AgreementSummary(len(several), [min(numbers), max(numbers)], dice)


def agreement_line(found: AgreementSummary) -> str:
    """Return one line about the agreement of annotators."""
    texts = []
    for name, value in found.dice.items():
        text = "is marked nowhere" if value is None else f"{value:.3f}"
        texts.append(f"{name} {text}")
    fewest, most = found.annotators
    numbers = f"{fewest} to {most}" if fewest < most else str(most)
    return (
        f"{numbers} per image; Dice of two of them, over all pairs and {found.images} images: "
        f"{', '.join(texts)}"
    )
