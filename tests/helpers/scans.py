"""Small scans, written by the libraries of the field; their tests need the extra medical."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

REASON = "needs the extra medical"
PATIENT = "Mustermann^Erika"
"""The name of the patient in all series, which must appear nowhere else."""
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
"""ImageOrientationPatient of usual scans."""


def need(*modules: str) -> Any:
    """Return the first of some modules; skip the test if one is not installed."""
    found = [pytest.importorskip(module, reason=REASON) for module in modules]
    return found[0]


def voxels(shape: Sequence[int], seed: int = 0) -> np.ndarray:
    """Return random values of a CT, int16."""
    return np.random.default_rng(seed).integers(-1000, 1500, shape).astype(np.int16)


def affine(spacing: Sequence[float] = (0.7, 0.8, 5.0), flips: str = "RAS") -> np.ndarray:
    """Return an affine whose axes grow towards the directions `flips`, letters of RAS or LPI."""
    found = np.zeros((4, 4))
    found[3, 3] = 1
    for axis, letter in enumerate(flips):
        row = next(i for i, pair in enumerate(("RL", "AP", "SI")) if letter in pair)
        sign = 1 if letter in "RAS" else -1
        found[row, axis] = sign * spacing[axis]
    found[:3, 3] = (11, -7, 3)
    return found


def save_nifti(path: Path, values: np.ndarray, matrix: np.ndarray | None = None) -> Path:
    nibabel = need("nibabel")
    path.parent.mkdir(parents=True, exist_ok=True)
    if matrix is None:
        matrix = affine()
    image = nibabel.Nifti1Image(values, matrix)
    image.header["descrip"] = PATIENT.encode()
    nibabel.save(image, path)
    return path


def save_itk(path: Path, values: np.ndarray, matrix: np.ndarray | None = None) -> Path:
    """Write values (i, j, k) with an affine of NIfTI, by SimpleITK."""
    sitk = need("SimpleITK")
    path.parent.mkdir(parents=True, exist_ok=True)
    if matrix is None:
        matrix = affine()
    lps = np.diag([-1.0, -1, 1, 1]) @ matrix
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(values.T)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    sitk.WriteImage(image, str(path))
    return path


def dicom_dataset(pixels: np.ndarray, **fields: Any) -> Any:
    """Return a DICOM dataset of CT with the pixels (rows, columns) and some fields."""
    pydicom = need("pydicom")
    uid = pydicom.uid
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = uid.CTImageStorage
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    dataset = pydicom.Dataset()
    dataset.file_meta = meta
    values = {
        "PatientName": PATIENT,
        "PatientID": "4711",
        "PatientBirthDate": "19700101",
        "PatientSex": "F",
        "AccessionNumber": "",
        "StudyID": "1",
        "StudyDate": "20260101",
        "StudyTime": "120000",
        "SOPClassUID": uid.CTImageStorage,
        "SOPInstanceUID": uid.generate_uid(),
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "FrameOfReferenceUID": "1.2.3.5",
        "SeriesNumber": 3,
        "InstanceNumber": 1,
        "Modality": "CT",
        "Manufacturer": "",
        "PositionReferenceIndicator": "",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": 8 * pixels.dtype.itemsize,
        "BitsStored": 8 * pixels.dtype.itemsize,
        "HighBit": 8 * pixels.dtype.itemsize - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "PixelData": pixels.tobytes(),
        **fields,
    }
    for name, value in values.items():
        if value is not None:
            setattr(dataset, name, value)
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def save_dicom(path: Path, dataset: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def save_series(
    folder: Path,
    values: np.ndarray,
    directions: Sequence[float] = AXIAL,
    spacing: tuple[float, float, float] = (0.8, 0.7, 5.0),
    names: Sequence[str] | None = None,
    **fields: Any,
) -> list[Path]:
    """Write a series of slices (slices, rows, columns) in Hounsfield units.

    The names of the files say nothing about the order of the slices, and they have no suffix.

    Args:
        folder: The folder.
        values: int16.
        directions: ImageOrientationPatient.
        spacing: Between rows, columns and slices, mm.
        names: Names of the files in the order of the slices.
        **fields: Further fields of all slices.
    """
    normal = np.cross(directions[:3], directions[3:])
    order = np.random.default_rng(5).permutation(len(values))
    paths = []
    for index, pixels in enumerate(values):
        name = names[index] if names else f"IM{order[index]:04d}"
        place = np.array([-20.0, -30.0, 40.0]) + normal * spacing[2] * index
        dataset = dicom_dataset(
            (pixels + 1024).astype(np.int16),
            **{
                "RescaleSlope": 1,
                "RescaleIntercept": -1024,
                "ImageOrientationPatient": list(directions),
                "ImagePositionPatient": place.tolist(),
                "PixelSpacing": [spacing[0], spacing[1]],
                "SliceThickness": spacing[2],
                "InstanceNumber": int(order[index]) + 1,
                **fields,
            },
        )
        paths.append(save_dicom(folder / name, dataset))
    return paths
