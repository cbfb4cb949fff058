"""Problems of equal and nearly equal images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from segkit.inspection.duplicate_files import Placed
from segkit.inspection.fingerprint import SampleFingerprint
from segkit.inspection.near_duplicates import near_pairs, same_images
from segkit.inspection.problem import Problem, problem_of
from segkit.io.films.frames import of_one_film
from segkit.io.plane_addresses import of_one_stack
from segkit.io.scans.slices import of_one_volume

OF_ONE_FILE = (of_one_volume, of_one_stack, of_one_film)
"""Functions that say whether two names are those of slices, planes or frames of one file."""


def find_copies(facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    """Yield the problems of equal images, and then those of nearly equal ones.

    An image in two parts is an error, because the scores would be too good. Blank images are left
    out, because all blank images are alike.
    """
    across: list[list[SampleFingerprint]] = []
    within: list[str] = []
    for group in same_images(facts):
        if group[0].blank:
            continue
        if len({fact.part for fact in group}) > 1:
            across.append(group)
        else:
            within.append(_equal_names(group))
    if across:
        yield leak(across)
    if within:
        message = (
            f"an image occurs more than once: {within[0]}. Remove the copies, unless you want "
            f"this image to weigh more"
        )
        yield problem_of("warning", "duplicates", message, within)
    yield from _near_copies(facts)


def leak(groups: Sequence[Sequence[SampleFingerprint | Placed]]) -> Problem:
    """Return the error that images are in two parts.

    Args:
        groups: Samples with equal images, one group or more.
    """
    names = [_equal_names(group) for group in groups]
    message = (
        f"the same image is in two parts, so the scores would be too good: {names[0]}. Remove it "
        f"from one of them"
    )
    return problem_of("error", "leak", message, names)


def _equal_names(group: Sequence[SampleFingerprint | Placed]) -> str:
    """Return the first names, with one of each part."""
    first_of_part: dict[str, SampleFingerprint | Placed] = {}
    for sample in group:
        first_of_part.setdefault(sample.part, sample)
    shown = list(first_of_part.values())
    if len(shown) == 1:
        shown = list(group[:3])
    return " = ".join(f"{sample.name} ({sample.part})" for sample in shown)


def _near_copies(facts: Sequence[SampleFingerprint]) -> Iterator[Problem]:
    across: list[str] = []
    within: list[str] = []
    for one, other in near_pairs(facts):
        if any(together(one.name, other.name) for together in OF_ONE_FILE):
            continue  # neighbours are alike, and every split keeps them together
        pair = f"{one.name} ({one.part}) ~ {other.name} ({other.part})"
        if one.part == other.part:
            within.append(pair)
        else:
            across.append(pair)
    if across:
        message = (
            f"images in two parts look nearly the same: {across[0]}. If they are copies, or "
            f"neighbours in one series, put them into one part (data.groups); otherwise the scores "
            f"will be too good"
        )
        yield problem_of("warning", "near-leak", message, across)
    if within:
        message = (
            f"images in one part look nearly the same: {within[0]}. Remove copies. If they are "
            f"neighbours in one series, keep the series in one part when you split the data "
            f"(data.groups); otherwise the scores will be too good"
        )
        yield problem_of("warning", "near-duplicates", message, within)
