"""How to read scans: the direction of their slices, and what the values of their masks mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.config import DataConfig
from segkit.data.sources.pair_names import Suffixes, find_suffixes
from segkit.errors import DataError
from segkit.inspection.mask_format.guess import Doubt, Guess, layered_guess
from segkit.inspection.mask_format.values import classify_values, read_settings
from segkit.io.images import list_images
from segkit.io.scans.dicom_seg import SegMask
from segkit.io.scans.finding import VOLUME_SUFFIXES, FoundScans, find_scans
from segkit.io.scans.slices import open_volume
from segkit.io.scans.views import choose_plane
from segkit.task import YES_NO

Callback = Callable[[], None]
ClassifyPictures = Callable[[DataConfig, Sequence[Path], Sequence[str], Callback], Guess]
"""Returns how to read mask files that are pictures."""
OF_IMAGES = ("images", "imagestr", "scans", "volumes")
OF_MASKS = ("masks", "labels", "labelstr", "segmentations")
"""Names of the folders of images and masks in a data set, in lower case."""


class Folders(NamedTuple):
    """The folders of the scans and of their masks."""

    images: Path
    masks: Path


def holds_scans(images: Path) -> bool:
    """Return whether a folder holds scans and no pictures."""
    return images.is_dir() and not list_images(images) and bool(find_scans(images).named)


def scan_folders(folder: Path) -> Folders:
    """Return the folders of scans and masks in the folder of a data set.

    Raises:
        DataError: If it does not show where the masks are.
    """
    by_name = {path.name.lower(): path for path in folder.iterdir() if path.is_dir()}
    images = [by_name[name] for name in OF_IMAGES if name in by_name]
    masks = [by_name[name] for name in OF_MASKS if name in by_name]
    if len(images) == 1 and len(masks) == 1 and holds_scans(images[0]):
        return Folders(images[0], masks[0])
    found = find_scans(folder)
    if found.segmentations:
        return Folders(folder, folder)
    names = [name for name, _ in found.named]
    listed = ", ".join(names[:5])
    if len(names) > 5:
        listed += ", ..."
    raise DataError(
        f"{folder}: holds {len(names)} volume(s) ({listed}), and nothing says which are masks. "
        f"Name the folder of the masks as well: IMAGES MASKS",
        "list",
    )


def detect_scans(
    data: DataConfig,
    folders: Folders,
    classes: Sequence[str],
    progress: Callback,
    classify_pictures: ClassifyPictures,
) -> Guess:
    """Return how to read scans and their masks.

    Args:
        data: Settings that are kept as they are.
        folders: The folders of the scans and of their masks.
        classes: Names of the classes in the order of their values.
        progress: Called after each mask.
        classify_pictures: Returns how to read masks that are pictures.

    Raises:
        ConfigError: If a package is not installed, or a volume does not show the direction of its
            slices.
        DataError: If the files cannot be read, or their meaning is not clear.
    """
    images = find_scans(folders.images)
    masks = find_scans(folders.masks)
    suffixes = _find_suffixes(data, images, masks, folders)
    axis = data.axis or _plane_of(images, masks, suffixes, folders)
    data = _with_folders(data, folders, suffixes, axis)
    stated = read_settings(data, classes)
    if stated:
        return stated
    if masks.segmentations:
        return _classify_segments(data, masks, classes, progress)
    names = [name.removesuffix(suffixes.image) for name in images.volumes()]
    layers = _class_folders(folders.masks, names)
    if layers:
        return _classify_layers(data, layers, classes, progress)
    volumes = [path for name, path in _label_files(masks).items() if name.endswith(suffixes.mask)]
    if volumes:
        return _classify_volumes(data, volumes, classes, progress)
    pictures = list(list_images(folders.masks).values())
    guess = classify_pictures(data, pictures, classes, progress)
    return guess._replace(decoded={})


def _with_folders(
    data: DataConfig, folders: Folders, suffixes: Suffixes, axis: str | None
) -> DataConfig:
    """Return the settings with what was found about the volumes and their masks."""
    update = {
        "source": "scans",
        "images": folders.images,
        "masks": folders.masks,
        "image_suffix": suffixes.image,
        "mask_suffix": suffixes.mask,
        "axis": axis,
    }
    return data.model_copy(update=update)


def _classify_layers(
    data: DataConfig,
    layers: Mapping[str, Sequence[Path]],
    classes: Sequence[str],
    progress: Callback,
) -> Guess:
    """Return how to read one folder of mask volumes per class."""
    volumes = [path for paths in layers.values() for path in paths]
    guess = _classify_volumes(data, volumes, YES_NO, progress)
    words = f"one folder per class: {guess.read_as}"
    return layered_guess(guess.data, list(layers), classes, words)


def _find_suffixes(
    data: DataConfig, images: FoundScans, masks: FoundScans, folders: Folders
) -> Suffixes:
    """Return the different ends of the names of volumes and of their masks, found or as set."""
    if data.image_suffix or data.mask_suffix:
        return Suffixes(data.image_suffix, data.mask_suffix)
    labels = list(_label_files(masks))
    if not labels or masks.segmentations:
        return Suffixes("", "")
    together = folders.images == folders.masks
    found = find_suffixes(list(images.volumes()), labels, together=together)
    return found or Suffixes("", "")


def _label_files(scans: FoundScans) -> dict[str, Path]:
    """Return the volumes in files of their own, which may be masks."""
    files = {}
    for name, path in scans.volumes().items():
        if path.name.lower().endswith(VOLUME_SUFFIXES):
            files[name] = path
    return files


def _plane_of(
    images: FoundScans, masks: FoundScans, suffixes: Suffixes, folders: Folders
) -> str | None:
    """Return the plane of the volumes; None if they differ, which the source refuses."""
    planes = set()
    mask_files = set(masks.files)
    for name, path in images.volumes().items():
        is_mask = path in mask_files and folders.images != folders.masks
        is_named_mask = bool(suffixes.mask) and name.endswith(suffixes.mask)
        if is_mask or (is_named_mask and folders.images == folders.masks):
            continue
        planes.add(choose_plane(open_volume(path)))
    return planes.pop() if len(planes) == 1 else None


def _class_folders(masks: Path, names: Sequence[str]) -> dict[str, list[Path]]:
    """Return the label volumes of each class, if each has a folder with a mask of every volume."""
    layers: dict[str, list[Path]] = {}
    for folder in sorted(path for path in masks.iterdir() if path.is_dir()):
        found = _label_files(find_scans(folder))
        if not set(names) <= set(found):
            return {}
        layers[folder.name] = list(found.values())
    return layers


def _classify_segments(
    data: DataConfig, masks: FoundScans, classes: Sequence[str], progress: Callback
) -> Guess:
    """Return how to read DICOM segmentations; the labels of their segments are the classes."""
    labels: dict[str, None] = {}
    for header in masks.segmentations:
        for segment in SegMask([header.path]).segments:
            labels[segment.label] = None
        progress()
    words = f"{len(masks.segmentations)} DICOM segmentation(s)"
    return layered_guess(data, list(labels), classes, words)


def _classify_volumes(
    data: DataConfig, paths: Sequence[Path], classes: Sequence[str], progress: Callback
) -> Guess:
    """Return how to read volumes of labels, from the values of all voxels."""
    pixels: Counter[int] = Counter()
    values: list[Mapping[int, int]] = []
    dtype = np.dtype(np.uint8)
    for path in paths:
        counts, stored = _count_values(path)
        pixels.update(counts)
        values.append(counts)
        if stored.itemsize > dtype.itemsize:
            dtype = stored
        progress()
    words = f"{len(paths)} volume(s) of labels"
    per_file = [len(counts) for counts in values]
    guess = classify_values(data, pixels, dtype, classes, words, per_file)
    counts_of_labels = {max(counts) for counts in values}
    if guess.task.stores_ids and len(counts_of_labels) > 1:
        return _doubt_classes(guess, min(counts_of_labels), max(counts_of_labels))
    return guess


def _count_values(path: Path) -> tuple[Counter[int], np.dtype[Any]]:
    """Return the number of voxels of each value of a label volume, and its type."""
    volume = open_volume(path)
    counts: Counter[int] = Counter()
    dtype = np.dtype(np.uint8)
    for index in range(volume.grid.shape[2]):
        plane = volume.labels(2, index)
        dtype = plane.dtype
        found, numbers = np.unique(plane, return_counts=True)
        counts.update(dict(zip(found.tolist(), numbers.tolist(), strict=True)))
    return counts, dtype


def _doubt_classes(guess: Guess, fewest: int, most: int) -> Guess:
    """Add the doubt that the numbers may be those of single objects, as lesions have them."""
    message = (
        f"the highest number in a mask is {fewest} to {most}, and the numbers are read as classes. "
        f"If they count single objects of one class, set data.mask_ids: instances"
    )
    return guess._replace(doubts=(*guess.doubts, Doubt("mask-instances", message)))
