"""Converts the values that a mask file stores to class ids, or to 0 and 1 in a yes/no mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from segkit.config import DataConfig
from segkit.data.sources.mask_advice import advice_for_mixed, advice_for_values
from segkit.data.sources.palettes import is_black_and_white
from segkit.errors import ConfigError, DataError
from segkit.task import VOID, Task, values_of
from segkit.task.meanings import meant, value_of
from segkit.task.sets import Meaning, in_words

MOST_LISTED = 8
"""Values that a message lists at most."""
Stored = TypeVar("Stored")
"""A value or colour that a file stores at a pixel."""


def check_mapped_names(
    mapping: Mapping[Stored, Meaning], task: Task, setting: str = "mask_values"
) -> None:
    """Check the names of a mapping from stored values to classes.

    Args:
        mapping: What each stored value means: a class (absent or present in a yes/no mask), void,
            a parent, "not NAME", or several classes.
        task: The task of the mask file.
        setting: The setting of `data` that contains the mapping.

    Raises:
        ConfigError: If the mapping is empty or contains another name.
    """
    if not mapping:
        raise ConfigError(
            "must name at least one value or colour; otherwise leave out the setting",
            "missing-setting",
            setting=f"data.{setting}",
        )
    unknown = []
    for meaning in dict.fromkeys(mapping.values()):
        if meant(task, meaning) is None:
            unknown.append(in_words(meaning))
    if unknown:
        known = [*task.named_values, *task.parents, "void"]
        raise ConfigError(
            f'each one must be one of {", ".join(known)}, a list of them, or "not NAME"; found '
            f"{', '.join(sorted(unknown))}",
            "unknown-name",
            setting=f"data.{setting}",
        )


def check_other_values(data: DataConfig) -> None:
    """Raise `ConfigError` if other values are void, but no setting names values."""
    if data.others_void and data.mask_values is None and data.mask_colours is None:
        raise ConfigError(
            "is about the values that data.mask_values or data.mask_colours does not name; set one "
            "of them",
            "missing-setting",
            setting="data.other_values",
        )


def values_by_name(mapping: Mapping[Stored, Meaning], task: Task) -> dict[Stored, int]:
    """Return the mask value of each stored value.

    Args:
        mapping: What each stored value means, after `check_mapped_names`.
        task: The task of the mask file.

    Returns:
        The value of a class, or of a set of classes; "void" becomes VOID (255).

    Raises:
        ConfigError: If the task lacks a set; `segkit.config.sets.task_for` adds them.
    """
    return {stored: value_of(task, meant(task, name) or ()) for stored, name in mapping.items()}


def as_ids(
    raw: np.ndarray,
    task: Task,
    mapping: Mapping[int, Meaning] | None,
    where: str,
    others_void: bool = False,
) -> np.ndarray:
    """Convert stored values to class ids.

    Args:
        raw: The stored values, (H, W), an integer dtype.
        task: The task of the mask file.
        mapping: What each value means (`data.mask_values`); None if values are class ids already.
        where: The file, for messages.
        others_void: Whether values that the mapping does not name are void, instead of an error.

    Returns:
        (H, W) uint8: class ids, and 255 for void.

    Raises:
        DataError: If a value has no meaning.
    """
    if mapping is None:
        return task.without_sets.encode(raw, where)
    return _apply(raw, values_by_name(mapping, task), where, others_void)


def as_yes_no(
    raw: np.ndarray,
    task: Task,
    mapping: Mapping[int, Meaning] | None,
    where: str,
    palette: np.ndarray | None = None,
    others_void: bool = False,
) -> tuple[np.ndarray, int | None]:
    """Convert the stored values of a yes/no mask.

    Without a mapping 0 means no; 1, 255 or, in 16 bits, 65535 means yes. A file with both 1 and 255
    is refused, because 255 might mean unlabelled. With a palette of black and white, white means
    yes.

    Args:
        raw: The stored values, (H, W), an integer dtype.
        task: The task of the mask file.
        mapping: What each value means (`data.mask_values`), or None.
        where: The file, for messages.
        palette: Colours (N, 3) uint8 of the values, or None.
        others_void: Whether values that the mapping does not name are void, instead of an error.

    Returns:
        (H, W) uint8: 0, 1, and 255 for void. The value that means yes; None if it does not occur,
        or if the mapping or the palette decides.

    Raises:
        DataError: If a value has no meaning.
    """
    if mapping is not None:
        return _apply(raw, values_by_name(mapping, task), where, others_void), None
    if palette is not None and is_black_and_white(raw, palette):
        return (palette[raw][..., 0] > 0).astype(np.uint8), None
    found = values_of(raw)
    for yes in yes_values(raw.dtype):
        if set(found.tolist()) <= {0, yes}:
            occurring = yes if yes in found else None
            return (raw == yes).astype(np.uint8), occurring
    raise _not_yes_no(found.tolist(), yes_values(raw.dtype), where)


def _not_yes_no(found: Sequence[int], allowed: Sequence[int], where: str) -> DataError:
    pairs = ", or ".join(f"0 and {yes}" for yes in allowed)
    return DataError(
        f"{where}: a yes/no mask contains {pairs}; "
        f"found {len(found)} values: {_list_values(found)}. {advice_for_values(found)}",
        "mask-values" if len(found) <= 3 else "mask-soft-edges",
    )


def yes_values(dtype: np.dtype[Any]) -> tuple[int, ...]:
    """Return the values that may mean yes in a mask of this dtype, where 0 means no.

    >>> yes_values(np.dtype(np.uint8)), yes_values(np.dtype(np.uint16))
    ((1, 255), (1, 255, 65535))
    """
    brightest = int(np.iinfo(dtype).max) if dtype.kind == "u" else VOID
    return tuple(dict.fromkeys((1, VOID, brightest)))


def objects_as_class(raw: np.ndarray, where: str) -> np.ndarray:
    """Convert numbers of single objects to one class.

    Args:
        raw: The numbers, (H, W), an integer dtype; 0 is no object.
        where: The file, for messages.

    Returns:
        (H, W) uint8: 1 where the number is above 0, else 0.

    Raises:
        DataError: If a number is negative.
    """
    if raw.min(initial=0) < 0:
        raise DataError(
            f"{where}: objects are numbered from 1, and 0 is no object; found {int(raw.min())}. "
            f"Set data.mask_values to the meaning of each value instead of data.mask_ids",
            "mask-values",
        )
    return (raw > 0).astype(np.uint8)


def check_mask_ids(data: DataConfig, task: Task) -> None:
    """Raise `ConfigError` if masks number the objects of one class, but the task stores classes."""
    if data.mask_ids == "instances" and task.stores_ids:
        raise ConfigError(
            "instances are objects of one class, so the task must be binary (task.kind: binary); "
            f"found a task of {len(task.classes)} classes",
            "not-for-task",
            setting="data.mask_ids",
        )


class YesNo:
    """Converts the yes/no masks of one data set, in which one value means yes everywhere.

    If some masks contain 0 and 1, 255 may mean unlabelled in a mask of 0 and 255, so a mask with
    another value for yes than the ones before is refused.

    Args:
        task: The task of the mask files.
        mapping: What each value means (`data.mask_values`), or None.
        instances: Whether the masks number single objects, so that every number above 0 means yes.
        others_void: Whether values that the mapping does not name are void, instead of an error.
    """

    def __init__(
        self,
        task: Task,
        mapping: Mapping[int, Meaning] | None,
        instances: bool = False,
        others_void: bool = False,
    ) -> None:
        self.task = task
        self.mapping = mapping
        self.instances = instances
        self.others_void = others_void
        self._first: tuple[int, str] | None = None

    @property
    def yes(self) -> int | None:
        """The value that meant yes so far; None if none did, or if a mapping decides."""
        return self._first[0] if self._first else None

    def __call__(
        self, raw: np.ndarray, where: str, palette: np.ndarray | None = None
    ) -> np.ndarray:
        """Convert one mask, by `as_yes_no` or `objects_as_class`.

        Args:
            raw: The stored values, (H, W), an integer dtype.
            where: The file, for messages.
            palette: Colours (N, 3) uint8 of the values, or None.

        Returns:
            (H, W) uint8: 0, 1, and 255 for void.

        Raises:
            DataError: If a value has no meaning, or if another value meant yes in an earlier mask.
        """
        if self.instances:
            return objects_as_class(raw, where)
        mask, yes = as_yes_no(raw, self.task, self.mapping, where, palette, self.others_void)
        if yes is None:
            return mask
        if self._first is None:
            self._first = (yes, where)
        first_yes, first_file = self._first
        if first_yes != yes:
            raise DataError(
                f"{where}: yes is {yes} here and {first_yes} in {first_file}. "
                f"{advice_for_mixed(yes, first_yes)}",
                "mask-values",
            )
        return mask


def _apply(raw: np.ndarray, values: Mapping[int, int], where: str, others_void: bool) -> np.ndarray:
    """Return the mask value of each stored value."""
    found = values_of(raw).tolist()
    unknown = [value for value in found if value not in values]
    if unknown and not others_void:
        raise DataError(
            f"{where}: values that data.mask_values does not name: {_list_values(unknown)}; "
            f"it names {sorted(values)}. Name them, too, or set data.other_values: void if their "
            f"pixels are unlabelled",
            "mask-values",
        )
    result = np.empty(raw.shape, np.uint8)
    for value in found:
        result[raw == value] = values.get(value, VOID)
    return result


def _list_values(values: Sequence[int]) -> str:
    listed = [str(value) for value in values[:MOST_LISTED]]
    if len(values) > MOST_LISTED:
        listed.append("...")
    return ", ".join(listed)
