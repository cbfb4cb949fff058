"""From files alone to the settings that read them: how masks are kept, and which values they hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from segkit.config import DataConfig
from segkit.data.sources.coco_json import category_names
from segkit.data.sources.labelling_tools import classes_of_cvat, classes_of_labelme
from segkit.data.sources.pair_names import Suffixes, find_suffixes
from segkit.data.sources.source import Source
from segkit.errors import DataError
from segkit.inspection.mask_format import contents as sniff
from segkit.inspection.mask_format import values as meanings
from segkit.inspection.mask_format.contents import Stored, listed, look_at_all, objects_in
from segkit.inspection.mask_format.instances import numbered_objects
from segkit.inspection.mask_format.palettes import by_palette
from segkit.inspection.mask_format.said_by_files import SAID_BY_FILES, said_by_files
from segkit.inspection.mask_format.values import Guess, colours, ids, soft
from segkit.io import codecs
from segkit.io.images import SUFFIXES, list_images
from segkit.io.pages import pages_of
from segkit.io.unicode_names import nfc
from segkit.task import VOID, YES_NO, Task


def guess(
    images: Path,
    masks: Path | None,
    classes: Sequence[str] = (),
    done: Callable[[], None] = lambda: None,
    told: DataConfig | None = None,
) -> Guess:
    """Return how to read IMAGES and MASKS: folders, a COCO JSON file as MASKS, a list file or a TFDS folder as IMAGES.

    Every mask is looked at once, and `done` called after each, unless `told` already says what a mask's values mean.
    `classes` names them in the order of their values. Raises `DataError` if nothing fits.
    """
    told = told or DataConfig()
    codecs.limit_pixels(told.max_pixels)
    if masks is not None and masks.suffix.lower() == ".json":
        data = told.model_copy(update={"source": "coco", "images": images, "annotations": masks})
        return _layered(data, category_names(masks), classes, "COCO annotations")
    if masks is None and (images / "dataset_info.json").is_file():
        return _tfds(
            told.model_copy(update={"source": "tfds", "data_dir": images}), images, classes, done
        )
    if masks is None and images.suffix.lower() == ".csv":
        return _list(told.model_copy(update={"list_file": images}), images, classes, done)
    if masks is None:
        raise DataError(
            f"{images}: give the masks as well, or a config, a CSV list, or a TensorFlow Datasets folder",
            "list",
        )
    for folder in (images, masks):
        if not folder.is_dir():
            raise DataError(f"{folder}: there is no such folder", "unpaired")
    layers = _class_folders(images, masks)
    if layers:
        data = told.model_copy(update={"images": images, "masks": masks})
        paths = [path for name in layers for path in list_images(masks / name).values()]
        return _layers(data, paths, layers, classes, done, f"{masks}: one folder a class")
    suffixes = _suffixes(told, images, masks)
    found_at = {
        "images": images,
        "masks": masks,
        "image_suffix": suffixes.image,
        "mask_suffix": suffixes.mask,
    }
    data = told.model_copy(update=found_at)
    found = [p for n, p in list_images(masks).items() if nfc(n).endswith(nfc(data.mask_suffix))]
    meant = _files(data, found, classes, done)
    return meant if classes else _named_by_a_tool(meant, masks)


def _named_by_a_tool(meant: Guess, masks: Path) -> Guess:
    """Return the guess with the classes' names and colours that a labelling tool wrote beside the masks."""
    by_colour = classes_of_cvat(masks)
    found = {int(colour[1:], 16) for colour in meant.data.mask_colours or {}}
    if found and found <= set(by_colour) and len(set(by_colour.values())) > 1:
        mapping = {f"#{colour:06x}": name for colour, name in by_colour.items()}
        data = meant.data.model_copy(update={"mask_colours": mapping})
        words = f"{meant.read_as}; classes as CVAT's labelmap.txt names them"
        names = list(dict.fromkeys(mapping.values()))
        one_object = len(names) == 2 and names[0] == "background"
        task = Task.binary(names[1]) if one_object else Task.multiclass(names)
        return meant._replace(data=data, task=task, read_as=words)
    names = classes_of_labelme(masks)
    by_id = meant.data.mask_colours is None and meant.data.mask_values is None
    if by_id and meant.task.stores_ids and len(set(names)) == len(names) >= meant.task.channels:
        words = f"{meant.read_as}; classes as labelme's class_names.txt names them"
        return meant._replace(task=Task.multiclass(names), read_as=words)
    return meant


def _layered(data: DataConfig, names: Sequence[str], classes: Sequence[str], words: str) -> Guess:
    unknown = [name for name in classes if name not in names]
    if unknown or not names:
        raise DataError(
            f"--classes: not there: {', '.join(unknown) or 'any class'}; found {', '.join(names) or 'none'}",
            "list",
        )
    chosen = list(classes or names)
    task = Task.binary(chosen[0]) if len(chosen) == 1 else Task.multilabel(chosen)
    return Guess(data, task, words)


def _layers(
    data: DataConfig,
    paths: Sequence[Path],
    names: Sequence[str],
    classes: Sequence[str],
    done: Callable[[], None],
    where: str,
) -> Guess:
    """One file a class: what means yes in them is guessed from all of them together."""
    try:
        yes_no = _files(data, paths, YES_NO, done)
    except DataError as problem:
        raise problem.with_message(f"{where}, whose masks say yes or no: {problem}") from problem
    found = _layered(yes_no.data, names, classes, f"{where.rpartition(': ')[2]}: {yes_no.read_as}")
    return found._replace(doubts=yes_no.doubts, kept=yes_no.kept)


