"""What an error says to do about the values of a mask: settings that give the right mask, or that nobody can know.

A setting that is proposed without an "if" holds for every mask of these values. Where the values can mean several things,
all of them are named, or the place to fill in is a question mark, which no config takes.
"""

from __future__ import annotations

from collections.abc import Sequence

from segkit.task import VOID

MANY = 3
"""More different values than this are not named one by one."""
KNOWN: dict[tuple[int, ...], tuple[str, ...]] = {
    (-1, 0, 1): ("void", "absent", "present"),
    (0, 1, VOID): ("absent", "present", "void"),
    (0, 128, VOID): ("absent", "void", "present"),
}
"""Values whose meaning is agreed on: no file uses -1 for a class, and matting and segkit write 128 for unknown."""


def advice_for_values(values: Sequence[int]) -> str:
    """Return what to do about a yes/no mask of these values, in ascending order, which are not those of yes and no."""
    names = KNOWN.get(tuple(values))
    if names:
        return f"Say what each value means: {_mapping(values, names)}"
    if len(values) <= MANY:
        return (
            f"Which value means what cannot be seen: {_mapping(values, '?' * len(values))}, where each ? is absent, "
            f"present or void (unlabelled). If they are classes of their own, the task is multiclass"
        )
    return " ".join(_many(values))


def advice_for_mixed(*yes: int) -> str:
    """Return what to do where some masks hold 0 and 1, or another value of yes, and others 0 and a brighter one."""
    bright = max(yes)
    void, present = (
        _mapping((0, min(yes), bright), ("absent", "present", name)) for name in ("void", "present")
    )
    return f"Which is meant cannot be seen. If {bright} is unlabelled: {void}. If it is yes as well: {present}"


def _many(values: Sequence[int]) -> list[str]:
    numbered = list(values) == list(range(values[0], values[-1] + 1)) and values[0] in (0, 1)
    said = []
    if values[0] == 0 and (not numbered or values[-1] >= VOID):
        middle = (values[-1] + 1) // 2
        said.append(
            f"If the values between 0 and {values[-1]} are the grey of smoothed edges or JPEG, data.mask_threshold: "
            f"{middle} takes the brighter half as yes."
        )
    if values[0] >= 0:
        said.append("If they number single objects of one class, say data.mask_ids: instances.")
    said.append("If they are class ids, the task is multiclass")
    return said


def _mapping(values: Sequence[int], names: Sequence[str]) -> str:
    pairs = ", ".join(f"{value}: {name}" for value, name in zip(values, names, strict=True))
    return f"data.mask_values: {{{pairs}}}"
