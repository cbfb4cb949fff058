"""DICOM: values as SimpleITK rescales them, slices in the order of their places, no patient."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from segkit import DataError
from segkit.io.scans.dicom import DicomVolume, open_dicom, volume_of
from segkit.io.scans.dicom_headers import is_dicom, read_header
from segkit.io.scans.dicom_pixels import read_dicom_frame
from segkit.io.scans.finding import find_scan, find_scans
from segkit.io.scans.slices import ScanSettings, open_volume, read_slice, slice_path, slices_apart
from tests.helpers.errors import fails
from tests.helpers.scans import (
    AXIAL,
    CORONAL,
    PATIENT,
    REASON,
    SAGITTAL,
    dicom_dataset,
    save_dicom,
    save_series,
    voxels,
)

pydicom = pytest.importorskip("pydicom", reason=REASON)
sitk = pytest.importorskip("SimpleITK", reason=REASON)

SHAPE = (4, 5, 6)
"""Slices, rows and columns."""
GREY = [
    "CT_small.dcm",
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "693_J2KI.dcm",
    "JPEG2000.dcm",
    "JPGExtended.dcm",
]
COLOURS = ["SC_rgb_rle.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_small_odd.dcm", "SC_rgb_gdcm_KY.dcm"]


def shipped(name: str) -> Path:
    """Return one of pydicom's own test files; only those in its package are used."""
    path = Path(pydicom.data.__file__).parent / "test_files" / name
    if not path.is_file():
        pytest.skip(f"pydicom ships no {name}")
    return path


def stack(volume: DicomVolume) -> np.ndarray:
    """Return the values of a volume, (slices, rows, columns)."""
    return np.stack([volume.plane(2, index).T for index in range(volume.grid.shape[2])])


@pytest.mark.parametrize("name", GREY)
def test_grey_values_are_those_of_simpleitk(name: str) -> None:
    path = shipped(name)
    found = read_dicom_frame(path, 0)
    oracle = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[0]
    assert found.dtype == np.float32
    measured = np.full(oracle.shape, True)
    padding = pydicom.dcmread(path).get("PixelPaddingValue")
    if padding is not None:
        measured = pydicom.pixels.pixel_array(path) != padding
    tolerance = 1.01 if "JPG" in name else 1e-3  # decoders of JPEG round differently
    np.testing.assert_allclose(found[measured], oracle[measured], atol=tolerance)


@pytest.mark.parametrize("name", COLOURS)
def test_colours_are_rgb(name: str) -> None:
    path = shipped(name)
    found = read_dicom_frame(path, 0)
    oracle = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    assert found.dtype == np.uint8
    difference = np.abs(found.astype(int) - oracle.reshape(found.shape))
    assert difference.max() <= 2  # decoders of JPEG round differently


def test_ultrasound_in_ybr_is_a_volume_of_frames_in_rgb() -> None:
    path = shipped("examples_ybr_color.dcm")
    volume = open_dicom(path)
    assert volume.grid.shape == (320, 240, 30)
    found = read_slice(slice_path(path, 7), ScanSettings()).values
    assert found.shape == (240, 320, 3)
    oracle = pydicom.pixels.pixel_array(path, index=7)
    np.testing.assert_array_equal(found, oracle)


def test_a_palette_becomes_its_colours() -> None:
    path = shipped("examples_palette.dcm")
    found = read_dicom_frame(path, 0)
    dataset = pydicom.dcmread(path)
    expected = pydicom.pixels.apply_color_lut(dataset.pixel_array, dataset)
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(found.reshape(-1, 3), axis=0)) > 10


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_white_zero_is_inverted_within_its_bits(tmp_path: Path, dtype: type) -> None:
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    pixels = np.array([[low, high], [0, 5]], dtype)
    dataset = dicom_dataset(pixels, PhotometricInterpretation="MONOCHROME1")
    found = read_dicom_frame(save_dicom(tmp_path / "a.dcm", dataset), 0)
    np.testing.assert_array_equal(found, low + high - pixels.astype(int))


