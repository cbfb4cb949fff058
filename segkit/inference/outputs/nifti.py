"""NIfTI: one mask volume for each volume, with the shape and the affine of the image."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np

from segkit.errors import DataError
from segkit.inference.outputs.volumes import VolumeMask, VolumeOutput
from segkit.io.atomic import together
from segkit.io.coding import Coding
from segkit.io.scans.nifti import NiftiVolume
from segkit.io.scans.volume import EXTRA, Volume
from segkit.system.packages import need

TEXTS = ("descrip", "aux_file", "db_name", "intent_name")
"""The texts of a NIfTI header; they may name a patient, and are not copied."""
SCANNER = 1
"""The code of coordinates of the scanner."""


class Nifti(VolumeOutput):
    """Writes DIR-nifti/NAME.nii.gz; DIR-nifti/CLASS/NAME.nii.gz if each class has a folder.

    The values are those of the masks, as the data set stores them or by --coding.
    """

    ending = "-nifti"

    def check(self, volume: Volume) -> None:
        """Refuse a series whose slices have uneven distances, because an affine cannot say so."""
        if volume.is_even:
            return
        raise DataError(
            f"{volume.path.parent}: slices are missing or uneven, and a NIfTI volume has one "
            f"distance; add the missing files, or write --format dicom-seg",
            "scan-gaps",
        )

    def volume_paths(self, name: str) -> list[Path]:
        pictures = self.coding.paths(self.folder, name)
        return [path.with_name(f"{path.name[: -len(path.suffix)]}.nii.gz") for path in pictures]

    def write_volume(self, mask: VolumeMask) -> None:
        paths = self.volume_paths(mask.name)
        with together(paths) as temporaries:
            for number, temporary in enumerate(temporaries):
                stored = _encoded(self.coding, mask.values, number)
                content = as_nifti(stored, mask.volume).to_bytes()
                temporary.write_bytes(gzip.compress(content, mtime=0))


def _encoded(coding: Coding, values: np.ndarray, number: int) -> np.ndarray:
    """Return what file `number` of a coding stores, slice by slice."""
    if coding.in_colours:
        raise DataError("masks of colours cannot be a volume; use --coding segkit", "mask-colours")
    stored = np.zeros(values.shape[:3], coding.dtype)
    for index in range(values.shape[2]):
        stored[:, :, index] = coding.encode(values[:, :, index], number)
    return stored


def as_nifti(stored: np.ndarray, volume: Volume) -> Any:
    """Return a NIfTI image of nibabel with the place of a volume.

    Args:
        stored: Whole numbers (I, J, K) in the order of the volume's file.
        volume: The volume. The header of a NIfTI volume is copied, but not its texts.
    """
    nibabel = need("nibabel", EXTRA)
    if isinstance(volume, NiftiVolume):
        header = volume.header.copy()
        for field in TEXTS:
            header[field] = b""
        header["intent_code"] = 0
        header["cal_min"] = 0
        header["cal_max"] = 0
        header.extensions.clear()
        header.set_data_shape(stored.shape)
        header.set_data_dtype(stored.dtype)
        image_class = nibabel.Nifti1Image
        if int(header["sizeof_hdr"]) != 348:
            image_class = nibabel.Nifti2Image
        return image_class(stored, None, header)
    image = nibabel.Nifti1Image(stored, volume.grid.affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(volume.grid.affine, SCANNER)
    image.set_sform(volume.grid.affine, SCANNER)
    return image
