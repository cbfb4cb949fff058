"""From the values stored in a mask file to the mask that `Task.encode` takes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from segkit.errors import ConfigError, DataError
from segkit.task import VOID, Task, values_of

YES_NO = ("absent", "present")


def check_values(mapping: Mapping[int, str], task: Task) -> None:
    """Raise `ConfigError` unless `data.mask_values` maps to this task's classes (absent/present if yes/no) or void."""
    known = [*(task.classes if task.exclusive else YES_NO), "void"]
    wrong = sorted({name for name in mapping.values() if name not in known})
    if wrong:
        raise ConfigError(f"data.mask_values: maps each value to one of {', '.join(known)}; found {', '.join(wrong)}")


def as_ids(raw: np.ndarray, task: Task, mapping: Mapping[int, str] | None, where: str) -> np.ndarray:
    """Return stored values (H, W) as class ids with 255 for void; without a mapping values are ids already."""
    if mapping is None:
        return task.encode(raw, where)
    return _apply(raw, {value: _id(name, task.classes) for value, name in mapping.items()}, where)


def as_yes_no(raw: np.ndarray, mapping: Mapping[int, str] | None, where: str) -> tuple[np.ndarray, int | None]:
    """Return stored values (H, W) as 0/1 with 255 for void, and the value that meant yes (None if it did not occur).

    Without a mapping 0/1 and 0/255 (0/65535 in 16 bits) are read; 1 and 255 in one file are refused, because 255 might
    mean unlabelled.
    """
    if mapping is not None:
        return _apply(raw, {value: _id(name, YES_NO) for value, name in mapping.items()}, where), None
    found = values_of(raw)
    brightest = np.iinfo(raw.dtype).max if np.issubdtype(raw.dtype, np.unsignedinteger) else 255
    for yes in (1, brightest):
        if set(found.tolist()) <= {0, yes}:
            return (raw == yes).astype(np.uint8), yes if yes in found else None
    shown = ", ".join(str(v) for v in found[:8].tolist()) + (", ..." if found.size > 8 else "")
    raise DataError(
        f"{where}: a yes/no mask holds 0 and 1, or 0 and {brightest}; found {found.size} values: {shown}. {_advice(found)}"
    )


def _advice(found: np.ndarray) -> str:
    if found.size > 3:
        return (
            "Grey values between come from smoothed edges or JPEG: data.mask_threshold: 128 takes the brighter half as "
            "yes. If they are class ids, the task is multiclass"
        )
    return (
        "Say what each value means: data.mask_values: "
        f"{{{', '.join(f'{v}: {name}' for v, name in zip(found.tolist(), ('absent', 'present', 'void'), strict=False))}}}"
    )


def _id(name: str, names: tuple[str, ...]) -> int:
    return VOID if name == "void" else names.index(name)


def _apply(raw: np.ndarray, ids: Mapping[int, int], where: str) -> np.ndarray:
    found = values_of(raw)
    wrong = [value for value in found.tolist() if value not in ids]
    if wrong:
        shown = ", ".join(map(str, wrong[:8])) + (", ..." if len(wrong) > 8 else "")
        raise DataError(f"{where}: values that data.mask_values does not name: {shown}; it names {sorted(ids)}")
    result = np.empty(raw.shape, np.uint8)
    for value in found.tolist():
        result[raw == value] = ids[value]
    return result
