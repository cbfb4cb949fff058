"""What the values of masks mean, guessed from how often each occurs."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.config import DataConfig
from segkit.data.sources.labels import yes_values
from segkit.errors import DataError
from segkit.task import VOID, YES_NO, Task

MOST_IDS = 64
"""More different values than this are no classes but grey levels, unless most files hold few of them."""
FEW_IDS = 24
"""Different values in half of the files, up to which they are ids: a room shows few of 150 classes, a grey edge more."""

EDGE_COLOURS = 4
"""Colours between two others from which they are no classes: VOC's palette has two between black and another."""
EDGE_ENDS = 8
"""The most common colours, between which others are looked for."""


class Guess(NamedTuple):
    """How a data set can be read, and how that was seen."""

    data: DataConfig
    task: Task
    """Classes as they are stored: one layer each (multilabel), or ids that exclude each other."""
    read_as: str
    """In words."""
    doubts: tuple[tuple[str, str], ...] = ()
    """What was decided where the files leave a choice: a code and a sentence."""
    kept: dict[Path, np.ndarray] = {}
    """Masks that were read to find that out, as they are stored, so that they need not be read again."""


def stated(data: DataConfig, classes: Sequence[str]) -> Guess | None:
    """Return the guess of settings that say what a mask's values mean; None if they do not."""
    if data.mask_threshold is not None:
        return Guess(data, binary(classes), f"yes from {data.mask_threshold} on, as told")
    if data.mask_ids == "instances":
        return Guess(data, binary(classes), "numbered objects of one class, as data.mask_ids says")
    meant = data.mask_values or data.mask_colours
    if meant is None:
        return None
    names = [name for name in dict.fromkeys(meant.values()) if name != "void"]
    return Guess(
        data,
        binary(classes) if set(names) <= set(YES_NO) else Task.multiclass(names),
        "values as told",
    )


def instances(data: DataConfig, classes: Sequence[str], words: str, objects: str) -> Guess:
    """Return how to read masks whose numbers are single objects; `objects` says so in words."""
    doubts = (
        (
            "mask-instances",
            f"{objects}: read as yes and no, any number above 0 is the object. If the numbers are classes, say "
            f"data.mask_ids: classes",
        ),
    )
    data = data.model_copy(update={"mask_ids": "instances"})
    return Guess(data, binary(classes), f"{words}; {objects}", doubts)


def perhaps_instances(meant: Guess) -> Guess:
    """Return a guess of classes with the question whether their ids are numbers of single objects."""
    doubts = (
        (
            "mask-instances",
            "each number is one piece in each mask, as numbers of single objects are; they are read as classes. If they "
            "are objects of one class, say data.mask_ids: instances; if they are classes, data.mask_ids: classes",
        ),
    )
    return meant._replace(doubts=meant.doubts + doubts)


def soft(
    data: DataConfig, pixels: Counter[int], classes: Sequence[str], words: str, code: str
) -> Guess:
    """Yes/no masks with grey edges are cut in the middle; with more than two levels nothing is certain."""
    low, high = min(pixels), max(pixels)
    if not _like_edges(pixels):
        raise DataError(
            f"{data.masks or data.list_file}: the masks ({words}) hold {len(pixels)} different values from {low} to {high}, "
            f"{_no_ids(code)}",
            code,
        )
    middle = (low + high + 1) // 2
    doubt = f"the masks ({words}) have grey values between {low} and {high}: taken as yes from {middle} on"
    return Guess(
        data.model_copy(update={"mask_threshold": middle}), binary(classes), words, ((code, doubt),)
    )


def _no_ids(code: str) -> str:
    if code == "mask-lossy":
        return (
            "like photographs, probabilities, or ids and colours that lossy compression changed. Save masks as PNG of "
            "class ids; if they are colours, name them in a config: data.mask_colours with data.colour_tolerance"
        )
    return (
        "like photographs, probabilities or numbers of single objects; class ids are few. Save masks as PNG of class ids; "
        "if they number single objects of one class, say data.mask_ids: instances"
    )


