"""From files alone to the settings that read them: how masks are kept, and which values they hold."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit import files
from segkit.data import sniff
from segkit.data.labels import YES_NO
from segkit.data.sniff import Stored
from segkit.data_config import DataConfig
from segkit.errors import DataError
from segkit.task import VOID, Task

MOST_IDS = 64
"""More different values than this are no classes but grey levels, unless most files hold few of them."""
FEW_IDS = 24
"""Different values in half of the files, up to which they are ids: a room shows few of 150 classes, a grey edge more."""


class Guess(NamedTuple):
    """How a data set can be read, and how that was seen."""

    data: DataConfig
    task: Task
    """Classes as they are stored: one layer each (multilabel), or ids that exclude each other."""
    read_as: str
    """In words."""
    doubts: tuple[tuple[str, str], ...] = ()
    """What was decided where the files leave a choice: a code and a sentence."""


def guess(
    images: Path, masks: Path | None, classes: Sequence[str] = (), done: Callable[[], None] = lambda: None
) -> Guess:
    """Return how to read IMAGES and MASKS: folders, a COCO JSON file as MASKS, a list file or a TFDS folder as IMAGES.

    Every mask is looked at once, and `done` called after each. `classes` names them in the order of their values.
    Raises `DataError` if nothing fits.
    """
    if masks is not None and masks.suffix.lower() == ".json":
        return _coco(images, masks, classes)
    if masks is None and (images / "dataset_info.json").is_file():
        return _tfds(images, classes, done)
    if masks is None and images.suffix.lower() == ".csv":
        data = DataConfig(source="folder", list_file=images)
        return _files(data, sniff.listed(images), classes, done)
    if masks is None:
        raise DataError(
            f"{images}: give the masks as well, or a config, a CSV list, or a TensorFlow Datasets folder", "list"
        )
    for folder in (images, masks):
        if not folder.is_dir():
            raise DataError(f"{folder}: there is no such folder", "unpaired")
    layers = _class_folders(images, masks)
    if layers:
        return _folders(DataConfig(source="folder", images=images, masks=masks), masks, layers, classes, done)
    data = DataConfig(source="folder", images=images, masks=masks, mask_suffix=_suffix(images, masks))
    found = [p for n, p in files.list_images(masks).items() if n.endswith(data.mask_suffix)]
    return _files(data, found, classes, done)


def _layered(data: DataConfig, names: Sequence[str], classes: Sequence[str], words: str) -> Guess:
    chosen = [name for name in classes if name in names] if classes else list(names)
    if not chosen:
        raise DataError(f"none of the classes {', '.join(classes)} is there; found {', '.join(names)}", "list")
    task = Task.binary(chosen[0]) if len(chosen) == 1 else Task.multilabel(chosen)
    return Guess(data, task, words)


def _folders(
    data: DataConfig, masks: Path, names: Sequence[str], classes: Sequence[str], done: Callable[[], None]
) -> Guess:
    """One folder a class: what means yes in them is guessed from all their files together."""
    paths = [path for name in names for path in files.list_images(masks / name).values()]
    try:
        yes_no = _files(data, paths, YES_NO, done)
    except DataError as problem:
        raise DataError(f"{masks}: one folder a class, whose masks say yes or no: {problem}", problem.code) from problem
    found = _layered(yes_no.data, names, classes, f"one folder a class: {yes_no.read_as}")
    return found._replace(doubts=yes_no.doubts)


def _coco(images: Path, annotations: Path, classes: Sequence[str]) -> Guess:
    try:
        categories = json.loads(annotations.read_text(encoding="utf-8"))["categories"]
        names = [str(category["name"]) for category in categories]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise DataError(f"{annotations}: not a COCO file with categories ({problem})", "list") from problem
    return _layered(
        DataConfig(source="coco", images=images, annotations=annotations), names, classes, "COCO annotations"
    )


def _tfds(folder: Path, classes: Sequence[str], done: Callable[[], None]) -> Guess:
    from segkit.data.tfds import open_tfds
    from segkit.data.tfds_maps import find_ready, task_of
    from segkit.data.tfds_records import Records

    data, info = DataConfig(source="tfds", data_dir=folder), Records(folder).info
    ready = find_ready(info.name, info.metadata)
    if ready:
        return Guess(data, task_of(ready), "a TensorFlow data set whose classes are known")
    source = open_tfds(data, Task.multiclass([f"value {i}" for i in range(VOID)]))
    if source.bands > 1 and source.bands != 3:
        names = list(classes) or [f"class_{i + 1}" for i in range(source.bands)]
        return Guess(data, Task.multilabel(names), "a TensorFlow data set, one band a class")
    pixels: Counter[int] = Counter()
    levels = []
    for name in source.names:
        values, counts = np.unique(source.read(name).mask, return_counts=True)
        pixels.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        levels.append(len(values))
        done()
    return _ids(data, pixels, np.dtype(np.uint8), classes, "a TensorFlow data set of ids", levels)


def _files(data: DataConfig, masks: Sequence[Path], classes: Sequence[str], done: Callable[[], None]) -> Guess:
    def look(path: Path) -> Stored:
        stored = sniff.look(path)
        done()
        return stored

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        looked = list(pool.map(look, masks))
    found = [stored for stored in looked if stored.form != "broken"]
    if not found:
        why = f"; the first: {looked[0].words}" if looked else ""
        raise DataError(f"{data.masks or data.list_file}: holds no mask that can be read{why}", "empty")
    forms = Counter(stored.form for stored in found)  # a colour mask that is black or grey throughout looks like ids
    form = "colours" if forms["colours"] else forms.most_common(1)[0][0]
    words = ", ".join(f"{count} {kind}" for kind, count in Counter(stored.words for stored in found).most_common(3))
    pixels: Counter[int] = Counter()
    for stored in found:
        if stored.form == form:
            pixels.update(stored.pixels)
    if form == "bands":
        names = list(classes) or [f"class_{i + 1}" for i in range(max(stored.bands for stored in found))]
        return Guess(data, Task.multilabel(names), f"{words}, one band a class")
    if form == "colours":
        return _colours(data, pixels, classes, words)
    if any(stored.lossy for stored in found):
        return _soft(data, pixels, classes, words, "mask-lossy")
    deepest = max((stored.dtype for stored in found), key=lambda dtype: dtype.itemsize)
    return _ids(data, pixels, deepest, classes, words, [len(stored.pixels) for stored in found])


def _soft(data: DataConfig, pixels: Counter[int], classes: Sequence[str], words: str, code: str) -> Guess:
    """Yes/no masks with grey edges are cut in the middle; with more than two levels nothing is certain."""
    low, high = min(pixels), max(pixels)
    if not _like_edges(pixels):
        raise DataError(
            f"{data.masks or data.list_file}: the masks ({words}) hold {len(pixels)} different values from {low} to {high}, "
            f"like photographs, probabilities, numbers of single objects, or ids that lossy compression changed; class ids "
            f"are few. Save masks as PNG of class ids; if all above 0 is one class, write a config with "
            f"data.mask_threshold: 1",
            code,
        )
    middle = (low + high + 1) // 2
    doubt = f"the masks ({words}) have grey values between {low} and {high}: taken as yes from {middle} on"
    return Guess(data.model_copy(update={"mask_threshold": middle}), _binary(classes), words, ((code, doubt),))


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


def _ids(
    data: DataConfig,
    pixels: Counter[int],
    dtype: np.dtype[Any],
    classes: Sequence[str],
    words: str,
    levels: Sequence[int],
) -> Guess:
    """Return how to read one value a pixel; `levels` says how many different ones each file holds."""
    values = sorted(pixels)
    brightest = int(np.iinfo(dtype).max) if dtype.kind == "u" else VOID
    if set(values) <= {0, 1} or set(values) <= {0, brightest}:
        return Guess(data, _binary(classes), f"{words}; yes/no values {values}")
    ids = len(values) <= MOST_IDS or (np.median(levels) <= FEW_IDS and values[-1] <= VOID)
    if not ids or _grey_levels(pixels):
        return _soft(data, pixels, classes, words, "mask-soft-edges")
    return _few_values(data, values, classes, words)


def _grey_levels(pixels: Counter[int]) -> bool:
    """Return whether few values are yes, no and the grey of edges, rather than ids, which begin 0, 1, 2."""
    between = [value for value in pixels if value not in (0, VOID)]
    ends = {0, VOID} <= set(pixels)
    return ends and len(between) > 1 and max(between) >= 2 * (len(between) + 1) and _like_edges(pixels)


def _few_values(data: DataConfig, values: list[int], classes: Sequence[str], words: str) -> Guess:
    if values == [0, 128, VOID]:
        meant = {0: "absent", 128: "void", VOID: "present"}
        doubt = "0, 128 and 255 are read as no, unlabelled (void) and yes, as segkit writes them"
        words = f"{words}; values 0, 128, 255"
        return Guess(data.model_copy(update={"mask_values": meant}), _binary(classes), words, (("void-value", doubt),))
    void = VOID in values and len(values) > 2 and not _spread_evenly(values)
    ids = [value for value in values if not (void and value == VOID)]
    doubts: tuple[tuple[str, str], ...] = (
        (("void-value", "255 is read as unlabelled (void), because other values mean classes"),) if void else ()
    )
    words = f"{words}; values {', '.join(map(str, values))}"
    if ids == [0, 1]:
        meant = {0: "absent", 1: "present", VOID: "void"}
        return Guess(data.model_copy(update={"mask_values": meant}), _binary(classes), words, doubts)
    if ids[0] == 0 and ids[-1] < 2 * len(ids):  # consecutive but for rare gaps: ids as they are
        return Guess(data, _multiclass(range(ids[-1] + 1), classes), words, doubts)
    names = _multiclass(ids, classes).classes
    meant = dict(zip(ids, names, strict=True)) | ({VOID: "void"} if void else {})
    doubts += (
        ("mask-values", f"the values {', '.join(map(str, ids))} are not 0, 1, 2, ...: each is taken for a class"),
    )
    return Guess(data.model_copy(update={"mask_values": meant}), Task.multiclass(list(names)), words, doubts)


def _spread_evenly(values: Sequence[int]) -> bool:
    """Return whether ids were stretched to be seen, such as 0, 85, 170, 255, where 255 is a class."""
    steps = np.diff(values)
    return bool(steps.max() - steps.min() <= 1 < steps.min())


def _colours(data: DataConfig, pixels: Counter[int], classes: Sequence[str], words: str) -> Guess:
    common = [colour for colour, count in pixels.most_common(MOST_IDS) if count > 1e-5 * pixels.total()]
    ordered = sorted(common, key=lambda colour: (colour != 0, colour))
    if classes and len(classes) != len(ordered):
        shown = ", ".join(f"#{colour:06x}" for colour in ordered)
        raise DataError(f"--classes names {len(classes)}; the masks hold {len(ordered)} colours: {shown}", "list")
    named = list(classes) or [f"colour_{colour:06x}" for colour in ordered]
    if not classes and ordered[0] == 0:
        named[0] = "background"
    meant = {f"#{colour:06x}": name for colour, name in zip(ordered, named, strict=True)}
    data = data.model_copy(update={"mask_colours": meant})
    words = f"{words}; {len(pixels)} colours"
    if len(ordered) == 2 and named[0] == "background":
        return Guess(data, Task.binary(named[1]), words)
    return Guess(data, Task.multiclass(named), words)


def _binary(classes: Sequence[str]) -> Task:
    return Task.binary(classes[-1] if classes else "object")


def _multiclass(ids: Sequence[int], classes: Sequence[str]) -> Task:
    if classes and len(classes) != len(ids):
        raise DataError(f"--classes names {len(classes)}; the masks hold {len(ids)} values: {list(ids)}", "list")
    return Task.multiclass(list(classes) or ["background" if i == 0 else f"class_{i}" for i in ids])


def _class_folders(images: Path, masks: Path) -> list[str]:
    """Return the sub-folders of the masks that the images do not have, if masks lie in nothing else."""
    folders = {path.name for path in masks.iterdir() if path.is_dir() and not path.name.startswith(".")}
    alone = not any(path.suffix.lower() in files.SUFFIXES for path in masks.iterdir())
    return sorted(folders - {path.name for path in images.iterdir() if path.is_dir()}) if alone else []


def _suffix(images: Path, masks: Path) -> str:
    """Return what mask names have more than image names: "" or something like "_mask"."""
    names, stored = list(files.list_images(images)), list(files.list_images(masks))
    if images != masks and set(names) & set(stored):
        return ""
    ends = Counter(
        other[len(name) :] for name in names[:50] for other in stored if other.startswith(name) and other != name
    )
    return ends.most_common(1)[0][0] if ends else ""
