"""The meaning of the values in masks, guessed from how often each occurs."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from segkit.config import DataConfig
from segkit.data.sources.labels import yes_values
from segkit.errors import ConfigError, DataError
from segkit.inspection.mask_format.guess import (
    Doubt,
    Guess,
    binary_task,
    exclusive_task,
    multiclass_task,
    named_values,
)
from segkit.task import VOID, YES_NO, Task
from segkit.task.sets import VOID_NAME, class_names

MOST_IDS = 64
"""More different values than this are grey levels, unless most files have few of them."""
FEW_IDS = 24
"""Largest median number of different values per file for which they are ids.

A room shows few of 150 classes, and a grey edge has more levels.
"""
EDGE_COLOURS = 4
"""Colours on a line between two others from which they are smoothed edges.

VOC's palette has two between black and another colour.
"""
EDGE_ENDS = 8
"""Number of the most common colours between which smoothed edges are looked for."""


def read_settings(data: DataConfig, classes: Sequence[str]) -> Guess | None:
    """Return the reading that the settings state; None if they do not name the values' meaning.

    Args:
        data: The settings.
        classes: Names of the classes.
    """
    if data.mask_threshold is not None:
        words = f"yes from {data.mask_threshold} on, as data.mask_threshold says"
        return Guess(data, binary_task(classes), words)
    if data.mask_ids == "instances":
        words = "numbered objects of one class, as data.mask_ids says"
        return Guess(data, binary_task(classes), words)
    meanings = data.mask_values or data.mask_colours
    if meanings is None:
        return None
    names = class_names(meanings.values())
    words = "values as the settings name them"
    if set(names) <= set(YES_NO):
        return Guess(data, binary_task(classes), words)
    if classes and set(classes) != set(names):
        setting = "mask_values" if data.mask_values else "mask_colours"
        raise ConfigError(
            f"names the classes {', '.join(names)}, and --classes names {', '.join(classes)}; name "
            f"them in one of both",
            "contradiction",
            setting=f"data.{setting}",
        )
    return Guess(data, exclusive_task(list(classes) or names), words)


def classify_instances(data: DataConfig, classes: Sequence[str], words: str, objects: str) -> Guess:
    """Return how to read masks whose numbers are single objects.

    Args:
        data: The settings that find the files.
        classes: Names of the classes.
        words: Description of the files.
        objects: Description of the objects.
    """
    message = (
        f"{objects}: they are read as yes and no, and any number above 0 is the object. If the "
        f"numbers are classes, set data.mask_ids: classes"
    )
    data = data.model_copy(update={"mask_ids": "instances"})
    doubt = Doubt("mask-instances", message)
    return Guess(data, binary_task(classes), f"{words}; {objects}", (doubt,))


def doubt_classes(guess: Guess) -> Guess:
    """Add the doubt to a guess of classes that their ids may be numbers of single objects."""
    message = (
        "each number is one connected piece in each mask, as numbers of single objects are, but "
        "the numbers are read as classes. If they are objects of one class, set "
        "data.mask_ids: instances; if they are classes, set data.mask_ids: classes"
    )
    return guess._replace(doubts=(*guess.doubts, Doubt("mask-instances", message)))


def classify_grey_levels(
    data: DataConfig, pixels: Counter[int], classes: Sequence[str], words: str, code: str
) -> Guess:
    """Return the reading of yes/no masks with grey edges: a threshold in the middle.

    Args:
        data: The settings that find the files.
        pixels: Number of pixels of each value.
        classes: Names of the classes.
        words: Description of the files.
        code: Code of the warning or error, "mask-soft-edges" or "mask-lossy".

    Raises:
        DataError: The values are not only dark, bright and few between.
    """
    low = min(pixels)
    high = max(pixels)
    if not _has_grey_edges(pixels):
        raise DataError(
            f"{data.masks or data.list_file}: the masks ({words}) have {len(pixels)} different "
            f"values from {low} to {high}, {_advice_for_many_values(code)}",
            code,
        )
    middle = (low + high + 1) // 2
    message = (
        f"the masks ({words}) have grey values between {low} and {high}: values from {middle} on "
        f"are read as yes"
    )
    data = data.model_copy(update={"mask_threshold": middle})
    return Guess(data, binary_task(classes), words, (Doubt(code, message),))


def _advice_for_many_values(code: str) -> str:
    if code == "mask-lossy":
        return (
            "like photographs, probabilities, or ids and colours that lossy compression changed. "
            "Save the masks as PNG of class ids. If they are colours, name them in a config: "
            "data.mask_colours with data.colour_tolerance"
        )
    return (
        "like photographs, probabilities or numbers of single objects; there are few class ids. "
        "Save the masks as PNG of class ids. If the values are numbers of single objects of one "
        "class, set data.mask_ids: instances; if they are probabilities, write a config with "
        "data.mask_probabilities: true"
    )


def _has_grey_edges(pixels: Counter[int]) -> bool:
    """Return whether there are few pixels at each grey level between dark and bright.

    The range is divided into eighths. None of the inner six may have more than half as many
    pixels as the first or the last one.
    """
    low = min(pixels)
    high = max(pixels)
    if high - low < MOST_IDS:
        return False
    eighths = [0] * 8
    for value, count in pixels.items():
        eighths[min(7, (value - low) * 8 // (high - low))] += count
    return max(eighths[1:7]) <= min(eighths[0], eighths[7]) / 2


def classify_values(
    data: DataConfig,
    pixels: Counter[int],
    dtype: np.dtype[Any],
    classes: Sequence[str],
    words: str,
    values_per_file: Sequence[int],
) -> Guess:
    """Return how to read masks with one value per pixel: yes/no, grey edges, or class ids.

    Args:
        data: The settings that find the files.
        pixels: Number of pixels of each value.
        dtype: Data type of the files.
        classes: Names of the classes.
        words: Description of the files.
        values_per_file: Number of different values in each file.

    Raises:
        DataError: The values have no likely meaning, or do not fit the names of the classes.
    """
    values = sorted(pixels)
    if VOID_NAME in classes:
        return _classify_named(data, values, classes, words)
    for yes in yes_values(dtype):
        if set(values) <= {0, yes}:
            return Guess(data, binary_task(classes), f"{words}; yes/no values {values}")
    is_few = len(values) <= MOST_IDS
    is_few_per_file = np.median(values_per_file) <= FEW_IDS and values[-1] <= VOID
    if not (is_few or is_few_per_file) or _are_grey_levels(pixels):
        return classify_grey_levels(data, pixels, classes, words, "mask-soft-edges")
    words_with_values = f"{words}; values {', '.join(map(str, values))}"
    if values == [0, 128, VOID]:
        return _classify_written_by_segkit(data, classes, words_with_values)
    if values[0] < 0:
        return _classify_with_negative(data, values, classes, words_with_values)
    return _classify_ids(data, values, classes, words_with_values)


def _classify_named(
    data: DataConfig, values: list[int], classes: Sequence[str], words: str
) -> Guess:
    """Return how to read values of which the user calls one void; 255 needs no name."""
    if len(classes) == len(values):
        named = dict(zip(values, classes, strict=True))
    else:
        ids = [value for value in values if value != VOID]
        named = named_values(ids, classes) | {VOID: VOID_NAME}
    data = data.model_copy(update={"mask_values": named})
    words = f"{words}; values {', '.join(map(str, values))}"
    return Guess(data, _task_of(list(named.values())), words)


def _are_grey_levels(pixels: Counter[int]) -> bool:
    """Return whether few values are yes, no and grey edges; ids would begin 0, 1, 2."""
    if not {0, VOID} <= set(pixels):
        return False
    between = [value for value in pixels if value not in (0, VOID)]
    is_sparse = len(between) > 1 and max(between) >= 2 * (len(between) + 1)
    return is_sparse and _has_grey_edges(pixels)


def _classify_written_by_segkit(data: DataConfig, classes: Sequence[str], words: str) -> Guess:
    meanings = {0: "absent", 128: "void", VOID: "present"}
    message = "0, 128 and 255 are read as no, unlabelled (void) and yes, as segkit writes them"
    data = data.model_copy(update={"mask_values": meanings})
    return Guess(data, binary_task(classes), words, (Doubt("void-value", message),))


def _classify_ids(data: DataConfig, values: list[int], classes: Sequence[str], words: str) -> Guess:
    """Return how to read few values that are not negative: each is a class, 255 may be void."""
    doubts: list[Doubt] = []
    meanings: dict[int, str] = {}
    ids = values
    if VOID in values and len(values) > 2 and not _is_evenly_spaced(values):
        ids = [value for value in values if value != VOID]
        meanings = {VOID: "void"}
        message = "255 is read as unlabelled (void), because the other values are class ids"
        doubts.append(Doubt("void-value", message))
    if ids == [0, 1]:
        meanings = {0: "absent", 1: "present", VOID: "void"}
        data = data.model_copy(update={"mask_values": meanings})
        return Guess(data, binary_task(classes), words, tuple(doubts))
    if ids[0] == 0 and ids[-1] < 2 * len(ids):  # consecutive ids, of which a few do not occur
        task = multiclass_task(range(ids[-1] + 1), classes)
        return Guess(data, task, words, tuple(doubts))
    task = multiclass_task(ids, classes)
    meanings = dict(zip(ids, task.classes, strict=True)) | meanings
    message = f"the values {', '.join(map(str, ids))} are not 0, 1, 2, ...: each is read as a class"
    doubts.append(Doubt("mask-values", message))
    data = data.model_copy(update={"mask_values": meanings})
    return Guess(data, task, words, tuple(doubts))


def _classify_with_negative(
    data: DataConfig, values: list[int], classes: Sequence[str], words: str
) -> Guess:
    """Return how to read ids with negative values, which no file uses for a class."""
    ids = [value for value in values if value >= 0]
    meanings = {value: "void" for value in values if value < 0}
    message = "negative values are read as unlabelled (void), because no class has one"
    doubts = (Doubt("void-value", message),)
    if set(ids) <= {0, 1}:
        task = binary_task(classes)
        meanings |= {0: "absent", 1: "present"}
    else:
        task = multiclass_task(ids, classes)
        meanings |= dict(zip(ids, task.classes, strict=True))
    return Guess(data.model_copy(update={"mask_values": meanings}), task, words, doubts)


def _is_evenly_spaced(values: Sequence[int]) -> bool:
    """Return whether ids were stretched for display, such as 0, 85, 170, 255: 255 is a class."""
    steps = np.diff(values)
    return bool(steps.max() - steps.min() <= 1 < steps.min())


def classify_colours(
    data: DataConfig, pixels: Counter[int], classes: Sequence[str], words: str
) -> Guess:
    """Return how to read masks of colours: each common colour is a class, black the background.

    Args:
        data: The settings that find the files.
        pixels: Number of pixels of each colour, packed as 0xrrggbb.
        classes: Names of the classes.
        words: Description of the files.

    Raises:
        DataError: The colours are like those of smoothed edges, or as many as the classes' names.
    """
    smallest = 1e-5 * pixels.total()
    common = [colour for colour, count in pixels.most_common(MOST_IDS) if count > smallest]
    blended = _blended(pixels, common)
    if data.other_values == "void":
        common = [colour for colour in common if colour not in blended]
    elif blended:
        raise DataError(
            f"{data.masks or data.list_file}: the masks ({words}) have {len(blended)} rare colours "
            f"between others ({_list_colours(blended, 3)}), like smoothed edges. "
            f"{_advice_for_blends(data)}",
            "mask-soft-edges",
        )
    ordered = sorted(common, key=lambda colour: (colour != 0, colour))
    names = _colour_names(ordered, classes)
    meanings = {f"#{colour:06x}": name for colour, name in zip(ordered, names, strict=True)}
    data = data.model_copy(update={"mask_colours": meanings})
    words = f"{words}; {len(ordered)} colours: {_list_colours(ordered)}"
    rare = len(pixels) - len(ordered)
    if rare:
        words += f"; {rare} rare colours"
    return Guess(data, _task_of(names), words)


def _task_of(names: Sequence[str]) -> Task:
    """Return the task of classes, of which one may be void; one beside the background is binary."""
    classes = [name for name in names if name != VOID_NAME]
    if len(classes) == 2 and classes[0] == "background":
        return Task.binary(classes[1])
    return exclusive_task(classes)


def _advice_for_blends(data: DataConfig) -> str:
    if data.transparent == "void":
        return (
            "If they are where strokes of a smooth brush cross, draw with a hard pencil, or set "
            "data.other_values: void, which makes the pixels of these colours unlabelled"
        )
    return (
        "Save the masks without smoothing, or name the classes' colours in a config "
        "(data.mask_colours), with data.colour_tolerance for similar colours. If they are strokes, "
        "save the layer with transparency or draw with a hard pencil; data.other_values: void "
        "makes the pixels of these colours unlabelled"
    )


def _colour_names(ordered: Sequence[int], classes: Sequence[str]) -> list[str]:
    """Return the names of the classes, or names made from the colours."""
    if classes and len(classes) != len(ordered):
        raise DataError(
            f"--classes names {len(classes)} classes; the masks have {len(ordered)} colours: "
            f"{_list_colours(ordered, MOST_IDS)}",
            "list",
        )
    if classes:
        return list(classes)
    names = [f"colour_{colour:06x}" for colour in ordered]
    if ordered[0] == 0:
        names[0] = "background"
    return names


def _list_colours(colours: Sequence[int], most: int = 12) -> str:
    """Return the first colours as the config writes them.

    >>> _list_colours([0, 0xFF0000, 0xFF00], most=2)
    '#000000, #ff0000, ...'
    """
    text = ", ".join(f"#{colour:06x}" for colour in colours[:most])
    if len(colours) > most:
        text += ", ..."
    return text


def _blended(pixels: Counter[int], common: Sequence[int]) -> list[int]:
    """Return rare colours on lines between two common ones with `EDGE_COLOURS` such colours."""
    places = np.array([[colour >> shift & 255 for shift in (16, 8, 0)] for colour in common], float)
    counts = np.array([pixels[colour] for colour in common])
    is_blended = np.zeros(len(common), bool)
    for one, other in itertools.combinations(range(min(len(common), EDGE_ENDS)), 2):
        along = places[other] - places[one]
        share = (places - places[one]) @ along / (along @ along)
        distance = np.abs(places - places[one] - share[:, None] * along).max(axis=1)
        is_rare = 10 * counts < min(counts[one], counts[other])
        between = (distance <= 2) & (share > 0) & (share < 1) & is_rare
        if between.sum() >= EDGE_COLOURS:
            is_blended |= between
    return [colour for colour, blended in zip(common, is_blended, strict=True) if blended]