def test_twelve_bits_are_inverted_within_twelve_bits(tmp_path: Path) -> None:
    pixels = np.array([[0, 4095], [7, 100]], np.uint16)
    dataset = dicom_dataset(
        pixels,
        PhotometricInterpretation="MONOCHROME1",
        BitsStored=12,
        HighBit=11,
        RescaleSlope=2,
        RescaleIntercept=1,
    )
    found = read_dicom_frame(save_dicom(tmp_path / "a.dcm", dataset), 0)
    np.testing.assert_array_equal(found, (4095 - pixels.astype(int)) * 2 + 1)


def test_padding_becomes_the_lowest_measured_value(tmp_path: Path) -> None:
    pixels = np.array([[-2000, -1000], [7, 100]], np.int16)
    dataset = dicom_dataset(pixels, PixelPaddingValue=-2000, RescaleSlope=1, RescaleIntercept=-24)
    found = read_dicom_frame(save_dicom(tmp_path / "a.dcm", dataset), 0)
    np.testing.assert_array_equal(found, [[-1024, -1024], [-17, 76]])


@pytest.mark.parametrize("directions", [AXIAL, CORONAL, SAGITTAL])
def test_trap_33_slices_are_ordered_by_their_place_and_lie_as_in_simpleitk(
    tmp_path: Path, directions: tuple[float, ...]
) -> None:
    values = voxels(SHAPE)
    save_series(tmp_path / "ct", values, directions)
    volume = open_dicom(min((tmp_path / "ct").iterdir()))
    np.testing.assert_array_equal(stack(volume), values)
    reader = sitk.ImageSeriesReader()
    files = reader.GetGDCMSeriesFileNames(str(tmp_path / "ct"), "1.2.3.4")
    reader.SetFileNames(files)
    oracle = reader.Execute()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(oracle), values)
    for corner in ((0, 0, 0), (5, 4, 3), (2, 1, 3)):
        place = volume.grid.affine @ (*corner, 1)
        lps = np.array(oracle.TransformIndexToPhysicalPoint(corner))
        np.testing.assert_allclose(place[:3], lps * (-1, -1, 1), atol=1e-4)
    assert volume.unit == "HU"
    assert volume.remarks == []


@pytest.mark.parametrize(
    ("directions", "plane"), [(AXIAL, "axial"), (CORONAL, "coronal"), (SAGITTAL, "sagittal")]
)
def test_the_slices_of_a_usual_series_are_shown_as_they_are_stored(
    tmp_path: Path, directions: tuple[float, ...], plane: str
) -> None:
    values = voxels(SHAPE)
    save_series(tmp_path / "ct", values, directions)
    name, path = find_scan(max((tmp_path / "ct").iterdir()))
    assert name == "ct"
    for settings in (ScanSettings(), ScanSettings(axis=plane)):
        addresses = slices_apart({name: path}, settings)
        assert list(addresses) == [f"ct/slice_{number:03d}" for number in range(1, 5)]
        for expected, address in zip(values, addresses.values(), strict=True):
            found = read_slice(address, settings)
            np.testing.assert_array_equal(found.values[..., 0], expected)
            assert found.geometry is not None
            assert found.geometry.pixel_size == pytest.approx((0.8, 0.7))


def test_a_series_can_be_cut_in_another_direction(tmp_path: Path) -> None:
    values = voxels(SHAPE)
    save_series(tmp_path, values)
    path = open_dicom(min(tmp_path.iterdir())).path
    found = read_slice(slice_path(path, 2), ScanSettings(axis="coronal")).values[..., 0]
    np.testing.assert_array_equal(found, values[::-1, 2])


