"""Finds the volumes and DICOM series in a folder, and names them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from segkit.errors import DataError
from segkit.io.image_files import LeftOut, list_contents
from segkit.io.scans import itk, nifti
from segkit.io.scans.dicom import is_alone, open_dicom
from segkit.io.scans.dicom_headers import SEGMENTATION, SUFFIXES, Header, headers_in, is_dicom

VOLUME_SUFFIXES = (*nifti.SUFFIXES, *itk.SUFFIXES)
"""Suffixes of files that hold a volume each."""
ITK_PIXELS = (".raw", ".zraw")
"""Suffixes of the pixels of a header in a file of its own (.mhd, .nhdr)."""


class FoundScans(NamedTuple):
    """The scans in a folder."""

    named: list[tuple[str, Path]]
    """The name of each volume, and its file or the first file of its series."""
    segmentations: list[Header]
    """The headers of DICOM segmentations."""
    left_out: list[LeftOut]
    """Files that look like scans and are not read."""
    files: set[Path]
    """All files of the volumes and segmentations."""

    def volumes(self) -> dict[str, Path]:
        """Return the volumes by name, sorted.

        Raises:
            DataError: If two volumes have one name.
        """
        found: dict[str, Path] = {}
        for name, path in sorted(self.named):
            if name in found:
                message = f"{path} and {found[name]}: two volumes of one name; rename one"
                raise DataError(message, "duplicate-name")
            found[name] = path
        return found


def kind_of(path: Path) -> str | None:
    """Return the reader of a file, a name of `catalog.VOLUMES`; None if it is no scan."""
    name = path.name.lower()
    if name.endswith(nifti.SUFFIXES):
        return "nifti"
    if name.endswith(itk.SUFFIXES):
        return "itk"
    if is_dicom(path):
        return "dicom"
    return None


def find_scans(folder: Path) -> FoundScans:
    """Find the volumes in a folder and below it.

    The name of a volume is the path of its file below the folder, without suffix. A DICOM series is
    named like its folder; several series in a folder are named FOLDER/series_003 by their number.
    Images without a place, files of several frames and series of one slice are named by their file.

    Args:
        folder: The folder.

    Raises:
        ConfigError: If there are DICOM files and pydicom is not installed.
        DataError: If the folder is missing.
    """
    contents = list_contents(folder)
    files = [entry.path for entry in contents.left_out] + contents.others
    named: list[tuple[str, Path]] = []
    folders: set[Path] = set()
    left_out = []
    for path in files:
        kind = kind_of(path) if path.is_file() else None
        if kind == "dicom":
            folders.add(path.parent)
        elif kind is not None:
            named.append((name_of_file(path, folder), path))
    known = {path for _, path in named}
    segmentations: list[Header] = []
    for parent in sorted(folders):
        headers = headers_in(parent)
        known.update(header.path for header in headers)
        segmentations += [header for header in headers if header.kind in SEGMENTATION]
        images = [header for header in headers if header.kind not in SEGMENTATION]
        named += _names_of_dicom(images, parent, folder)
    for path in files:
        if path not in known and is_unread(path):
            left_out.append(LeftOut(path, "is no image that segkit reads, or a damaged one"))
    return FoundScans(sorted(named), segmentations, left_out, known)


def find_scan(path: Path) -> tuple[str, Path]:
    """Return the name of the volume that a file belongs to, and its first file.

    Raises:
        ConfigError: If a package is not installed.
        DataError: If it cannot be read.
    """
    alone = (name_of_file(path, path.parent), path)
    if kind_of(path) != "dicom":
        return alone
    volume = open_dicom(path)
    if volume.path == path and len(volume.frames) == 1:
        return alone
    root = path.resolve().parent
    headers = [header for header in headers_in(root) if header.kind not in SEGMENTATION]
    for name, first in _names_of_dicom(headers, root, root):
        if first.name == volume.path.name:
            return name, path.with_name(first.name)
    return alone


def is_unread(path: Path) -> bool:
    """Return whether a user may expect that a file is read as a scan although it holds none."""
    name = path.name.lower()
    if name.endswith(ITK_PIXELS) or name == "dicomdir":
        return False
    return name.endswith(SUFFIXES)


def name_of_file(path: Path, root: Path) -> str:
    """Return the name of a file below a folder, without the suffix of a scan.

    >>> name_of_file(Path("in/a/b.nii.gz"), Path("in"))
    'a/b'
    >>> name_of_file(Path("in/1.2.840"), Path("in"))
    '1.2.840'
    """
    name = path.relative_to(root).as_posix()
    for suffix in sorted((*VOLUME_SUFFIXES, *SUFFIXES), key=len, reverse=True):
        if name.lower().endswith(suffix) and path.name.lower() != suffix:
            return name[: -len(suffix)]
    return name


def _names_of_dicom(headers: Sequence[Header], parent: Path, root: Path) -> list[tuple[str, Path]]:
    """Return the names and first files of the volumes among the images of a folder."""
    named = []
    series: dict[str, list[Header]] = {}
    for header in headers:
        if is_alone(header):
            named.append((name_of_file(header.path, root), header.path))
        else:
            series.setdefault(header.series, []).append(header)
    for slices in list(series.values()):
        if len(slices) == 1:
            path = slices[0].path
            named.append((name_of_file(path, root), path))
            del series[slices[0].series]
    folder_name = root.name if parent == root else parent.relative_to(root).as_posix()
    if len(series) == 1 and not named:
        [slices] = series.values()
        return [(folder_name, slices[0].path)]
    prefix = "" if parent == root else f"{folder_name}/"
    used: set[str] = set()
    for slices in sorted(series.values(), key=lambda slices: slices[0].path):
        name = f"{prefix}series_{slices[0].series_number or 0:03d}"
        unique = name
        number = 1
        while unique in used:
            number += 1
            unique = f"{name}_{number}"
        used.add(unique)
        named.append((unique, slices[0].path))
    return named