def _like_edges(pixels: Counter[int]) -> bool:
    """Return whether the values between dark and bright are few at each level, as those of grey edges are.

    None of the six eighths of the range between holds more than half as much as the darkest or the brightest.
    """
    low, high = min(pixels), max(pixels)
    if high - low < MOST_IDS:
        return False
    eighths = [0] * 8
    for value, count in pixels.items():
        eighths[min(7, (value - low) * 8 // (high - low))] += count
    return max(eighths[1:7]) <= min(eighths[0], eighths[7]) / 2


def ids(
    data: DataConfig,
    pixels: Counter[int],
    dtype: np.dtype[Any],
    classes: Sequence[str],
    words: str,
    levels: Sequence[int],
) -> Guess:
    """Return how to read one value a pixel; `levels` says how many different ones each file holds."""
    values = sorted(pixels)
    if any(set(values) <= {0, yes} for yes in yes_values(dtype)):
        return Guess(data, binary(classes), f"{words}; yes/no values {values}")
    few = len(values) <= MOST_IDS or (np.median(levels) <= FEW_IDS and values[-1] <= VOID)
    if not few or _grey_levels(pixels):
        return soft(data, pixels, classes, words, "mask-soft-edges")
    return _few_values(data, values, classes, words)


def _grey_levels(pixels: Counter[int]) -> bool:
    """Return whether few values are yes, no and the grey of edges, rather than ids, which begin 0, 1, 2."""
    between = [value for value in pixels if value not in (0, VOID)]
    ends = {0, VOID} <= set(pixels)
    return (
        ends and len(between) > 1 and max(between) >= 2 * (len(between) + 1) and _like_edges(pixels)
    )


def _few_values(data: DataConfig, values: list[int], classes: Sequence[str], words: str) -> Guess:
    if values == [0, 128, VOID]:
        meant = {0: "absent", 128: "void", VOID: "present"}
        doubt = "0, 128 and 255 are read as no, unlabelled (void) and yes, as segkit writes them"
        words = f"{words}; values 0, 128, 255"
        return Guess(
            data.model_copy(update={"mask_values": meant}),
            binary(classes),
            words,
            (("void-value", doubt),),
        )
    if values[0] < 0:
        return _with_negative(data, values, classes, words)
    void = VOID in values and len(values) > 2 and not _spread_evenly(values)
    ids = [value for value in values if not (void and value == VOID)]
    doubts: tuple[tuple[str, str], ...] = (
        (("void-value", "255 is read as unlabelled (void), because other values mean classes"),)
        if void
        else ()
    )
    words = f"{words}; values {', '.join(map(str, values))}"
    if ids == [0, 1]:
        meant = {0: "absent", 1: "present", VOID: "void"}
        return Guess(data.model_copy(update={"mask_values": meant}), binary(classes), words, doubts)
    if ids[0] == 0 and ids[-1] < 2 * len(ids):  # consecutive but for rare gaps: ids as they are
        return Guess(data, _multiclass(range(ids[-1] + 1), classes), words, doubts)
    names = _multiclass(ids, classes).classes
    meant = dict(zip(ids, names, strict=True)) | ({VOID: "void"} if void else {})
    doubts += (
        (
            "mask-values",
            f"the values {', '.join(map(str, ids))} are not 0, 1, 2, ...: each is taken for a class",
        ),
    )
    return Guess(
        data.model_copy(update={"mask_values": meant}), Task.multiclass(list(names)), words, doubts
    )


def _with_negative(
    data: DataConfig, values: list[int], classes: Sequence[str], words: str
) -> Guess:
    """Return how to read ids beside negative values, which no file uses for a class."""
    ids = [value for value in values if value >= 0]
    doubts = (
        ("void-value", "negative values are read as unlabelled (void), because no class has one"),
    )
    words = f"{words}; values {', '.join(map(str, values))}"
    void = {value: "void" for value in values if value < 0}
    if set(ids) <= {0, 1}:
        meant = {**void, 0: "absent", 1: "present"}
        return Guess(data.model_copy(update={"mask_values": meant}), binary(classes), words, doubts)
    task = _multiclass(ids, classes)
    meant = void | dict(zip(ids, task.classes, strict=True))
    return Guess(data.model_copy(update={"mask_values": meant}), task, words, doubts)


def _spread_evenly(values: Sequence[int]) -> bool:
    """Return whether ids were stretched to be seen, such as 0, 85, 170, 255, where 255 is a class."""
    steps = np.diff(values)
    return bool(steps.max() - steps.min() <= 1 < steps.min())


def colours(data: DataConfig, pixels: Counter[int], classes: Sequence[str], words: str) -> Guess:
    """Return how to read colours (packed 0xrrggbb): each common one is a class, black the background.

    Raises `DataError` for colours like those of smoothed edges.
    """
    common = [
        colour for colour, count in pixels.most_common(MOST_IDS) if count > 1e-5 * pixels.total()
    ]
    if blended := _blended(pixels, common):
        raise DataError(
            f"{data.masks or data.list_file}: the masks ({words}) have {len(blended)} rare colours between others "
            f"({_shown(blended, 3)}), like smoothed edges. Save masks without smoothing, or name the classes' colours in "
            f"a config (data.mask_colours), with data.colour_tolerance for what is near them",
            "mask-soft-edges",
        )
    ordered = sorted(common, key=lambda colour: (colour != 0, colour))
    if classes and len(classes) != len(ordered):
        raise DataError(
            f"--classes names {len(classes)}; the masks hold {len(ordered)} colours: {_shown(ordered, MOST_IDS)}",
            "list",
        )
    named = list(classes) or [f"colour_{colour:06x}" for colour in ordered]
    if not classes and ordered[0] == 0:
        named[0] = "background"
    meant = {f"#{colour:06x}": name for colour, name in zip(ordered, named, strict=True)}
    data = data.model_copy(update={"mask_colours": meant})
    rare = len(pixels) - len(ordered)
    words = f"{words}; {len(ordered)} colours: {_shown(ordered)}" + (
        f"; {rare} rare ones beside" if rare else ""
    )
    if len(ordered) == 2 and named[0] == "background":
        return Guess(data, Task.binary(named[1]), words)
    return Guess(data, Task.multiclass(named), words)


def _shown(colours: Sequence[int], most: int = 12) -> str:
    """Return the first colours as the config writes them.

    >>> _shown([0, 0xFF0000, 0xFF00], most=2)
    '#000000, #ff0000, ...'
    """
    return ", ".join(f"#{colour:06x}" for colour in colours[:most]) + (
        ", ..." if len(colours) > most else ""
    )


def _blended(pixels: Counter[int], common: Sequence[int]) -> list[int]:
    """Return the colours on a line between two others, rare beside both, where one line has `EDGE_COLOURS` or more."""
    places = np.array([[colour >> shift & 255 for shift in (16, 8, 0)] for colour in common], float)
    counts = np.array([pixels[colour] for colour in common])
    found: set[int] = set()
    for one, other in itertools.combinations(range(min(len(common), EDGE_ENDS)), 2):
        along = places[other] - places[one]
        share = (places - places[one]) @ along / (along @ along)
        off = np.abs(places - places[one] - share[:, None] * along).max(axis=1)
        between = (
            (off <= 2) & (share > 0) & (share < 1) & (10 * counts < min(counts[one], counts[other]))
        )
        if between.sum() >= EDGE_COLOURS:
            found |= {
                colour for colour, is_between in zip(common, between, strict=True) if is_between
            }
    return [colour for colour in common if colour in found]


def binary(classes: Sequence[str]) -> Task:
    """Return the task of yes/no masks."""
    return Task.binary(classes[-1] if classes else "object")


def _multiclass(ids: Sequence[int], classes: Sequence[str]) -> Task:
    if classes and len(classes) != len(ids):
        raise DataError(
            f"--classes names {len(classes)}; the masks hold {len(ids)} values: {list(ids)}", "list"
        )
    return Task.multiclass(list(classes) or ["background" if i == 0 else f"class_{i}" for i in ids])