def _list(data: DataConfig, path: Path, classes: Sequence[str], done: Callable[[], None]) -> Guess:
    paths, names = listed(path)
    return (
        _layers(data, paths, names, classes, done, f"{path}: one column a class")
        if names
        else _files(data, paths, classes, done)
    )


def _tfds(
    data: DataConfig, folder: Path, classes: Sequence[str], done: Callable[[], None]
) -> Guess:
    from segkit.data.sources.tfds import open_tfds
    from segkit.data.sources.tfds_labels import find_ready, task_of
    from segkit.data.sources.tfds_records import Records

    stated = meanings.stated(data, classes)
    if stated:
        return stated
    info = Records(folder, data.trust).info
    ready = find_ready(info.name, info.metadata)
    if ready:
        return Guess(data, task_of(ready), "a TensorFlow data set whose classes are known")
    source = open_tfds(data, Task.multiclass([f"value {i}" for i in range(VOID)]))
    if source.bands > 1 and source.bands != 3:
        names = list(classes) or [f"class_{i + 1}" for i in range(source.bands)]
        return Guess(data, Task.multilabel(names), "a TensorFlow data set, one band a class")
    return _tfds_ids(data, source, classes, done)


def _tfds_ids(
    data: DataConfig, source: Source, classes: Sequence[str], done: Callable[[], None]
) -> Guess:
    """Return how to read the ids of a TensorFlow data set, which is open as one of all ids."""
    words = "a TensorFlow data set of ids"
    pixels: Counter[int] = Counter()
    values: list[list[int]] = []
    for name in source.names:
        found, counts = np.unique(source.read(name).mask, return_counts=True)
        values.append(found.tolist())
        pixels.update(dict(zip(values[-1], counts.tolist(), strict=True)))
        done()
    objects = None
    if data.mask_ids is None:
        objects = numbered_objects(values, lambda place: source.read(source.names[place]).mask)
    if objects and objects.kind == "instances":
        return meanings.instances(data, classes, words, str(objects))
    meant = ids(data, pixels, np.dtype(np.uint8), classes, words, [len(found) for found in values])
    if objects and meant.task.stores_ids:
        return meanings.perhaps_instances(meant)
    return meant


def _files(
    data: DataConfig, masks: Sequence[Path], classes: Sequence[str], done: Callable[[], None]
) -> Guess:
    stated = meanings.stated(data, classes)
    if stated:
        return stated
    masks = [page for path in masks for page in pages_of(path, data.pages)]
    looked = look_at_all(masks, done, data.pages)
    kept = {
        path: stored.array
        for path, stored in zip(masks, looked, strict=True)
        if stored.array is not None
    }
    found = _meant(data, masks, by_palette(looked), classes)
    return found._replace(kept=kept, doubts=found.doubts + said_by_files(found.task, looked))


def _meant(
    data: DataConfig, paths: Sequence[Path], looked: Sequence[Stored], classes: Sequence[str]
) -> Guess:
    found = [stored for stored in looked if stored.form != "broken"]
    if not found:
        why = f"; the first: {looked[0].words}" if looked else ""
        code = looked[0].code if looked and looked[0].code in SAID_BY_FILES else "empty"
        raise DataError(
            f"{data.masks or data.list_file}: holds no mask that can be read{why}", code
        )
    forms = Counter(
        stored.form for stored in found
    )  # a colour mask that is black or grey throughout looks like ids
    form = "colours" if forms["colours"] else forms.most_common(1)[0][0]
    words = sniff.describe_kinds(found)
    pixels: Counter[int] = Counter()
    for stored in found:
        if stored.form == form:
            pixels.update(stored.pixels)
    if form == "bands":
        names = list(classes) or [
            f"class_{i + 1}" for i in range(max(stored.bands for stored in found))
        ]
        return Guess(data, Task.multilabel(names), f"{words}, one band a class")
    if form == "colours":
        return colours(data, pixels, classes, words)
    if any(stored.lossy for stored in found):
        return soft(data, pixels, classes, words, "mask-lossy")
    objects = objects_in(paths, looked, data.pages) if data.mask_ids is None else None
    if objects and objects.kind == "instances":
        return meanings.instances(data, classes, words, str(objects))
    deepest = max((stored.dtype for stored in found), key=lambda dtype: dtype.itemsize)
    meant = ids(data, pixels, deepest, classes, words, [len(stored.pixels) for stored in found])
    if objects and meant.task.stores_ids:
        return meanings.perhaps_instances(meant)
    return meant


def _class_folders(images: Path, masks: Path) -> list[str]:
    """Return the sub-folders of the masks that the images do not have, if masks lie in nothing else."""
    folders = {
        path.name for path in masks.iterdir() if path.is_dir() and not path.name.startswith(".")
    }
    alone = not any(path.suffix.lower() in SUFFIXES for path in masks.iterdir())
    return (
        sorted(folders - {path.name for path in images.iterdir() if path.is_dir()}) if alone else []
    )


def _suffixes(told: DataConfig, images: Path, masks: Path) -> Suffixes:
    """Return what the names of images and masks have beyond what they share, or what the settings say of it."""
    if told.image_suffix or told.mask_suffix:
        return Suffixes(told.image_suffix, told.mask_suffix)
    names = [nfc(name) for name in list_images(images)]
    stored = [nfc(name) for name in list_images(masks)]
    found = find_suffixes(names, stored, together=images == masks)
    if images == masks and not found:
        raise DataError(
            f"{images}: images and masks are in one folder, and their names do not say which are masks. Say "
            f"data.mask_suffix (and data.image_suffix), or list the pairs in a CSV file: data.list_file",
            "unpaired",
        )
    return found or Suffixes("", "")
