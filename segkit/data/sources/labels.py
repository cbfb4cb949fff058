"""From what a mask file stores (values, colours, a layer a class) to the mask that `Task.encode` takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from segkit.config import DataConfig
from segkit.data.sources.mask_advice import advice_for_mixed, advice_for_values
from segkit.errors import ConfigError, DataError
from segkit.task import VOID, Task, values_of
from segkit.task.layers import stack_layers

WHITE = 0xFFFFFF
Stored = TypeVar("Stored")
"""What a file stores at a pixel."""


def check_mapped_names(
    mapping: Mapping[Stored, str], task: Task, setting: str = "mask_values"
) -> None:
    """Raise `ConfigError` unless a mapping names this task's classes (absent/present if yes/no) or void."""
    if not mapping:
        raise ConfigError(
            "names nothing; give at least one, or leave the setting out",
            "missing-setting",
            setting=f"data.{setting}",
        )
    known = [*task.named_values, "void"]
    wrong = sorted({name for name in mapping.values() if name not in known})
    if wrong:
        raise ConfigError(
            f"maps each one to one of {', '.join(known)}; found {', '.join(wrong)}",
            "unknown-name",
            setting=f"data.{setting}",
        )


def values_by_name(mapping: Mapping[Stored, str], task: Task) -> dict[Stored, int]:
    """Return the value in a mask that each name of a mapping stands for, VOID for "void"."""
    values = {**task.named_values, "void": VOID}
    return {stored: values[name] for stored, name in mapping.items()}


def as_ids(
    raw: np.ndarray, task: Task, mapping: Mapping[int, str] | None, where: str
) -> np.ndarray:
    """Return stored values (H, W) as class ids with 255 for void; without a mapping values are ids already."""
    if mapping is None:
        return task.encode(raw, where)
    return _apply(raw, values_by_name(mapping, task), where)


def as_yes_no(
    raw: np.ndarray,
    task: Task,
    mapping: Mapping[int, str] | None,
    where: str,
    palette: np.ndarray | None = None,
) -> tuple[np.ndarray, int | None]:
    """Return stored values (H, W) as 0/1 with 255 for void, and the value that meant yes (None if it did not occur).

    Without a mapping 0/1 and 0/255 (in 16 bits also 0/65535) are read; 1 and 255 in one file are refused, because 255
    might mean unlabelled. Indices of a palette (N, 3) of black and white mean yes where they are white.
    """
    if mapping is not None:
        return _apply(raw, values_by_name(mapping, task), where), None
    if palette is not None and is_black_and_white(raw, palette):
        return (palette[raw][..., 0] > 0).astype(np.uint8), None
    found = values_of(raw)
    for yes in yes_values(raw.dtype):
        if set(found.tolist()) <= {0, yes}:
            return (raw == yes).astype(np.uint8), yes if yes in found else None
    shown = ", ".join(str(v) for v in found[:8].tolist()) + (", ..." if found.size > 8 else "")
    allowed = ", or ".join(f"0 and {yes}" for yes in yes_values(raw.dtype))
    raise DataError(
        f"{where}: a yes/no mask holds {allowed}; found {found.size} values: {shown}. {advice_for_values(found.tolist())}",
        "mask-values" if found.size <= 3 else "mask-soft-edges",
    )


def yes_values(dtype: np.dtype[Any]) -> tuple[int, ...]:
    """Return the values that mean yes beside 0 in a mask of this type.

    >>> yes_values(np.dtype(np.uint8)), yes_values(np.dtype(np.uint16))
    ((1, 255), (1, 255, 65535))
    """
    brightest = int(np.iinfo(dtype).max) if dtype.kind == "u" else VOID
    return tuple(dict.fromkeys((1, VOID, brightest)))


def as_object(raw: np.ndarray, where: str) -> np.ndarray:
    """Return numbers of single objects (H, W) as 0/1: every number above 0 is the object."""
    if raw.min(initial=0) < 0:
        raise DataError(
            f"{where}: objects are numbered from 1 on, and 0 is no object; found {int(raw.min())}. Say what the values "
            f"mean with data.mask_values instead of data.mask_ids",
            "mask-values",
        )
    return (raw > 0).astype(np.uint8)


def check_mask_ids(data: DataConfig, task: Task) -> None:
    """Raise `ConfigError` if `data.mask_ids` says that numbers are objects of one class, and the task stores classes."""
    if data.mask_ids == "instances" and task.stores_ids:
        raise ConfigError(
            "instances are objects of one class, so the task is binary (task.kind: binary); found a task of "
            f"{len(task.classes)} classes",
            "not-for-task",
            setting="data.mask_ids",
        )


