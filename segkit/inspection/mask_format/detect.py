"""From files alone to the settings that read them: how masks are stored, and their values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segkit.config import DataConfig
from segkit.data.sources.coco_json import category_names
from segkit.data.sources.labelling_tools import classes_of_cvat, classes_of_labelme
from segkit.data.sources.pair_names import Suffixes, find_suffixes
from segkit.data.sources.source import Source
from segkit.errors import DataError
from segkit.inspection.mask_format.class_folders import class_folders, class_folders_of_films
from segkit.inspection.mask_format.contents import (
    Stored,
    describe_kinds,
    masks_in_list,
    objects_in,
    scan_masks,
)
from segkit.inspection.mask_format.file_tags import TAG_CODES, tag_doubts
from segkit.inspection.mask_format.films import holds_films
from segkit.inspection.mask_format.folders import decoded_masks
from segkit.inspection.mask_format.guess import Guess, default_names, layered_guess
from segkit.inspection.mask_format.instances import Objects, numbered_objects
from segkit.inspection.mask_format.label_places import choose_place, place_of_masks, places_in
from segkit.inspection.mask_format.label_tools import detect_labels
from segkit.inspection.mask_format.other_values import describe_others
from segkit.inspection.mask_format.palettes import by_palette
from segkit.inspection.mask_format.scans import (
    Folders,
    detect_scans,
    holds_scans,
    scan_folders,
)
from segkit.inspection.mask_format.strokes import ask_about_unpainted, read_transparent
from segkit.inspection.mask_format.values import (
    classify_colours,
    classify_grey_levels,
    classify_instances,
    classify_values,
    doubt_classes,
    read_settings,
)
from segkit.inspection.mask_format.vector import (
    detect_vector,
    detect_vector_in,
    is_vector_of_map,
)
from segkit.io import codecs
from segkit.io.images import list_images
from segkit.io.planes import planes_of_pages
from segkit.io.unicode_names import nfc
from segkit.task import VOID, YES_NO, Task

Callback = Callable[[], None]


def detect_format(
    images: Path,
    masks: Path | None,
    classes: Sequence[str] = (),
    progress: Callback = lambda: None,
    data: DataConfig | None = None,
) -> Guess:
    """Return how to read images and masks.

    Every mask is read once, unless the settings state the meaning of its values.

    Args:
        images: A folder of images, scans or films. Or, without `masks`, a CSV list, the folder of a
            prepared TensorFlow data set, a folder with the files of a labelling tool, a folder
            with maps and a vector file, or a folder with a folder of scans and one of masks.
        masks: A folder of masks, a folder with one folder per class, a vector file, or the file or
            folder of labels that a labelling tool wrote.
        classes: Names of the classes in the order of their values.
        progress: Called after each mask.
        data: Settings that are kept as they are.

    Raises:
        DataError: The files cannot be read, or their meaning is not clear.
    """
    data = data or DataConfig()
    codecs.limit_pixels(data.max_pixels)
    if masks is None:
        return _detect_without_masks(data, images, classes, progress)
    if is_vector_of_map(masks, images):
        return detect_vector(data, images, masks, classes)
    place = place_of_masks(images, masks)
    if place is not None:
        return detect_labels(data, place, classes, progress)
    if masks.suffix.lower() == ".json":
        return detect_coco(data, images, masks, classes)
    return _detect_in_folders(data, Folders(images, masks), classes, progress)


def _detect_in_folders(
    data: DataConfig, folders: Folders, classes: Sequence[str], progress: Callback
) -> Guess:
    """Return how to read a folder of images, scans or films and one of masks."""
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"{folder}: there is no such folder", "unpaired")
    images, masks = folders
    if data.source in ("folder", "scans") and holds_scans(images):
        return detect_scans(data, folders, classes, progress, _classify_files)
    if data.source in ("folder", "video") and holds_films(images, masks):
        data = data.model_copy(update={"source": "video"})
        layers = class_folders_of_films(images, masks)
    else:
        layers = class_folders(data, images, masks)
    if layers:
        return detect_class_folders(data, images, masks, layers, classes, progress)
    if data.source == "video":
        update = {"images": images, "masks": masks}
        paths = list(list_images(masks).values())
        return _classify_files(data.model_copy(update=update), paths, classes, progress)
    return detect_folder(data, images, masks, classes, progress)


def _detect_without_masks(
    data: DataConfig, images: Path, classes: Sequence[str], progress: Callback
) -> Guess:
    if (images / "dataset_info.json").is_file():
        return detect_tfds(data, images, classes, progress)
    if images.suffix.lower() == ".csv":
        return detect_csv(data, images, classes, progress)
    if images.is_dir():
        of_map = detect_vector_in(data, images, classes)
        if of_map is not None:
            return of_map
    places = places_in(images)
    if places:
        return detect_labels(data, choose_place(places, data, images), classes, progress)
    if holds_scans(images):
        folders = scan_folders(images)
        return detect_scans(data, folders, classes, progress, _classify_files)
    raise DataError(
        f"{images}: name the folder of the masks as well. Without masks this is a config, a CSV "
        f"list, the folder of a TensorFlow data set, a folder of maps with a vector file, or "
        f"one with files of a labelling tool (docs/how-to/labels.md), which were not recognised",
        "list",
    )


def detect_coco(data: DataConfig, images: Path, masks: Path, classes: Sequence[str]) -> Guess:
    """Return how to read a COCO JSON file; its categories are the classes."""
    update = {"source": "coco", "images": images, "annotations": masks}
    data = data.model_copy(update=update)
    names = [name for name in category_names(masks) if name != data.area_label]
    return layered_guess(data, names, classes, "COCO annotations")


def detect_csv(data: DataConfig, path: Path, classes: Sequence[str], progress: Callback) -> Guess:
    """Return how to read a CSV list, with one column of masks or one per class."""
    data = data.model_copy(update={"list_file": path})
    paths, columns = masks_in_list(path)
    if not columns:
        return _classify_files(data, paths, classes, progress)
    return _classify_layers(data, paths, columns, classes, progress, path, "one column per class")


def detect_class_folders(
    data: DataConfig,
    images: Path,
    masks: Path,
    folders: Sequence[str],
    classes: Sequence[str],
    progress: Callback,
) -> Guess:
    """Return how to read a folder with one folder of masks per class."""
    data = data.model_copy(update={"images": images, "masks": masks})
    paths: list[Path] = []
    for name in folders:
        paths += list_images(masks / name).values()
    return _classify_layers(data, paths, folders, classes, progress, masks, "one folder per class")


def detect_folder(
    data: DataConfig, images: Path, masks: Path, classes: Sequence[str], progress: Callback
) -> Guess:
    """Return how to read a folder with one mask per image."""
    suffixes = _find_suffixes(data, images, masks)
    update = {
        "images": images,
        "masks": masks,
        "image_suffix": suffixes.image,
        "mask_suffix": suffixes.mask,
    }
    data = data.model_copy(update=update)
    paths = []
    for name, path in list_images(masks).items():
        if nfc(name).endswith(nfc(data.mask_suffix)):
            paths.append(path)
    guess = _classify_files(data, paths, classes, progress)
    if classes:
        return guess
    return _with_names_of_a_tool(guess, masks)


def _with_names_of_a_tool(guess: Guess, masks: Path) -> Guess:
    """Replace the classes by those that a labelling tool wrote into a file beside the masks."""
    by_colour = classes_of_cvat(masks)
    found = {int(colour[1:], 16) for colour in guess.data.mask_colours or {}}
    if found and found <= set(by_colour) and len(set(by_colour.values())) > 1:
        return _with_names_of_cvat(guess, by_colour)
    names = classes_of_labelme(masks)
    has_plain_ids = guess.data.mask_colours is None and guess.data.mask_values is None
    is_named_once = len(set(names)) == len(names)
    if (
        has_plain_ids
        and guess.task.stores_ids
        and is_named_once
        and len(names) >= guess.task.channels
    ):
        words = f"{guess.read_as}; classes as labelme's class_names.txt names them"
        return guess._replace(task=Task.multiclass(names), read_as=words)
    return guess


def _with_names_of_cvat(guess: Guess, by_colour: dict[int, str]) -> Guess:
    meanings = {f"#{colour:06x}": name for colour, name in by_colour.items()}
    names = list(dict.fromkeys(meanings.values()))
    task = Task.multiclass(names)
    if len(names) == 2 and names[0] == "background":
        task = Task.binary(names[1])
    return guess._replace(
        data=guess.data.model_copy(update={"mask_colours": meanings}),
        task=task,
        read_as=f"{guess.read_as}; classes as CVAT's labelmap.txt names them",
    )


def _classify_layers(
    data: DataConfig,
    paths: Sequence[Path],
    names: Sequence[str],
    classes: Sequence[str],
    progress: Callback,
    where: Path,
    words: str,
) -> Guess:
    """Return how to read one file per class; all files together show which value means yes."""
    try:
        yes_no = _classify_files(data, paths, YES_NO, progress)
    except DataError as problem:
        message = f"{where}: {words}, whose masks mean yes or no: {problem}"
        raise problem.with_message(message) from problem
    guess = layered_guess(yes_no.data, names, classes, f"{words}: {yes_no.read_as}")
    return guess._replace(doubts=yes_no.doubts, decoded=yes_no.decoded)


def detect_tfds(
    data: DataConfig, folder: Path, classes: Sequence[str], progress: Callback
) -> Guess:
    """Return how to read a prepared TensorFlow data set."""
    from segkit.data.sources.tfds import open_tfds
    from segkit.data.sources.tfds_labels import find_ready, task_of
    from segkit.data.sources.tfds_records import Records

    data = data.model_copy(update={"source": "tfds", "data_dir": folder})
    stated = read_settings(data, classes)
    if stated:
        return stated
    info = Records(folder, data.trust).info
    ready = find_ready(info.name, info.metadata)
    if ready:
        return Guess(data, task_of(ready), "a TensorFlow data set with known classes")
    source = open_tfds(data, Task.multiclass([f"value {i}" for i in range(VOID)]))
    if source.bands > 1 and source.bands != 3:
        names = list(classes) or default_names(source.bands)
        return Guess(data, Task.multilabel(names), "a TensorFlow data set, one band per class")
    return _classify_tfds(data, source, classes, progress)


def _classify_tfds(
    data: DataConfig, source: Source, classes: Sequence[str], progress: Callback
) -> Guess:
    """Return how to read the ids of a TensorFlow data set, opened as one of all ids."""
    words = "a TensorFlow data set of ids"
    pixels: Counter[int] = Counter()
    values: list[list[int]] = []
    for name in source.names:
        found, counts = np.unique(source.read(name).mask, return_counts=True)
        values.append(found.tolist())
        pixels.update(dict(zip(found.tolist(), counts.tolist(), strict=True)))
        progress()
    objects = None
    if data.mask_ids is None:
        objects = numbered_objects(values, lambda index: source.read(source.names[index]).mask)
    values_per_file = [len(found) for found in values]
    return _classify(data, pixels, np.dtype(np.uint8), classes, words, values_per_file, objects)


def _classify(
    data: DataConfig,
    pixels: Counter[int],
    dtype: np.dtype[Any],
    classes: Sequence[str],
    words: str,
    values_per_file: Sequence[int],
    objects: Objects | None,
) -> Guess:
    """Return how to read numbers that are classes, or objects if they may be some."""
    if objects and objects.kind == "instances":
        return classify_instances(data, classes, words, str(objects))
    guess = classify_values(data, pixels, dtype, classes, words, values_per_file)
    if objects and guess.task.stores_ids:
        return doubt_classes(guess)
    return guess


def _classify_files(
    data: DataConfig, masks: Sequence[Path], classes: Sequence[str], progress: Callback
) -> Guess:
    """Return how to read mask files, from the settings or from their content."""
    stated = read_settings(data, classes)
    if stated and not data.others_void:
        return stated
    paths: list[Path] = []
    for path in masks:
        paths += planes_of_pages(path, data.pages, data.axes)
    scanned = scan_masks(paths, progress, data.pages, data.transparent == "void")
    if stated:
        return stated._replace(read_as=f"{stated.read_as}{describe_others(data, scanned)}")
    data, scanned, doubts = read_transparent(data, scanned)
    guess = _classify_contents(data, paths, by_palette(scanned), classes)
    guess = ask_about_unpainted(guess, by_palette(scanned))
    doubts += tag_doubts(guess.task, scanned)
    decoded = decoded_masks(paths, scanned)
    return guess._replace(
        decoded=decoded,
        doubts=(*guess.doubts, *doubts),
        read_as=f"{guess.read_as}{describe_others(guess.data, scanned)}",
    )


def _classify_contents(
    data: DataConfig, paths: Sequence[Path], scanned: Sequence[Stored], classes: Sequence[str]
) -> Guess:
    readable = [stored for stored in scanned if stored.form != "broken"]
    if not readable:
        raise _nothing_readable(data, scanned)
    words = describe_kinds(readable)
    forms = Counter(stored.form for stored in readable)
    form = forms.most_common(1)[0][0]
    if forms["colours"]:
        form = "colours"  # a file of colours that is grey throughout looks like ids
    if form == "bands":
        names = list(classes) or default_names(max(stored.bands for stored in readable))
        return Guess(data, Task.multilabel(names), f"{words}, one band per class")
    pixels: Counter[int] = Counter()
    for stored in readable:
        if stored.form == form:
            pixels.update(stored.pixels)
    if form == "colours":
        return classify_colours(data, pixels, classes, words)
    if any(stored.lossy for stored in readable):
        return classify_grey_levels(data, pixels, classes, words, "mask-lossy")
    objects = None
    if data.mask_ids is None:
        objects = objects_in(paths, scanned, data.pages)
    deepest = max((stored.dtype for stored in readable), key=lambda dtype: dtype.itemsize)
    values_per_file = [len(stored.pixels) for stored in readable]
    return _classify(data, pixels, deepest, classes, words, values_per_file, objects)


def _nothing_readable(data: DataConfig, scanned: Sequence[Stored]) -> DataError:
    """Return the error that no mask can be read, with the code of the first file's tag."""
    message = f"{data.masks or data.list_file}: has no mask that can be read"
    code = "empty"
    if scanned:
        message += f"; the first: {scanned[0].description}"
        if scanned[0].code in TAG_CODES or scanned[0].code == "mask-opacity":
            code = scanned[0].code
    return DataError(message, code)


def _find_suffixes(data: DataConfig, images: Path, masks: Path) -> Suffixes:
    """Return the different ends of the names of images and masks, found or as set."""
    if data.image_suffix or data.mask_suffix:
        return Suffixes(data.image_suffix, data.mask_suffix)
    image_names = [nfc(name) for name in list_images(images)]
    mask_names = [nfc(name) for name in list_images(masks)]
    found = find_suffixes(image_names, mask_names, together=images == masks)
    if images == masks and not found:
        raise DataError(
            f"{images}: images and masks are in one folder, and their names do not show which are "
            f"masks. Set data.mask_suffix (and data.image_suffix), or list the pairs in a CSV "
            f"file: data.list_file",
            "unpaired",
        )
    return found or Suffixes("", "")
