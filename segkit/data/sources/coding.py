"""How masks are stored so that a config's `data` section reads them back: the inverse of `labels`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from segkit.config import DataConfig, MaskFilesConfig, RunConfig
from segkit.data.sources.labels import check_mapped_names, values_by_name
from segkit.errors import ConfigError, DataError
from segkit.io.coding import YES, Coding, MaskLayout, Stored, as_text, segkit_coding
from segkit.io.coding_record import read_record, record_path
from segkit.task import VOID, YES_NO, Task

CODINGS = ("data", "segkit")
"""The data set's own coding, and segkit's."""
FREE = (255, 128, *range(254, 0, -1), 65535)
"""Numbers that void may get where the data set has none for it, the first that means nothing else."""


def coding_of(config: RunConfig, coding: str = "data") -> Coding:
    """Return how the masks of a run are stored: as those it was trained on ("data"), or as segkit does ("segkit").

    Raises `ConfigError` for another name, and where the data set's coding has no value for one of the classes.
    """
    if coding not in CODINGS:
        raise ConfigError(
            f"one of {', '.join(CODINGS)}; found {coding!r}", "unknown-name", setting="--coding"
        )
    if coding == "segkit":
        return segkit_coding(config.task)
    return data_coding(config.data, config.task, config.mask_files)


def data_coding(data: DataConfig, task: Task, files: MaskFilesConfig | None = None) -> Coding:
    """Return the coding that the folder source reads back by a `data` section.

    Args:
        data: How masks are read.
        task: What they are masks of.
        files: How the data set stores them. Without it follows from `data` what can be read.

    Raises:
        ConfigError: If `data` names no value or colour for one of the classes.
    """
    layout = files.layout if files else _usual_layout(data, task)
    ids = layout == "file" and task.stores_ids
    file_task = task if layout == "file" else task.layer_task
    meanings = _meanings(data)
    stored: dict[int, Stored]
    if meanings is not None:
        check_mapped_names(meanings, file_task, _way(data))
        stored = _inverse(meanings, file_task)
    elif data.mask_threshold is not None:
        stored = _thresholded(data.mask_threshold)
    elif data.mask_ids == "instances":
        stored = {0: 0, 1: YES, VOID: 0}  # every other number would be an object
    elif ids:
        stored = {value: value for value in range(task.channels)}
    else:
        stored = {0: 0, 1: files.yes if files and files.yes else YES}
    _check_complete(stored, task.classes if ids else YES_NO, data)
    stored.setdefault(VOID, _free([*(meanings or stored.values())], data.colour_tolerance))
    in_greys = data.mask_threshold is not None
    return Coding(task, layout, stored, data.mask_suffix, data.image_suffix, in_greys)


def check_written(masks: Path, data: DataConfig, task: Task) -> None:
    """Raise `DataError` if segkit wrote the masks of a folder and a `data` section would read them as other classes.

    Args:
        masks: The folder.
        data: How masks are read.
        task: What a single file is a mask of.
    """
    record, meanings = read_record(masks), _meanings(data)
    if record is None or meanings is None or record.way != _way(data):
        return  # what a config does not name is refused when it is read
    names = {**task.named_values, "void": VOID}
    read = {as_text(stored): value for stored, value in values_by_name(meanings, task).items()}
    wrong = {
        stored: name
        for stored, name in record.meanings.items()
        if name in names and read.get(stored, names[name]) != names[name]
    }
    if wrong:
        listed = ", ".join(f"{stored} is {name}" for stored, name in wrong.items())
        raise DataError(
            f"{masks}: segkit predict wrote these masks, and says in {record_path(masks)} that {listed}; data.{record.way} "
            f"says something else. Predict them without --coding, or read them by the settings in that file",
            "mask-values",
        )


def _meanings(data: DataConfig) -> dict[Stored, str] | None:
    """Return what each value or colour of a file means; None if the config does not say it."""
    if data.mask_colours is not None:
        return {_rgb(text): name for text, name in data.mask_colours.items()}
    return None if data.mask_values is None else dict(data.mask_values.items())


def _way(data: DataConfig) -> str:
    """Return the setting that says what is stored."""
    ways = ("mask_colours", "mask_values", "mask_threshold")
    return next((way for way in ways if getattr(data, way) is not None), "masks")


def _usual_layout(data: DataConfig, task: Task) -> MaskLayout:
    """Return how masks are stored in a run that does not say it: those of older versions, and data without mask files."""
    named = {*(data.mask_values or {}).values(), *(data.mask_colours or {}).values()}
    if named and named <= {*YES_NO, "void"} and not named <= {*task.named_values, "void"}:
        return "folders"  # each file answers yes or no
    return segkit_coding(task).layout


def _inverse(meanings: Mapping[Stored, str], task: Task) -> dict[int, Stored]:
    """Return what is stored for each value of a mask: the first that means it."""
    stored: dict[int, Stored] = {}
    for found, value in values_by_name(meanings, task).items():
        stored.setdefault(value, found)
    return stored


def _rgb(text: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue


def _thresholded(threshold: int) -> dict[int, Stored]:
    """Return the ends of the range as no and yes. Void lies between, and counts as no where nothing says what it is."""
    yes = threshold
    for largest in (65535, 255):
        if threshold <= largest:
            yes = largest
    return {0: 0, 1: yes, VOID: threshold // 2}


def _check_complete(stored: Mapping[int, Stored], names: Iterable[str], data: DataConfig) -> None:
    missing = [name for value, name in enumerate(names) if value not in stored]
    if missing:
        raise ConfigError(
            f"says of nothing that it means {', '.join(missing)}, so masks with it cannot be stored as the data set stores "
            f"them; --coding segkit stores class ids, or 0 and 255",
            "contradiction",
            setting=f"data.{_way(data)}",
        )


def _free(used: Sequence[Stored], tolerance: int) -> Stored:
    """Return a number, or a grey, that stands for nothing else, not even in one band of a colour."""
    numbers = [number for number in used if not isinstance(number, tuple)]
    if numbers:
        return next((number for number in FREE if number not in numbers), max(numbers) + 1)
    bands = {band for colour in used if isinstance(colour, tuple) for band in colour}
    apart = [
        grey
        for grey in FREE
        if grey <= VOID and all(abs(grey - band) > tolerance for band in bands)
    ]
    grey = apart[0] if apart else VOID
    return grey, grey, grey