class YesNo:
    """Reads yes/no masks of one data set, in which the same value means yes everywhere.

    Where some masks are 0/1, one of 0 and 255 may have no object and 255 for unlabelled, so it is refused.
    """

    def __init__(
        self, task: Task, mapping: Mapping[int, str] | None, instances: bool = False
    ) -> None:
        self.task, self.mapping, self.instances = task, mapping, instances
        self._first: tuple[int, str] | None = None

    @property
    def yes(self) -> int | None:
        """The value that meant yes so far; None if none did, or if a mapping says what values mean."""
        return self._first[0] if self._first else None

    def __call__(
        self, raw: np.ndarray, where: str, palette: np.ndarray | None = None
    ) -> np.ndarray:
        """Return stored values (H, W) as `as_yes_no` does, or as `as_object` if they number single objects."""
        if self.instances:
            return as_object(raw, where)
        mask, yes = as_yes_no(raw, self.task, self.mapping, where, palette)
        if yes is None:
            return mask
        if self._first is None:
            self._first = (yes, where)
        if self._first[0] != yes:
            raise DataError(
                f"{where}: yes is {yes} here and {self._first[0]} in {self._first[1]}. "
                f"{advice_for_mixed(yes, self._first[0])}",
                "mask-values",
            )
        return mask


class Palettes:
    """Compares the palettes of one data set's mask files: an index is one class only if it has one colour everywhere."""

    def __init__(self, yes_no: bool) -> None:
        self.yes_no = yes_no
        self._first: dict[int, tuple[int, str]] = {}

    def check(self, raw: np.ndarray, palette: np.ndarray | None, where: str) -> None:
        """Raise `DataError` if an index of these values (H, W) has another colour than in a file before.

        In yes/no masks, also if black is not the first of two colours, because index 0 means no.
        """
        if palette is None:
            return
        colours = used_colours(raw, palette)
        for index, colour in colours.items():
            first = self._first.setdefault(index, (colour, where))
            if first[0] != colour:
                raise DataError(
                    f"{where}: index {index} of the palette is #{colour:06x} here and #{first[0]:06x} in {first[1]}, so "
                    f"indices are no class ids. Say what each colour means with data.mask_colours",
                    "mask-palette",
                )
        if self.yes_no and colours.get(0) not in (None, 0) and 0 in colours.values():
            raise DataError(
                f"{where}: index 0 of the palette is #{colours[0]:06x}, and black comes after it; index 0 would be read as "
                f"no. Say what each colour means with data.mask_colours",
                "mask-palette",
            )


def used_colours(raw: np.ndarray, palette: np.ndarray) -> dict[int, int]:
    """Return the packed colour 0xrrggbb of each index that occurs.

    >>> used_colours(np.array([[1, 0]], np.uint8), np.array([[0, 0, 0], [255, 0, 0]], np.uint8))
    {0: 0, 1: 16711680}
    """
    found = values_of(raw)
    red, green, blue = palette[found].astype(int).T
    return dict(zip(found.tolist(), (red << 16 | green << 8 | blue).tolist(), strict=True))


def is_black_and_white(raw: np.ndarray, palette: np.ndarray) -> bool:
    """Return whether all indices (H, W) that occur are black or white."""
    return set(used_colours(raw, palette).values()) <= {0, WHITE}


def check_on_top(on_top: Sequence[str] | None, task: Task) -> None:
    """Raise `ConfigError` unless `data.on_top` names classes of the task."""
    if not set(on_top or ()) <= set(task.classes):
        raise ConfigError(
            f"names of {', '.join(task.classes)}; found {', '.join(on_top or ())}",
            "unknown-name",
            setting="data.on_top",
        )


