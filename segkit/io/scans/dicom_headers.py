"""Reads the headers of DICOM files that say what an image shows and where it lies.

Nothing of the patient is read here: no name, no number and no date.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.errors import ConfigError, SegkitError
from segkit.io.scans.volume import EXTRA, reading
from segkit.system.packages import need

SUFFIXES = (".dcm", ".dicom", ".ima")
"""Suffixes of DICOM files. Most have none, and are recognised by their content."""
SEGMENTATION = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""The classes of segmentations in DICOM."""
MAGIC = b"DICM"
PREAMBLE = 128
"""Bytes before the magic word."""
TAGS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "InstanceNumber",
    "Modality",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "RescaleSlope",
    "RescaleType",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)
"""The fields that are read."""


class Header(NamedTuple):
    """What one DICOM file says about its image."""

    path: Path
    kind: str
    """The UID of its class."""
    instance: str
    """Its own UID (SOPInstanceUID)."""
    series: str
    """The UID of its series."""
    series_number: int | None
    number: int
    """Its number in the series, by which images without a place are ordered."""
    modality: str
    rows: int
    columns: int
    frames: int
    is_colour: bool
    spacing: tuple[float, float] | None
    """Height and width of a pixel in the patient, mm."""
    detector_spacing: tuple[float, float] | None
    """Height and width of a pixel on the detector, mm."""
    directions: tuple[float, ...] | None
    """ImageOrientationPatient: the directions of a row and of a column; None if unknown."""
    places: tuple[tuple[float, ...], ...]
    """ImagePositionPatient of each frame, mm; empty if unknown."""
    thickness: float | None
    """Distance of slices, or else their thickness, mm."""
    unit: str
    """The unit of the values, such as HU; "" if it is unknown."""


def load_pydicom() -> Any:
    """Import pydicom such that it prints no values of a file, which might name a patient.

    Raises:
        ConfigError: If it is not installed.
    """
    pydicom = need("pydicom", EXTRA)
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    return pydicom


def is_dicom(path: Path) -> bool:
    """Return whether a file is in the DICOM format, by its suffix or its content."""
    if path.suffix.lower() in SUFFIXES:
        return True
    return has_magic(path)