def test_files_are_recognised_by_their_content(tmp_path: Path) -> None:
    save_series(tmp_path / "ct", voxels(SHAPE))
    (tmp_path / "ct" / "notes").write_text("x" * 500)
    found = find_scans(tmp_path)
    assert list(found.volumes()) == ["ct"]
    assert found.left_out == []
    assert not is_dicom(tmp_path / "ct" / "notes")


def test_a_pipe_is_no_dicom_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert not is_dicom(tmp_path / "pipe")
    assert find_scans(tmp_path).named == []


def test_a_file_without_a_preamble_is_read_by_its_suffix() -> None:
    path = shipped("no_meta.dcm")
    assert read_header(path) is None or read_dicom_frame(path, 0).ndim >= 2


def test_several_series_of_a_folder_are_volumes_of_their_own(tmp_path: Path) -> None:
    for number in (2, 7):
        save_series(
            tmp_path / "study",
            voxels(SHAPE, number),
            names=[f"{number}_{i}" for i in range(4)],
            SeriesInstanceUID=f"1.2.{number}",
            SeriesNumber=number,
        )
    save_series(tmp_path / "other", voxels(SHAPE, 1))
    found = find_scans(tmp_path).volumes()
    assert list(found) == ["other", "study/series_002", "study/series_007"]
    np.testing.assert_array_equal(stack(open_dicom(found["study/series_007"])), voxels(SHAPE, 7))


def test_series_of_one_number_get_different_names(tmp_path: Path) -> None:
    for number in (2, 7):
        names = [f"{number}_{i}" for i in range(4)]
        save_series(tmp_path, voxels(SHAPE), names=names, SeriesInstanceUID=f"1.2.{number}")
    assert list(find_scans(tmp_path).volumes()) == ["series_003", "series_003_2"]


def test_images_without_a_place_are_named_by_their_files(tmp_path: Path) -> None:
    for name in ("a.dcm", "1.2.840.5"):
        dataset = dicom_dataset(np.ones((3, 4), np.uint16), Modality="DX")
        save_dicom(tmp_path / "chest" / name, dataset)
    found = find_scans(tmp_path).volumes()
    assert list(found) == ["chest/1.2.840.5", "chest/a"]
    assert list(slices_apart(found, ScanSettings())) == ["chest/1.2.840.5", "chest/a"]


def test_the_spacing_of_the_detector_is_a_remark(tmp_path: Path) -> None:
    dataset = dicom_dataset(
        np.ones((3, 4), np.uint16), Modality="DX", ImagerPixelSpacing=[0.2, 0.1]
    )
    path = save_dicom(tmp_path / "a.dcm", dataset)
    found = read_slice(slice_path(path, 0), ScanSettings()).geometry
    assert found is not None
    assert found.pixel_size == pytest.approx((0.2, 0.1))
    assert found.orientation is None
    assert [code for code, _ in open_volume(path).remarks] == ["scan-spacing"]


def test_an_unknown_size_of_a_pixel_stays_unknown(tmp_path: Path) -> None:
    path = save_dicom(tmp_path / "a.dcm", dicom_dataset(np.ones((3, 4), np.uint16)))
    assert read_slice(slice_path(path, 0), ScanSettings()).geometry is None


def test_a_missing_slice_is_a_remark_with_its_neighbours(tmp_path: Path) -> None:
    paths = save_series(tmp_path, voxels((6, 5, 6)))
    paths[3].unlink()
    volume = open_dicom(paths[0])
    assert not volume.is_even
    [(code, message)] = volume.remarks
    assert code == "scan-gaps"
    for value in ("5 mm", "10 mm", paths[2].name, paths[4].name):
        assert value in message


def test_two_slices_at_one_place_are_refused(tmp_path: Path) -> None:
    save_series(tmp_path, voxels(SHAPE), names=[f"a{i}" for i in range(4)])
    save_series(tmp_path, voxels(SHAPE), names=[f"b{i}" for i in range(4)])
    with fails(DataError, "scan-slices", tmp_path, "a0", "b0"):
        open_dicom(tmp_path / "a1")


