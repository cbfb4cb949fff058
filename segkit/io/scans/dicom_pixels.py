"""Reads the pixels of a DICOM frame as measured values, or as colours in RGB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from segkit.io.scans.dicom_headers import first_item, has_magic, load_pydicom
from segkit.io.scans.volume import reading

GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")


def read_dicom_frame(path: Path, frame: int) -> np.ndarray:
    """Return the values of one frame of a DICOM file.

    MONOCHROME1, where the lowest value is white, is inverted. The rescale slope and intercept, or
    the modality table, are applied. Padding becomes the lowest other value. No window is applied.

    Args:
        path: The file.
        frame: The number of the frame, from 0.

    Returns:
        (H, W) float32 in the unit of the file, or (H, W, 3) uint8 or uint16 in RGB.

    Raises:
        ConfigError: If pydicom is not installed.
        DataError: If it cannot be read.
    """
    pydicom = load_pydicom()
    with reading(path):
        stored, dataset = _decode(pydicom, path, frame)
        if stored.ndim == 3:
            return stored
        if dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
            return np.asarray(pydicom.pixels.apply_color_lut(stored, dataset))
        return _measured(pydicom, stored, dataset, frame)


def _decode(pydicom: Any, path: Path, frame: int) -> tuple[np.ndarray, Any]:
    """Return the stored values of a frame, in RGB if they are colours, and the dataset."""
    if not has_magic(path):  # an old file without a header of its own
        dataset = pydicom.dcmread(path, force=True)
        if "TransferSyntaxUID" not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        return pydicom.pixels.pixel_array(dataset, index=frame), dataset
    dataset = pydicom.Dataset()
    tags = [pydicom.datadict.tag_for_keyword(name) for name in GROUPS]
    stored = pydicom.pixels.pixel_array(path, ds_out=dataset, specific_tags=tags, index=frame)
    return stored, dataset


def _measured(pydicom: Any, stored: np.ndarray, dataset: Any, frame: int) -> np.ndarray:
    padding = _padding(stored, dataset)
    if dataset.get("PhotometricInterpretation") == "MONOCHROME1":
        stored = _inverted(stored, dataset)
    scale = _scale_of_frame(dataset, frame)
    if scale is None:
        values = pydicom.pixels.apply_modality_lut(stored, dataset)
    else:
        values = stored * float(scale.RescaleSlope) + float(scale.RescaleIntercept)
    values = np.asarray(values).astype(np.float32)
    if padding is not None and not padding.all():
        values[padding] = values[~padding].min()
    return values


def _inverted(stored: np.ndarray, dataset: Any) -> np.ndarray:
    """Return stored values with their range of bits turned around."""
    levels = 2 ** int(dataset.BitsStored)
    is_signed = int(dataset.PixelRepresentation) == 1
    lowest_plus_highest = -1 if is_signed else levels - 1
    return lowest_plus_highest - stored.astype(np.int64)


def _scale_of_frame(dataset: Any, frame: int) -> Any:
    """Return the functional group with slope and intercept of a frame; None if there is none."""
    frames = dataset.get(GROUPS[1]) or ()
    groups = [first_item(dataset, GROUPS[0])]
    if frame < len(frames):
        groups.insert(0, frames[frame])
    for group in groups:
        scale = first_item(group, "PixelValueTransformationSequence")
        if scale is not None:
            return scale
    return None


def _padding(stored: np.ndarray, dataset: Any) -> np.ndarray | None:
    """Return where pixels are padding around the image, (H, W) bool; None if nowhere."""
    value = dataset.get("PixelPaddingValue")
    if value is None or isinstance(value, bytes):
        return None
    limit = dataset.get("PixelPaddingRangeLimit")
    ends = [_as_stored(value, dataset)]
    if limit is not None and not isinstance(limit, bytes):
        ends.append(_as_stored(limit, dataset))
    padding = (stored >= min(ends)) & (stored <= max(ends))
    return padding if padding.any() else None


def _as_stored(value: Any, dataset: Any) -> int:
    """Return a padding value with the sign of the pixels, which its type may lack."""
    number = int(value)
    bits = int(dataset.BitsAllocated)
    is_signed = int(dataset.PixelRepresentation) == 1
    if is_signed and number >= 2 ** (bits - 1):
        return number - 2**bits
    return number