def from_colours(
    rgb: np.ndarray, task: Task, mapping: Mapping[str, str], tolerance: int, where: str
) -> np.ndarray:
    """Return colours (H, W, 3) uint8 as ids, or as 0/1 in a binary task, with 255 for void.

    A colour that the mapping ("#rrggbb" to name) does not hold counts as the nearest one whose channels differ by at
    most `tolerance`. Raises `DataError` listing the other colours with their pixels.
    """
    packed = (
        (rgb[..., 0].astype(np.int32) << 16) | (rgb[..., 1].astype(np.int32) << 8) | rgb[..., 2]
    )
    named = values_by_name({int(colour[1:], 16): name for colour, name in mapping.items()}, task)
    result, known = np.zeros(packed.shape, np.uint8), np.zeros(packed.shape, bool)
    for colour, value in named.items():
        same = packed == colour
        result[same] = value
        known |= same
    if known.all():
        return result
    others, pixels = np.unique(packed[~known], return_counts=True)
    distance = np.abs(_channels(others)[:, None] - _channels(np.array(list(named)))).max(-1)
    far = distance.min(1) > tolerance
    if far.any():
        raise DataError(
            _unknown_colours(others[far], pixels[far], mapping, tolerance, where), "mask-colours"
        )
    nearest = np.array(list(named.values()), np.uint8)[distance.argmin(1)]
    result[~known] = nearest[np.searchsorted(others, packed[~known])]
    return result


def from_layers(
    layers: Mapping[str, np.ndarray], task: Task, on_top: Sequence[str] | None, where: str
) -> np.ndarray:
    """Return the mask of one 0/1 layer (H, W) a class, 255 for void, by the names of the classes.

    A class without a layer occurs nowhere. A multilabel mask stacks the layers, a binary one is its only layer. In an
    exclusive task a pixel of no layer is background; where layers overlap the first in `on_top` wins. Raises `DataError`
    for an overlap that `on_top` does not decide, and for a pixel of no layer where the task has no background.
    """
    on_top = on_top or ()
    if not task.can_overlap and len(layers) > 1:
        inside = np.stack(list(layers.values())) == 1
        _check_overlaps(inside, list(layers), on_top, where)
    if not task.can_be_nothing and not np.any(list(layers.values()), axis=0).all():
        raise DataError(
            f"{where}: pixels of no class, and the task has no background to give them; add a class called background",
            "mask-values",
        )
    order = [name for name in layers if name not in on_top] + [
        name for name in reversed(on_top) if name in layers
    ]
    return stack_layers(task, {name: layers[name] for name in order})


def _check_overlaps(
    inside: np.ndarray, names: list[str], on_top: Sequence[str], where: str
) -> None:
    """Overlaps are decided if at most one of the classes at a pixel is not in `on_top`."""
    undecided = inside[[name not in on_top for name in names]]
    both = (undecided.sum(0, dtype=np.uint16) > 1) if len(undecided) else np.zeros(1, bool)
    if both.any():
        pixel = np.unravel_index(int(both.argmax()), both.shape)
        holding = [name for name, layer in zip(names, inside, strict=True) if layer[pixel]]
        raise DataError(
            f"{where}: {int(both.sum())} pixels belong to several classes ({', '.join(holding)}), but in a multiclass task "
            f"exactly one holds. If they may hold together the task is multilabel; if one hides the other, name them from "
            f"top to bottom with data.on_top",
            "overlap",
        )


def _channels(packed: np.ndarray) -> np.ndarray:
    return np.stack([packed >> 16, (packed >> 8) & 255, packed & 255], axis=-1)


def _unknown_colours(
    colours: np.ndarray, pixels: np.ndarray, mapping: Mapping[str, str], tolerance: int, where: str
) -> str:
    order = np.argsort(-pixels)
    shown = ", ".join(f"#{int(colours[i]):06x} ({int(pixels[i])} pixels)" for i in order[:8])
    more = f", ... ({len(colours)} colours)" if len(colours) > 8 else ""
    advice = (
        "So many come from smoothed edges or JPEG; data.colour_tolerance takes near ones for the named colour"
        if len(colours) > 8
        else "Add them to data.mask_colours, or to void"
    )
    near = f" within {tolerance}" if tolerance else ""
    names = ", ".join(mapping)
    return f"{where}: colours that data.mask_colours does not name{near}: {shown}{more}; it names {names}. {advice}"


def _apply(raw: np.ndarray, ids: Mapping[int, int], where: str) -> np.ndarray:
    found = values_of(raw)
    wrong = [value for value in found.tolist() if value not in ids]
    if wrong:
        shown = ", ".join(map(str, wrong[:8])) + (", ..." if len(wrong) > 8 else "")
        raise DataError(
            f"{where}: values that data.mask_values does not name: {shown}; it names {sorted(ids)}",
            "mask-values",
        )
    result = np.empty(raw.shape, np.uint8)
    for value in found.tolist():
        result[raw == value] = ids[value]
    return result