def test_slices_of_different_sizes_are_refused(tmp_path: Path) -> None:
    save_series(tmp_path, voxels(SHAPE), names=[f"a{i}" for i in range(4)])
    dataset = dicom_dataset(
        np.ones((9, 8), np.int16),
        ImagePositionPatient=[0, 0, 200],
        ImageOrientationPatient=list(AXIAL),
    )
    save_dicom(tmp_path / "b", dataset)
    with fails(DataError, "scan-slices", "a0", "b", 8, 9):
        open_dicom(tmp_path / "a0")


def enhanced(pixels: np.ndarray, order: list[int]) -> object:
    """Return a multi-frame CT whose frames are stored in an order, each with its scale."""
    dataset = dicom_dataset(pixels[0], NumberOfFrames=len(pixels), PixelSpacing=None)
    dataset.PixelData = pixels[order].tobytes()
    shared = pydicom.Dataset()
    measures = pydicom.Dataset()
    measures.PixelSpacing = [0.8, 0.7]
    measures.SliceThickness = 2
    orientation = pydicom.Dataset()
    orientation.ImageOrientationPatient = list(AXIAL)
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [orientation]
    dataset.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for index in order:
        frame = pydicom.Dataset()
        place = pydicom.Dataset()
        place.ImagePositionPatient = [1, 2, 3 + 2 * index]
        scale = pydicom.Dataset()
        scale.RescaleSlope = index + 1
        scale.RescaleIntercept = -10
        scale.RescaleType = "HU"
        frame.PlanePositionSequence = [place]
        frame.PixelValueTransformationSequence = [scale]
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    return dataset


def test_frames_of_one_file_are_ordered_and_scaled_by_their_own_groups(tmp_path: Path) -> None:
    pixels = voxels(SHAPE)
    path = save_dicom(tmp_path / "a.dcm", enhanced(pixels, [2, 0, 3, 1]))
    volume = open_dicom(path)
    expected = pixels * np.arange(1.0, 5)[:, None, None] - 10
    np.testing.assert_array_equal(stack(volume), expected)
    assert volume.grid.spacing == pytest.approx((0.7, 0.8, 2))
    assert volume.unit == "HU"
    assert list(find_scans(tmp_path).volumes()) == ["a"]


def test_files_without_an_image_are_left_out(tmp_path: Path) -> None:
    save_series(tmp_path / "ct", voxels(SHAPE))
    for name in ("rtstruct.dcm", "test-SR.dcm"):
        (tmp_path / "ct" / name).write_bytes(shipped(name).read_bytes())
    found = find_scans(tmp_path)
    assert list(found.volumes()) == ["ct"]
    assert {entry.path.name for entry in found.left_out} == {"rtstruct.dcm", "test-SR.dcm"}
    with fails(DataError, "unreadable", "rtstruct.dcm"):
        open_dicom(tmp_path / "ct" / "rtstruct.dcm")


def test_a_damaged_slice_is_named(tmp_path: Path) -> None:
    paths = save_series(tmp_path, voxels(SHAPE))
    volume = open_dicom(paths[0])
    paths[2].write_bytes(paths[2].read_bytes()[:-45])
    with pytest.raises(DataError) as problem:
        volume.plane(2, 2)
    assert str(paths[2]) in str(problem.value)
    paths[2].unlink()
    with fails(DataError, "missing-file", paths[2]):
        volume.plane(2, 2)


def test_headers_hold_nothing_of_the_patient(tmp_path: Path) -> None:
    [path] = save_series(tmp_path, voxels((1, 5, 6)))
    header = read_header(path)
    assert header is not None
    for value in (PATIENT, "4711", "19700101", "Mustermann"):
        assert value not in repr(header)
    assert stack(volume_of([header])).shape == (1, 5, 6)
