"""DICOM SEG: one segmentation for each series, which refers to its images."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from segkit import __version__
from segkit.errors import DataError, SegkitError, one_line
from segkit.inference.outputs.volumes import VolumeMask, VolumeOutput
from segkit.io.atomic import atomic
from segkit.io.names import file_in
from segkit.io.scans.dicom import DicomVolume
from segkit.io.scans.dicom_headers import load_pydicom
from segkit.io.scans.volume import EXTRA, Volume
from segkit.system.packages import need
from segkit.task.layers import layer_of

BLANK = ("PatientName", "PatientBirthDate", "ReferringPhysicianName")
"""Fields of the images that a segmentation leaves empty."""
REQUIRED = (
    "PatientID",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
)
"""Fields that a segmentation copies from the images; they may be empty."""
NUMBER_OF_SERIES = 1000
"""Added to the number of the series of the images, it makes that of the segmentation."""


class DicomSeg(VolumeOutput):
    """Writes DIR-dicom-seg/NAME.dcm: a segment for each class that is not the background."""

    ending = "-dicom-seg"

    def check(self, volume: Volume) -> None:
        """Refuse volumes that are not DICOM, because a segmentation refers to DICOM images."""
        if not isinstance(volume, DicomVolume):
            raise DataError(
                f"{volume.path}: is no DICOM series, and a DICOM segmentation refers to one; write "
                f"--format nifti",
                "scan-axes",
            )

    def volume_paths(self, name: str) -> list[Path]:
        return [file_in(self.folder, name, ".dcm")]

    def write_volume(self, mask: VolumeMask) -> None:
        assert isinstance(mask.volume, DicomVolume)
        slices = []
        for index in range(mask.values.shape[2]):
            plane = mask.values[:, :, index].swapaxes(0, 1)
            layers = [layer_of(self.task, plane, label) for label in self.task.foreground]
            slices.append(np.stack(layers, axis=-1))
        frames = np.stack(slices).astype(np.uint8)
        names = [self.task.classes[index] for index in self.task.foreground]
        try:
            dataset = segmentation(mask.volume, frames, names)
        except SegkitError:
            raise
        except Exception as problem:  # highdicom raises errors of every type
            reason = one_line(problem)
            raise DataError(
                f"{mask.volume.path}: its segmentation cannot be written ({reason}); write "
                f"--format nifti",
            ) from problem
        with atomic(self.volume_paths(mask.name)[0]) as temporary:
            dataset.save_as(temporary)


def segmentation(volume: DicomVolume, frames: np.ndarray, names: list[str]) -> Any:
    """Return a DICOM segmentation that refers to the images of a volume.

    Args:
        volume: The volume.
        frames: (slices, rows, columns, classes) uint8 of 0 and 1, in the order of the volume.
        names: The names of the classes.

    Raises:
        ConfigError: If highdicom is not installed.
        Exception: Of highdicom, if the images lack a field that a segmentation needs.
    """
    highdicom = need("highdicom", EXTRA)
    need("highdicom.seg", EXTRA)
    pydicom = load_pydicom()
    sources = [_source(pydicom, path) for path in volume.files]
    if not volume.is_series:
        frames = frames[np.argsort([frame.number for frame in volume.frames])]
    digest = hashlib.sha256(frames.tobytes()).hexdigest()
    entropy = [sources[0].SeriesInstanceUID, digest, *names]
    return highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=frames,
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=_descriptions(highdicom, pydicom, names),
        series_instance_uid=pydicom.uid.generate_uid(entropy_srcs=["series", *entropy]),
        series_number=NUMBER_OF_SERIES + int(sources[0].get("SeriesNumber") or 0),
        sop_instance_uid=pydicom.uid.generate_uid(entropy_srcs=["instance", *entropy]),
        instance_number=1,
        manufacturer="segkit",
        manufacturer_model_name="segkit",
        software_versions=__version__,
        device_serial_number="none",
        omit_empty_frames=bool(frames.any()),
    )


def _source(pydicom: Any, path: Path) -> Any:
    """Return the fields of an image without its pixels, and without the name of the patient."""
    dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
    for field in BLANK:
        setattr(dataset, field, "")
    for field in REQUIRED:
        if field not in dataset:
            setattr(dataset, field, "")
    return dataset


def _descriptions(highdicom: Any, pydicom: Any, names: list[str]) -> list[Any]:
    """Return the description of each segment: its class, and who made it.

    The class is the label. Its code is the general one of a tissue, because names of classes have
    no codes.
    """
    codes = need("pydicom.sr.codedict", EXTRA).codes
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="segkit", version=__version__, family=codes.cid7162.ArtificialIntelligence
    )
    described = []
    for number, name in enumerate(names, start=1):
        description = highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=name[:64],
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Tissue,
            algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
        )
        described.append(description)
    return described
