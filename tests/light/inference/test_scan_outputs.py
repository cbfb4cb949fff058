"""Masks of scans come back as a NIfTI volume or a DICOM segmentation, in the place of the scan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segkit import ConfigError, DataError, Task
from segkit.config import DataConfig, InputConfig, MaskFilesConfig, PredictConfig, RunConfig
from segkit.data.sources.source import open_source
from segkit.inference import inputs
from segkit.inference.files import Summary, predict_files
from segkit.inference.inputs import divide_images, find_images
from segkit.inference.outputs.dicom_seg import DicomSeg
from segkit.inference.outputs.nifti import Nifti
from segkit.inference.outputs.writer import Outputs
from tests.helpers.errors import fails
from tests.helpers.scans import (
    CORONAL,
    PATIENT,
    REASON,
    affine,
    dicom_dataset,
    save_dicom,
    save_itk,
    save_nifti,
    save_series,
    voxels,
)

nibabel = pytest.importorskip("nibabel", reason=REASON)
highdicom = pytest.importorskip("highdicom", reason=REASON)
sitk = pytest.importorskip("SimpleITK", reason=REASON)
pydicom = pytest.importorskip("pydicom", reason=REASON)

SHAPE = (6, 5, 4)
LIMITS = (0, 500)
"""A value of at least so much is the first, or the second class."""
TASKS = {
    "binary": Task.binary("liver"),
    "multiclass": Task.multiclass(["background", "liver", "tumour"]),
    "multilabel": Task.multilabel(["liver", "tumour"]),
}


def config_of(task: Task, **data: Any) -> RunConfig:
    section = DataConfig.model_validate({"source": "scans", **data})
    channels = 1 + 2 * section.neighbours
    flat = (0.0,) * channels
    given = InputConfig(
        channels=channels, dtype="float32", mean=flat, std=(1.0,) * channels, low=-1e4, high=1e4
    )
    return RunConfig(
        task=task,
        data=section,
        input=given,
        mask_files=MaskFilesConfig(layout="folders" if task.layered else "file", yes=1),
        predict=PredictConfig(tile=64, batch_size=3),
    )


def expected(task: Task, values: np.ndarray) -> np.ndarray:
    """Return the mask that `network` predicts of values, in their shape; (..., 2) if layered."""
    if task.layered:
        return np.stack([values >= limit for limit in LIMITS], axis=-1).astype(np.uint8)
    if task.stores_ids:
        return sum((values >= limit).astype(np.uint8) for limit in LIMITS)
    return (values >= LIMITS[0]).astype(np.uint8)


def network(task: Task, images: np.ndarray) -> np.ndarray:
    """Return sure probabilities (B, H, W, classes), which depend on the middle channel alone."""
    mask = expected(task, images[..., images.shape[-1] // 2])
    if task.layered:
        return mask.astype(np.float32)
    if task.stores_ids:
        return np.eye(task.channels, dtype=np.float32)[mask]
    return mask[..., None].astype(np.float32)


def predict(
    task: Task, where: Path | Sequence[Path], out: Path, formats: Sequence[str], **data: Any
) -> Summary:
    config = config_of(task, **data)
    paths = [where] if isinstance(where, Path) else list(where)
    images = divide_images(config, find_images(paths, out, scans=True).images)
    outputs = Outputs(out, formats=tuple(formats))
    return predict_files(lambda batch: network(task, batch), config, images, outputs)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha"])
def test_the_mask_volume_has_the_shape_and_place_of_the_image(
    tmp_path: Path, kind: str, name: str
) -> None:
    values = voxels(SHAPE)
    matrix = affine(flips="PIR")
    save = save_nifti if "nii" in name else save_itk
    image = save(tmp_path / "in" / name, values, matrix)
    summary = predict(TASKS[kind], tmp_path / "in", tmp_path / "out", ["nifti"])
    assert (summary.written, summary.failed) == (SHAPE[2], [])
    found = tmp_path / "out-nifti" / "a.nii.gz"
    volume = nibabel.load(found)
    np.testing.assert_array_equal(np.asarray(volume.dataobj), expected(TASKS[kind], values))
    assert volume.get_data_dtype() == np.uint8
    np.testing.assert_allclose(volume.affine, matrix, atol=1e-5)
    if "nii" in name:
        np.testing.assert_array_equal(volume.affine, nibabel.load(image).affine)
        assert PATIENT.encode() not in volume.to_bytes()
    oracle = sitk.ReadImage(str(found))
    reference = sitk.ReadImage(str(image))
    assert oracle.GetSize() == reference.GetSize()
    np.testing.assert_allclose(oracle.GetSpacing(), reference.GetSpacing(), rtol=1e-5)
    np.testing.assert_allclose(oracle.GetOrigin(), reference.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(oracle.GetDirection(), reference.GetDirection(), atol=1e-5)


def test_codes_and_units_of_the_header_are_kept(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(voxels(SHAPE), affine())
    image.set_qform(affine(flips="RAS"), 1)
    image.set_sform(affine((0.7, 0.8, 5.0)), 4)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_slope_inter(2, 1)
    (tmp_path / "in").mkdir()
    nibabel.save(image, tmp_path / "in" / "a.nii")
    predict(TASKS["binary"], tmp_path / "in", tmp_path / "out", ["nifti"])
    header = nibabel.load(tmp_path / "out-nifti" / "a.nii.gz").header
    assert [int(header[name]) for name in ("qform_code", "sform_code")] == [1, 4]
    assert header.get_xyzt_units()[0] == "mm"
    values = np.asarray(nibabel.load(tmp_path / "in" / "a.nii").dataobj)
    mask = np.asarray(nibabel.load(tmp_path / "out-nifti" / "a.nii.gz").dataobj)
    np.testing.assert_array_equal(mask, expected(TASKS["binary"], values))


def test_a_multilabel_task_writes_a_volume_per_class(tmp_path: Path) -> None:
    values = voxels(SHAPE)
    save_nifti(tmp_path / "in" / "monday" / "a.nii.gz", values)
    predict(TASKS["multilabel"], tmp_path / "in", tmp_path / "out", ["nifti"])
    for index, name in enumerate(("liver", "tumour")):
        path = tmp_path / "out-nifti" / name / "monday" / "a.nii.gz"
        mask = np.asarray(nibabel.load(path).dataobj)
        np.testing.assert_array_equal(mask, expected(TASKS["multilabel"], values)[..., index])


@pytest.mark.parametrize("kind", TASKS)
def test_written_masks_are_read_back_by_the_same_settings(tmp_path: Path, kind: str) -> None:
    values = voxels(SHAPE)
    image = save_nifti(tmp_path / "in" / "a_0000.nii.gz", values, affine(flips="LPS"))
    task = TASKS[kind]
    predict(task, tmp_path / "in", tmp_path / "out", ["nifti"], image_suffix="_0000")
    for masks in ("out-nifti", "out"):
        data = DataConfig(
            source="scans", images=image.parent, masks=tmp_path / masks, image_suffix="_0000"
        )
        source = open_source(data, task)
        found = np.stack([source.read(name).mask for name in source.names])
        np.testing.assert_array_equal(found, expected(task, values.transpose(2, 1, 0)))


@pytest.mark.parametrize("kind", TASKS)
def test_a_dicom_segmentation_refers_to_the_images_of_the_series(tmp_path: Path, kind: str) -> None:
    values = voxels((4, 5, 6))
    paths = save_series(tmp_path / "in" / "ct", values, CORONAL)
    task = TASKS[kind]
    summary = predict(task, tmp_path / "in", tmp_path / "out", ["dicom-seg", "nifti"])
    assert (summary.written, summary.failed) == (4, [])
    path = tmp_path / "out-dicom-seg" / "ct.dcm"
    opened = highdicom.seg.segread(path)
    instances = [str(pydicom.dcmread(image).SOPInstanceUID) for image in paths]
    names = [task.classes[index] for index in task.foreground]
    found = opened.get_pixels_by_source_instance(instances, assert_missing_frames_are_empty=True)
    masks = expected(task, values)
    for number, name in enumerate(names, start=1):
        assert opened.get_segment_description(number).segment_label == name
        layer = masks[..., number - 1] if task.layered else masks == number
        np.testing.assert_array_equal(found[..., number - 1], layer)
    source = pydicom.dcmread(paths[0])
    plain = pydicom.dcmread(path)
    for field in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID"):
        assert plain[field].value == source[field].value
    assert str(plain.PatientName) == ""
    assert plain.Modality == "SEG"
    assert plain.SeriesInstanceUID != source.SeriesInstanceUID


def test_an_empty_mask_is_a_segmentation_too(tmp_path: Path) -> None:
    save_series(tmp_path / "in", np.full((3, 5, 6), -900, np.int16))
    assert predict(TASKS["binary"], tmp_path / "in", tmp_path / "out", ["dicom-seg"]).failed == []
    opened = highdicom.seg.segread(tmp_path / "out-dicom-seg" / "in.dcm")
    assert not opened.pixel_array.any()


def test_a_series_becomes_a_nifti_volume_in_its_place(tmp_path: Path) -> None:
    values = voxels((4, 5, 6))
    save_series(tmp_path / "in", values)
    predict(TASKS["binary"], tmp_path / "in", tmp_path / "out", ["nifti"])
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "in")))
    reference = reader.Execute()
    found = sitk.ReadImage(str(tmp_path / "out-nifti" / "in.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(found), expected(TASKS["binary"], values))
    np.testing.assert_allclose(found.GetOrigin(), reference.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(found.GetDirection(), reference.GetDirection(), atol=1e-6)


def test_one_file_stands_for_its_series(tmp_path: Path) -> None:
    paths = save_series(tmp_path / "in" / "ct", voxels((4, 5, 6)))
    summary = predict(TASKS["binary"], paths, tmp_path / "out", ["dicom-seg"])
    assert summary.written == 4
    assert (tmp_path / "out-dicom-seg" / "ct.dcm").is_file()


def test_neighbours_and_windows_of_the_run_are_used(tmp_path: Path) -> None:
    values = voxels(SHAPE)
    save_nifti(tmp_path / "in" / "a.nii", values)
    predict(
        TASKS["multiclass"],
        tmp_path / "in",
        tmp_path / "out",
        ["nifti"],
        neighbours=1,
        window=(0, 800),
    )
    mask = np.asarray(nibabel.load(tmp_path / "out-nifti" / "a.nii.gz").dataobj)
    np.testing.assert_array_equal(mask, values >= 0)  # nothing above 400 remains


def test_slices_that_exist_are_skipped_and_the_volume_is_written_once(tmp_path: Path) -> None:
    save_nifti(tmp_path / "in" / "a.nii", voxels(SHAPE))
    predict(TASKS["binary"], tmp_path / "in", tmp_path / "out", ["nifti"])
    path = tmp_path / "out-nifti" / "a.nii.gz"
    before = path.stat().st_mtime_ns
    config = config_of(TASKS["binary"])
    images = divide_images(config, find_images([tmp_path / "in"], scans=True).images)
    outputs = Outputs(tmp_path / "out", formats=("nifti",))

    def never(batch: np.ndarray) -> np.ndarray:
        raise AssertionError

    summary = predict_files(never, config, images, outputs, skip_existing=True)
    assert (summary.written, summary.skipped) == (0, 4)
    assert path.stat().st_mtime_ns == before
    path.unlink()
    predict_files(never, config, images, outputs, skip_existing=True)
    assert path.is_file()


def test_a_volume_with_a_failed_slice_is_not_written(tmp_path: Path) -> None:
    paths = save_series(tmp_path / "in" / "ct", voxels((4, 5, 6)))
    save_series(tmp_path / "in" / "good", voxels((4, 5, 6)))
    paths[1].write_bytes(paths[1].read_bytes()[:-20])
    summary = predict(TASKS["binary"], tmp_path / "in", tmp_path / "out", ["nifti", "dicom-seg"])
    assert summary.written == 7
    [(_, message)] = summary.failed
    assert paths[1].name in message
    for ending in ("nifti", "dicom-seg"):
        written = {path.name.partition(".")[0] for path in (tmp_path / f"out-{ending}").iterdir()}
        assert written == {"good", "parts"}


def test_uneven_slices_have_no_nifti_but_a_segmentation(tmp_path: Path) -> None:
    paths = save_series(tmp_path / "in" / "ct", voxels((6, 5, 6)))
    paths[2].unlink()
    summary = predict(TASKS["binary"], tmp_path / "in", tmp_path / "one", ["nifti"])
    assert len(summary.failed) == 5
    assert "dicom-seg" in summary.failed[0][1]
    assert predict(TASKS["binary"], tmp_path / "in", tmp_path / "two", ["dicom-seg"]).failed == []


def test_volumes_have_no_dicom_segmentation(tmp_path: Path) -> None:
    save_nifti(tmp_path / "in" / "a.nii", voxels(SHAPE))
    summary = predict(TASKS["binary"], tmp_path / "in", tmp_path / "out", ["dicom-seg"])
    assert summary.written == 0
    assert all("a.nii" in message for _, message in summary.failed)


def test_a_damaged_volume_does_not_stop_the_others(tmp_path: Path) -> None:
    save_nifti(tmp_path / "in" / "a.nii", voxels(SHAPE))
    (tmp_path / "in" / "b.nii").write_bytes(b"nonsense")
    summary = predict(TASKS["binary"], tmp_path / "in", tmp_path / "out", ["nifti"])
    assert summary.written == 4
    [(path, _)] = summary.failed
    assert "b.nii" in path.name


def test_results_in_the_input_folder_are_not_predicted(tmp_path: Path) -> None:
    save_nifti(tmp_path / "a.nii", voxels(SHAPE))
    for _ in range(2):
        summary = predict(TASKS["binary"], tmp_path, tmp_path / "out", ["nifti"])
        assert (summary.written, summary.failed) == (4, [])


def test_names_that_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    for kind in (DicomSeg, Nifti):
        output = kind(TASKS["binary"], tmp_path / "out")
        for name in ("../up", "/tmp/up", "a/../../up"):
            for paths in (output.paths, output.volume_paths):
                with fails(DataError, "unsafe-name"):
                    paths(name)


def test_the_name_of_the_patient_is_in_no_output(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save_series(tmp_path / "in" / "ct", voxels((4, 5, 6)))
    dataset = dicom_dataset(np.ones((3, 4), np.uint16), PatientBirthDate="no date")
    save_dicom(tmp_path / "in" / "x" / "a.dcm", dataset)
    predict(TASKS["binary"], tmp_path / "in", tmp_path / "out", ["nifti", "dicom-seg"])
    surname = PATIENT.partition("^")[0]
    assert surname not in "".join(capfd.readouterr())
    written = [path for path in tmp_path.glob("out*/**/*") if path.is_file()]
    assert len(written) > 4
    for path in written:
        content = path.read_bytes()
        if path.name.endswith(".gz"):
            content = nibabel.load(path).to_bytes()
        assert surname.encode() not in content


def test_other_runs_refuse_the_formats_of_volumes(monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(TASKS["binary"])
    monkeypatch.setattr(inputs, "config_together", lambda runs, tta: (config, [config]))
    assert inputs.read_scans([Path("run")], None, ["nifti"])
    config = config.model_copy(update={"data": DataConfig()})
    assert not inputs.read_scans([Path("run")], None, ["coco"])
    with fails(ConfigError, "contradiction", "nifti", "folder", setting="--format"):
        inputs.read_scans([Path("run")], None, ["nifti"])
