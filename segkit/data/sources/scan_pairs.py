"""Pairs volumes with their masks: by name, or by what a DICOM segmentation refers to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from segkit.config import DataConfig
from segkit.config.sets import annotated
from segkit.data.sources.scan_masks import LabelVolumes, ScanMasks, Segments, SlicePictures
from segkit.errors import ConfigError, DataError
from segkit.io.image_files import LeftOut
from segkit.io.images import list_images
from segkit.io.scans.dicom import DicomVolume
from segkit.io.scans.dicom_seg import referenced_images
from segkit.io.scans.finding import VOLUME_SUFFIXES, FoundScans, find_scans, name_of_file
from segkit.io.scans.slices import ScanSettings, open_volume, slice_name, view_of_volume
from segkit.io.scans.volume import Volume
from segkit.task import Task

MOST_LISTED = 5
"""Names that a message lists."""


class ScanPair(NamedTuple):
    """A volume and its masks."""

    name: str
    path: Path
    """The file of the volume, or the first file of its series."""
    slices: int
    masks: ScanMasks


class ScanPairs(NamedTuple):
    """The volumes of a data set."""

    pairs: list[ScanPair]
    has_class_files: bool
    """Whether each class has a folder of masks."""
    left_out: list[LeftOut]
    """Files that look like scans and are not read."""


class MaskFolder(NamedTuple):
    """What a folder of masks holds."""

    volumes: Mapping[str, Path]
    """Label volumes by the name that they share with their images."""
    pictures: Mapping[str, Path]
    """Pictures by name."""


def settings_of(data: DataConfig) -> ScanSettings:
    """Return how slices are cut from volumes."""
    return ScanSettings(data.axis, data.neighbours, data.window)


def find_scan_pairs(data: DataConfig, task: Task) -> ScanPairs:
    """Pair the volumes of a `data` section with their masks.

    Args:
        data: The section, with `images` and `masks`.
        task: The task of the masks.

    Returns:
        The pairs, sorted by name.

    Raises:
        ConfigError: If a setting is missing, or a package is not installed.
        DataError: If a volume cannot be opened (unless `data.skip_broken` is set), has no mask or
            several, or if a mask has no volume.
    """
    if data.images is None or data.masks is None:
        raise ConfigError(
            "the source scans needs data.images and data.masks, two folders or one",
            "missing-setting",
            setting="data",
        )
    found = find_scans(data.images)
    images = _images_of(found, data)
    finder = _MaskFinder(data, task, found)
    pairs = []
    without = []
    broken: list[LeftOut] = []
    for name, volume in _open_volumes(images, data.skip_broken, broken):
        masks = finder.masks_of(name, volume)
        count = view_of_volume(volume, settings_of(data)).count(volume.grid)
        if masks is None:
            without.append(name)
        else:
            pairs.append(ScanPair(name, images[name], count, masks))
    unused = [] if broken else finder.unused()  # they may be those of broken volumes
    _check_all_paired(without, unused, data)
    return ScanPairs(pairs, "" not in finder.folders, found.left_out + broken)


def _open_volumes(
    images: Mapping[str, Path], skip_broken: bool, broken: list[LeftOut]
) -> Iterator[tuple[str, Volume]]:
    """Yield the name and the volume of each file; `skip_broken` adds others to `broken`."""
    for name, path in images.items():
        try:
            volume = open_volume(path, anew=True)
        except DataError as problem:
            if not skip_broken:
                raise
            broken.append(LeftOut(path, str(problem)))
            continue
        yield name, volume


def _images_of(found: FoundScans, data: DataConfig) -> dict[str, Path]:
    """Return the volumes that are images, and not masks in the same folder."""
    assert data.images is not None
    assert data.masks is not None
    images = found.volumes()
    if data.masks == data.images:
        if data.mask_suffix:
            images = {n: p for n, p in images.items() if not n.endswith(data.mask_suffix)}
    elif data.images in data.masks.parents:
        images = {n: p for n, p in images.items() if data.masks not in p.parents}
    if not images:
        raise DataError(
            f"{data.images}: contains no scan; segkit reads DICOM and {', '.join(VOLUME_SUFFIXES)}",
            "empty",
        )
    other = [name for name in images if not name.endswith(data.image_suffix)]
    if other:
        raise DataError(
            f"{data.images}: {len(other)} volumes whose names do not end in {data.image_suffix} "
            f"(data.image_suffix): {_list_names(other)}",
            "unpaired",
        )
    return images


class _MaskFinder:
    """Finds the masks of volumes, and the masks that belong to none."""

    def __init__(self, data: DataConfig, task: Task, images: FoundScans) -> None:
        assert data.masks is not None
        self.data = data
        self.task = task
        self.folders: dict[str, MaskFolder] = {}
        self.used: set[Path] = set()
        self.segmentations: dict[Path, frozenset[str]] = {}
        headers = list(images.segmentations) if data.masks == data.images else []
        for label, folder in _class_folders(data.masks, data, task).items():
            scans = images if folder == data.images else find_scans(folder)
            headers += scans.segmentations
            self.folders[label] = MaskFolder(
                _label_volumes(scans, data), _with_suffix(list_images(folder), data)
            )
        for header in headers:
            self.segmentations[header.path] = referenced_images(header)

    def masks_of(self, name: str, volume: Volume) -> ScanMasks | None:
        """Return the masks of a volume; None if there are none.

        Raises:
            DataError: If there are masks of several kinds.
        """
        stem = name.removesuffix(self.data.image_suffix)
        possible: list[ScanMasks | None] = [
            self._segments(volume),
            self._volumes(stem),
            self._pictures_by_file(volume),
            self._pictures_by_slice(name, volume),
        ]
        kinds = [masks for masks in possible if masks is not None]
        if len(kinds) > 1:
            listed = " and ".join(str(masks.files[0]) for masks in kinds)
            raise DataError(
                f"{name}: has several masks, {listed}; move all but one away", "duplicate-name"
            )
        for masks in kinds:
            self.used.update(masks.files)
            return masks
        return None

    def unused(self) -> list[str]:
        """Return the masks that belong to no volume."""
        paths = list(self.segmentations)
        for folder in self.folders.values():
            paths += [*folder.volumes.values(), *folder.pictures.values()]
        return [str(path) for path in paths if path not in self.used]

    def _segments(self, volume: Volume) -> Segments | None:
        if not isinstance(volume, DicomVolume):
            return None
        instances = {frame.header.instance for frame in volume.frames}
        paths = [path for path, found in self.segmentations.items() if found & instances]
        return Segments(paths, self.task, self.data) if paths else None

    def _volumes(self, stem: str) -> LabelVolumes | None:
        paths = {}
        for label, folder in self.folders.items():
            if stem not in folder.volumes:
                return None
            paths[label] = folder.volumes[stem]
        return LabelVolumes(paths)

    def _pictures_by_file(self, volume: Volume) -> SlicePictures | None:
        """Return pictures that are named like the DICOM files of a series."""
        if not isinstance(volume, DicomVolume) or not volume.is_series:
            return None
        assert self.data.images is not None
        names = [name_of_file(frame.header.path, self.data.images) for frame in volume.frames]
        view = view_of_volume(volume, settings_of(self.data))
        if view.axes[2] != 2:
            return None
        ordered = [names[view.stored_index(volume.grid, index)] for index in range(len(names))]
        return self._pictures(ordered, by_file=True)

    def _pictures_by_slice(self, name: str, volume: Volume) -> SlicePictures | None:
        """Return pictures that are named like the slices, as segkit writes them."""
        count = view_of_volume(volume, settings_of(self.data)).count(volume.grid)
        if count == 1 and isinstance(volume, DicomVolume):
            return None  # it is named by its file
        names = [slice_name(name, index, count) for index in range(count)]
        return self._pictures(names, by_file=False)

    def _pictures(self, names: Sequence[str], by_file: bool) -> SlicePictures | None:
        """Return the pictures of slices; None if there is none, an error if some are missing."""
        missing = []
        by_slice = []
        for name in names:
            paths = {}
            for label, folder in self.folders.items():
                if name in folder.pictures:
                    paths[label] = folder.pictures[name]
                else:
                    missing.append(f"{label}/{name}" if label else name)
            by_slice.append(paths)
        if not any(by_slice):
            return None
        if missing:
            raise DataError(
                f"{len(missing)} slices have no mask in {self.data.masks}, although others of the "
                f"volume have one: {_list_names(missing)}. Add empty masks where nothing is to be "
                f"found",
                "unpaired",
            )
        return SlicePictures(by_slice, by_file, self.data)


def _class_folders(masks: Path, data: DataConfig, task: Task) -> dict[str, Path]:
    """Return the folder of each class, or that of all classes as ""."""
    if not masks.is_dir():
        raise DataError(f"{masks}: there is no such folder", "unpaired")
    labels = annotated([task.classes[index] for index in task.foreground], data)
    missing = [label for label in labels if not (masks / label).is_dir()]
    if not missing:
        return {label: masks / label for label in labels}
    if len(missing) < len(labels):
        raise DataError(
            f"{masks}: if masks have sub-folders, each class needs one; missing: "
            f"{', '.join(missing)}",
            "unpaired",
        )
    return {"": masks}


def _label_volumes(scans: FoundScans, data: DataConfig) -> dict[str, Path]:
    """Return the volumes of labels in a folder; a DICOM series holds none."""
    files = {}
    for name, path in scans.volumes().items():
        if path.name.lower().endswith(VOLUME_SUFFIXES):
            files[name] = path
    if data.masks == data.images and not data.mask_suffix:
        return {}
    return _with_suffix(files, data)


def _with_suffix(files: Mapping[str, Path], data: DataConfig) -> dict[str, Path]:
    """Return the files whose names end as masks do, by the rest of the name."""
    suffix = data.mask_suffix
    return {name.removesuffix(suffix): p for name, p in files.items() if name.endswith(suffix)}


def _check_all_paired(without: Collection[str], unused: Collection[str], data: DataConfig) -> None:
    """Raise `DataError` if there is a volume without a mask, or a mask without a volume."""
    if without:
        message = f"{len(without)} volumes have no mask in {data.masks}: {_list_names(without)}"
    elif unused:
        message = f"{len(unused)} masks belong to no volume in {data.images}: {_list_names(unused)}"
    else:
        return
    raise DataError(
        f"{message}. A mask volume is called like its image (a.nii.gz with a.nii.gz; with "
        f"a_seg.nii.gz by data.mask_suffix: _seg), or like the folder of its DICOM series; a DICOM "
        f"segmentation refers to its series; a picture is called like its DICOM file",
        "unpaired",
    )


def _list_names(names: Iterable[str]) -> str:
    listed = sorted(names)
    if len(listed) > MOST_LISTED:
        listed = [*listed[:MOST_LISTED], "..."]
    return ", ".join(listed)