def has_magic(path: Path) -> bool:
    """Return whether the content of a file begins as DICOM says; False for pipes and devices."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            return stream.read(PREAMBLE + len(MAGIC))[PREAMBLE:] == MAGIC
    except OSError:
        return False


def read_header(path: Path) -> Header | None:
    """Return the header of a DICOM file; None if it holds no image and no segmentation.

    Raises:
        ConfigError: If pydicom is not installed.
        DataError: If it cannot be read.
    """
    pydicom = load_pydicom()
    with reading(path):
        dataset = pydicom.dcmread(
            path, stop_before_pixels=True, force=True, specific_tags=list(TAGS)
        )
        if "Rows" not in dataset or "Columns" not in dataset:
            return None
        return _header(dataset, path)


def headers_in(folder: Path) -> tuple[Header, ...]:
    """Return the headers of the images and segmentations directly in a folder, sorted by path.

    Files that cannot be read are left out; reading them as images raises their error.

    Raises:
        ConfigError: If pydicom is not installed.
    """
    files = []
    for entry in os.scandir(folder):
        if entry.is_file() and not entry.name.startswith("."):
            status = entry.stat()
            files.append((entry.name, status.st_size, status.st_mtime_ns))
    return _headers_of(folder, tuple(sorted(files)))


@functools.lru_cache(maxsize=64)
def _headers_of(folder: Path, files: tuple[tuple[str, int, int], ...]) -> tuple[Header, ...]:
    """Return the headers in a folder. The size and time of each file say whether it changed."""
    headers = []
    for name, _, _ in files:
        path = folder / name
        if not is_dicom(path):
            continue
        try:
            header = read_header(path)
        except ConfigError:
            raise
        except SegkitError:
            continue
        if header is not None:
            headers.append(header)
    return tuple(headers)


def _header(dataset: Any, path: Path) -> Header:
    shared = first_item(dataset, "SharedFunctionalGroupsSequence")
    frames = list(dataset.get("PerFrameFunctionalGroupsSequence") or ())
    measures = _group(shared, frames, "PixelMeasuresSequence") or dataset
    directions = _group(shared, frames, "PlaneOrientationSequence") or dataset
    return Header(
        path=path,
        kind=str(dataset.get("SOPClassUID", "")),
        instance=str(dataset.get("SOPInstanceUID", "")),
        series=str(dataset.get("SeriesInstanceUID", "")),
        series_number=_whole(dataset.get("SeriesNumber")),
        number=_whole(dataset.get("InstanceNumber")) or 0,
        modality=str(dataset.get("Modality") or ""),
        rows=int(dataset.Rows),
        columns=int(dataset.Columns),
        frames=max(1, _whole(dataset.get("NumberOfFrames")) or 1),
        is_colour=_is_colour(dataset),
        spacing=_pair(measures.get("PixelSpacing")),
        detector_spacing=_pair(
            dataset.get("ImagerPixelSpacing") or dataset.get("NominalScannedPixelSpacing")
        ),
        directions=numbers(directions.get("ImageOrientationPatient"), 6),
        places=_places(dataset, shared, frames),
        thickness=_distance(measures.get("SpacingBetweenSlices"))
        or _distance(measures.get("SliceThickness")),
        unit=_unit(dataset, shared, frames),
    )


def first_item(dataset: Any, name: str) -> Any:
    """Return the first item of a sequence of a dataset; None if there is none."""
    if dataset is None:
        return None
    sequence = dataset.get(name)
    if not sequence:
        return None
    return sequence[0]


def _group(shared: Any, frames: Sequence[Any], name: str) -> Any:
    """Return a functional group that all frames share, or that of the first frame."""
    item = first_item(shared, name)
    if item is None and frames:
        item = first_item(frames[0], name)
    return item


def _places(dataset: Any, shared: Any, frames: Sequence[Any]) -> tuple[tuple[float, ...], ...]:
    """Return the place of each frame; empty if one is unknown."""
    found = [numbers(dataset.get("ImagePositionPatient"), 3)]
    if frames:
        found = []
        for frame in frames:
            item = first_item(frame, "PlanePositionSequence")
            if item is None:
                item = first_item(shared, "PlanePositionSequence")
            found.append(None if item is None else numbers(item.get("ImagePositionPatient"), 3))
    places = [place for place in found if place is not None]
    if len(places) < len(found):
        return ()
    return tuple(places)


def _is_colour(dataset: Any) -> bool:
    bands = _whole(dataset.get("SamplesPerPixel")) or 1
    return bands > 1 or str(dataset.get("PhotometricInterpretation", "")) == "PALETTE COLOR"


def _unit(dataset: Any, shared: Any, frames: Sequence[Any]) -> str:
    """Return the unit of the rescaled values; those of a CT are Hounsfield units."""
    scale = _group(shared, frames, "PixelValueTransformationSequence") or dataset
    unit = str(scale.get("RescaleType") or "")
    if unit in ("", "US"):
        is_ct = dataset.get("Modality") == "CT" and "RescaleSlope" in scale
        return "HU" if is_ct else ""
    return unit


def numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """Return a field of so many numbers; None if it is another."""
    try:
        found = tuple(float(number) for number in value)
    except (TypeError, ValueError):
        return None
    if len(found) != count or not np.isfinite(found).all():
        return None
    return found


def _pair(value: Any) -> tuple[float, float] | None:
    found = numbers(value, 2)
    if found is None or min(found) <= 0:
        return None
    return found[0], found[1]


def _distance(value: Any) -> float | None:
    found = numbers([value], 1)
    if found is None or found[0] == 0:
        return None
    return abs(found[0])


def _whole(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError):
        return None
