"""Advice in errors about the values of a mask.

A setting without an "if" is right for every mask of these values. Values that can mean several
things get one setting per meaning, or a setting with question marks, which no config accepts.
"""

from __future__ import annotations

from collections.abc import Sequence

from segkit.task import VOID

MANY = 3
"""Up to this number of different values, a setting lists them one by one."""
KNOWN: dict[tuple[int, ...], tuple[str, ...]] = {
    (-1, 0, 1): ("void", "absent", "present"),
    (0, 1, VOID): ("absent", "present", "void"),
    (0, 128, VOID): ("absent", "void", "present"),
}
"""Values with one usual meaning: no file uses -1 for a class, and 128 is unknown in matting."""


def advice_for_values(values: Sequence[int]) -> str:
    """Describe what to do about a yes/no mask with values other than those of yes and no.

    Args:
        values: The different values of the mask, in ascending order.

    Returns:
        One sentence or more.
    """
    names = KNOWN.get(tuple(values))
    if names:
        return f"Set what each value means: {_mapping(values, names)}"
    if len(values) <= MANY:
        return (
            f"The file does not say what each value means. "
            f"Set {_mapping(values, '?' * len(values))}, where each ? is absent, present or "
            f"void (unlabelled). If the values are classes, the task is multiclass"
        )
    return _advice_for_many(values)


def advice_for_mixed(*yes: int) -> str:
    """Describe what to do about masks of 0 and one value, and other masks of 0 and a brighter one.

    Args:
        *yes: The values that stand beside 0.

    Returns:
        One sentence or more.
    """
    dark = min(yes)
    bright = max(yes)
    void = _mapping((0, dark, bright), ("absent", "present", "void"))
    present = _mapping((0, dark, bright), ("absent", "present", "present"))
    return (
        f"The files do not say which is meant. If {bright} is unlabelled, set {void}. "
        f"If {bright} is yes, too, set {present}"
    )


def _advice_for_many(values: Sequence[int]) -> str:
    lowest = values[0]
    highest = values[-1]
    are_consecutive = list(values) == list(range(lowest, highest + 1)) and lowest in (0, 1)
    sentences = []
    if lowest == 0 and (not are_consecutive or highest >= VOID):
        sentences.append(
            f"If the values between 0 and {highest} are the grey of smoothed edges or JPEG, "
            f"data.mask_threshold: {(highest + 1) // 2} reads the brighter half as yes."
        )
    if lowest >= 0:
        sentences.append(
            "If they number single objects of one class, set data.mask_ids: instances."
        )
    sentences.append("If they are class ids, the task is multiclass")
    return " ".join(sentences)


def _mapping(values: Sequence[int], names: Sequence[str]) -> str:
    """Return the setting `data.mask_values` in the form of a config."""
    pairs = ", ".join(f"{value}: {name}" for value, name in zip(values, names, strict=True))
    return f"data.mask_values: {{{pairs}}}"
