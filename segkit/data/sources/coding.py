"""How masks are stored so that a `data` section reads them back: the inverse of `labels`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from segkit.config import DataConfig, MaskFilesConfig, RunConfig
from segkit.data.sources.labels import check_mapped_names, values_by_name
from segkit.errors import ConfigError, DataError
from segkit.io.coding import YES, Coding, MaskLayout, Stored, as_text, segkit_coding
from segkit.io.coding_record import read_record, record_path
from segkit.task import VOID, YES_NO, Task
from segkit.task.sets import Meaning, class_names

CODINGS = ("data", "segkit")
"""The data set's own coding, and segkit's."""
FREE = (255, 128, *range(254, 0, -1), 65535)
"""Candidates for the number that stores void, best first, if the data set does not name one."""


def coding_of(config: RunConfig, coding: str = "data") -> Coding:
    """Choose how the masks of a run are stored.

    Args:
        config: The config of the run.
        coding: "data" for the coding of the masks that the run was trained on, "segkit" for
            segkit's own.

    Returns:
        The coding.

    Raises:
        ConfigError: For another name, or if the data set's coding has no value for a class.
    """
    if coding not in CODINGS:
        raise ConfigError(
            f"must be one of {', '.join(CODINGS)}; found {coding!r}",
            "unknown-name",
            setting="--coding",
        )
    if coding == "segkit":
        return segkit_coding(config.task)
    return data_coding(config.data, config.task, config.mask_files)


def data_coding(data: DataConfig, task: Task, files: MaskFilesConfig | None = None) -> Coding:
    """Derive the coding that the folder source reads back with a `data` section.

    Args:
        data: How masks are read.
        task: The task of the masks.
        files: How the data set stores its masks. Without it the layout is guessed from `data`.

    Returns:
        The coding.

    Raises:
        ConfigError: If `data` names no value or colour for a class.
    """
    layout = files.layout if files else _usual_layout(data, task)
    yes = files.yes if files and files.yes else YES
    has_ids = layout == "file" and task.stores_ids
    file_task = task if layout == "file" else task.layer_task
    meanings = _meanings(data)
    stored: dict[int, Stored]
    if meanings is not None:
        check_mapped_names(meanings, file_task, _setting(data))
        stored = _inverse(meanings, file_task)
    else:
        stored = _stored_without_meanings(data, task.channels if has_ids else None, yes)
    _check_complete(stored, task.classes if has_ids else YES_NO, data)
    used = list(meanings or stored.values())
    stored.setdefault(VOID, _free(used, data.colour_tolerance))
    return Coding(
        task,
        layout,
        stored,
        data.mask_suffix,
        data.image_suffix,
        in_greys=data.mask_threshold is not None,
    )


def _stored_without_meanings(data: DataConfig, ids: int | None, yes: int) -> dict[int, Stored]:
    """Return what is stored for each value of a mask, if no setting names values or colours.

    `ids` is the number of class ids, or None for a yes/no mask.
    """
    if data.mask_threshold is not None:
        return _thresholded(data.mask_threshold)
    if data.mask_ids == "instances":
        return {0: 0, 1: YES, VOID: 0}  # any other number would be an object
    if ids is not None:
        return {value: value for value in range(ids)}
    return {0: 0, 1: yes}


def check_written(masks: Path, data: DataConfig, task: Task) -> None:
    """Check that masks which segkit wrote are read with the meaning that they were written with.

    Args:
        masks: The folder of masks. Nothing is checked if segkit did not write them.
        data: How masks are read.
        task: The task of a single mask file.

    Raises:
        DataError: If a value or colour would be read as another class.
    """
    record = read_record(masks)
    meanings = _meanings(data)
    if record is None or meanings is None or record.way != _setting(data):
        return  # a value that the config does not name is refused when its mask is read
    values = {**task.named_values, "void": VOID}
    read = {as_text(stored): value for stored, value in values_by_name(meanings, task).items()}
    wrong = []
    for stored, name in record.meanings.items():
        is_compared = name in values and stored in read
        if is_compared and read[stored] != values[name]:
            wrong.append(f"{stored} is {name}")
    if wrong:
        raise DataError(
            f"{masks}: segkit predict wrote these masks. {record_path(masks)} says that "
            f"{', '.join(wrong)}, but data.{record.way} says something else. Predict them without "
            f"--coding, or read them with the settings in that file",
            "mask-values",
        )


def _meanings(data: DataConfig) -> dict[Stored, Meaning] | None:
    """Return what each value or colour of a file means; None if the config does not say it."""
    if data.mask_colours is not None:
        return {_rgb(text): name for text, name in data.mask_colours.items()}
    if data.mask_values is not None:
        return dict(data.mask_values.items())
    return None


def _setting(data: DataConfig) -> str:
    """Return the setting of `data` that says what the values mean."""
    for setting in ("mask_colours", "mask_values", "mask_threshold"):
        if getattr(data, setting) is not None:
            return setting
    return "masks"


def _usual_layout(data: DataConfig, task: Task) -> MaskLayout:
    """Return the layout of a run without `mask_files`: an older run, or data without mask files."""
    names = {*class_names((data.mask_values or {}).values())}
    names |= {*class_names((data.mask_colours or {}).values())}
    are_yes_no = bool(names) and names <= set(YES_NO)
    if are_yes_no and not names <= set(task.named_values):
        return "folders"  # each file is a yes/no mask
    return segkit_coding(task).layout


def _inverse(meanings: Mapping[Stored, Meaning], task: Task) -> dict[int, Stored]:
    """Return what is stored for each value of a mask: the first value or colour that means it."""
    stored: dict[int, Stored] = {}
    for found, value in values_by_name(meanings, task).items():
        stored.setdefault(value, found)
    return stored


def _rgb(text: str) -> tuple[int, int, int]:
    """Return the channels of "#rrggbb"."""
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue


def _thresholded(threshold: int) -> dict[int, Stored]:
    """Return the ends of the range for no and yes, and a value between 0 and `threshold` for void.

    Without other settings void is read as no.
    """
    yes = threshold
    for largest in (65535, 255):
        if threshold <= largest:
            yes = largest
    return {0: 0, 1: yes, VOID: threshold // 2}


def _check_complete(stored: Mapping[int, Stored], names: Iterable[str], data: DataConfig) -> None:
    """Raise `ConfigError` if a class has no stored value."""
    missing = [name for value, name in enumerate(names) if value not in stored]
    if missing:
        raise ConfigError(
            f"has no value for {', '.join(missing)}, so such masks cannot be stored as the data "
            f"set stores them; --coding segkit stores class ids, or 0 and 255",
            "contradiction",
            setting=f"data.{_setting(data)}",
        )


def _free(used: Sequence[Stored], tolerance: int) -> Stored:
    """Return a number, or a grey, that means nothing else, not even in one band of a colour."""
    numbers = [number for number in used if not isinstance(number, tuple)]
    if numbers:
        return next((number for number in FREE if number not in numbers), max(numbers) + 1)
    bands: set[int] = set()
    for colour in used:
        if isinstance(colour, tuple):
            bands.update(colour)
    for grey in FREE:
        if grey <= VOID and all(abs(grey - band) > tolerance for band in bands):
            return grey, grey, grey
    return VOID, VOID, VOID
