"""Volumes are read as another library writes or reads them, and their slices lie as in DICOM."""

from __future__ import annotations

import sys
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest

from segkit import ConfigError, DataError
from segkit.io.geometry import Geometry
from segkit.io.scans.finding import find_scans
from segkit.io.scans.slices import (
    ScanSettings,
    is_slice,
    open_volume,
    place_of_slice,
    read_slice,
    slice_path,
    slices_apart,
    view_of_volume,
)
from segkit.io.scans.views import PLANES, view_of
from segkit.io.scans.volume import Grid
from tests.helpers.errors import fails
from tests.helpers.scans import REASON, affine, save_itk, save_nifti, voxels

nibabel = pytest.importorskip("nibabel", reason=REASON)
sitk = pytest.importorskip("SimpleITK", reason=REASON)

SHAPE = (6, 5, 4)
ORIENTATIONS = [
    "".join(letters) for axes in permutations(("RL", "AP", "SI")) for letters in product(*axes)
]
ITK = [".mha", ".mhd", ".nrrd", ".nhdr"]


def whole(path: Path) -> np.ndarray:
    """Return all values of a volume, slice by slice."""
    volume = open_volume(path)
    return np.stack([volume.plane(2, index) for index in range(volume.grid.shape[2])], axis=2)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_simpleitk_reads_the_same_values_and_place_from_nifti(tmp_path: Path, suffix: str) -> None:
    values = voxels(SHAPE)
    path = save_nifti(tmp_path / f"a{suffix}", values, affine(flips="LAS"))
    oracle = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(whole(path), sitk.GetArrayFromImage(oracle).T)
    volume = open_volume(path)
    np.testing.assert_allclose(volume.grid.spacing, oracle.GetSpacing(), rtol=1e-6)
    corner = (5, 4, 3)
    place = volume.grid.affine @ (*corner, 1)
    lps = oracle.TransformIndexToPhysicalPoint(corner)
    np.testing.assert_allclose(place[:3], np.array(lps) * (-1, -1, 1), atol=1e-4)


@pytest.mark.parametrize("suffix", ITK)
def test_files_of_itk_have_the_values_and_place_that_were_written(
    tmp_path: Path, suffix: str
) -> None:
    values = voxels(SHAPE)
    path = save_itk(tmp_path / f"a{suffix}", values, affine(flips="PIR"))
    np.testing.assert_array_equal(whole(path), values)
    np.testing.assert_allclose(open_volume(path).grid.affine, affine(flips="PIR"), atol=1e-6)


def test_nifti_applies_the_scale_of_its_header(tmp_path: Path) -> None:
    values = voxels(SHAPE)
    for name in ("a.nii", "a.nii.gz"):
        image = nibabel.Nifti1Image(values, affine())
        image.header.set_slope_inter(0.5, 10)
        path = tmp_path / name
        nibabel.save(image, path)
        oracle = nibabel.load(path).get_fdata()
        np.testing.assert_allclose(whole(path), oracle)
        assert abs(oracle - values).max() > 1


@pytest.mark.parametrize("flips", ORIENTATIONS)
@pytest.mark.parametrize("plane", PLANES)
def test_a_slice_is_shown_as_nibabel_turns_the_volume(
    tmp_path: Path, flips: str, plane: str
) -> None:
    """The oracle turns the whole volume to the plane's directions."""
    values = voxels(SHAPE)
    matrix = affine(flips=flips)
    path = save_nifti(tmp_path / "a.nii", values, matrix)
    turned = nibabel.orientations.apply_orientation(
        values,
        nibabel.orientations.ornt_transform(
            nibabel.io_orientation(matrix), nibabel.orientations.axcodes2ornt(PLANES[plane])
        ),
    )
    settings = ScanSettings(axis=plane)
    addresses = list(slices_apart({"a": path}, settings).values())
    assert len(addresses) == turned.shape[2]
    for index, address in enumerate(addresses):
        found = read_slice(address, settings)
        np.testing.assert_array_equal(found.values[..., 0], turned[:, :, index])
        assert found.values.dtype == np.float32
        assert found.geometry is not None
        assert found.geometry.orientation == "".join(PLANES[plane])


@pytest.mark.parametrize("flips", ORIENTATIONS)
@pytest.mark.parametrize("plane", PLANES)
def test_slices_turned_back_are_the_volume_of_the_file(flips: str, plane: str) -> None:
    values = voxels(SHAPE)
    grid = Grid(SHAPE, affine(flips=flips))
    view = view_of(grid, plane, "a")
    again = np.zeros_like(values)
    along = np.moveaxis(again, view.axes[2], 0)
    for index in range(view.count(grid)):
        stored = view.stored_index(grid, index)
        image = view.upright(values.take(stored, axis=view.axes[2]))
        assert image.shape == view.image_shape(grid)
        along[stored] = view.stored(image)
    np.testing.assert_array_equal(again, values)


@pytest.mark.parametrize(
    ("flips", "spacing", "plane"),
    [
        ("RAS", (1, 1, 5), "axial"),
        ("LSP", (1, 1, 3), "coronal"),
        ("SRA", (1, 4, 1), "sagittal"),
        ("RAS", (5, 1, 1), "sagittal"),
    ],
)
def test_slices_lie_across_the_largest_spacing(
    tmp_path: Path, flips: str, spacing: tuple[float, ...], plane: str
) -> None:
    path = save_nifti(tmp_path / "a.nii", voxels(SHAPE), affine(spacing, flips))
    assert view_of_volume(open_volume(path), ScanSettings()).plane == plane


def test_equal_spacing_asks_for_the_direction(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii", voxels(SHAPE), affine((1, 1, 1.05)))
    with fails(ConfigError, "missing-setting", path, "axial", setting="data.axis"):
        slices_apart({"a": path}, ScanSettings())
    assert len(slices_apart({"a": path}, ScanSettings(axis="coronal"))) == 5


def test_a_flat_volume_is_one_image_of_its_own_name(tmp_path: Path) -> None:
    values = voxels((6, 1, 4))
    path = save_nifti(tmp_path / "a.nii", values, affine((1, 1, 1)))
    [(name, address)] = slices_apart({"a": path}, ScanSettings()).items()
    assert name == "a"
    np.testing.assert_array_equal(
        read_slice(address, ScanSettings()).values[..., 0], values[:, 0].T[::-1, ::-1]
    )


def test_the_size_of_a_pixel_is_height_and_width(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii", voxels(SHAPE), affine((0.7, 0.8, 5.0)))
    found = read_slice(slice_path(path, 0), ScanSettings()).geometry
    assert isinstance(found, Geometry)
    assert found.unit == "mm"
    assert found.pixel_size == pytest.approx((0.8, 0.7))


def test_metres_and_microns_become_millimetres(tmp_path: Path) -> None:
    for unit, factor in (("meter", 1e3), ("micron", 1e-3), ("mm", 1.0)):
        image = nibabel.Nifti1Image(voxels(SHAPE), affine())
        image.header.set_xyzt_units(unit)
        nibabel.save(image, tmp_path / f"{unit}.nii")
        spacing = open_volume(tmp_path / f"{unit}.nii").grid.spacing
        assert spacing == pytest.approx(np.array((0.7, 0.8, 5.0)) * factor)


def test_neighbours_are_channels_and_repeat_at_the_ends(tmp_path: Path) -> None:
    values = voxels(SHAPE)
    path = save_nifti(tmp_path / "a.nii", values, affine(flips="LPS"))
    settings = ScanSettings(neighbours=2)
    for index, expected in ((0, (0, 0, 0, 1, 2)), (2, (0, 1, 2, 3, 3))):
        found = read_slice(slice_path(path, index), settings).values
        np.testing.assert_array_equal(found, values[:, :, expected].swapaxes(0, 1))


def test_a_window_limits_the_values(tmp_path: Path) -> None:
    values = voxels(SHAPE)
    path = save_nifti(tmp_path / "a.nii", values, affine(flips="LPS"))
    found = read_slice(slice_path(path, 1), ScanSettings(window=(40, 400))).values[..., 0]
    np.testing.assert_array_equal(found, np.clip(values[:, :, 1].T, -160, 240))


def test_four_axes_are_refused_unless_the_last_is_flat(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii", voxels((*SHAPE, 2)))
    with fails(DataError, "scan-axes", path, "(6, 5, 4, 2)"):
        open_volume(path)
    flat = save_nifti(tmp_path / "b.nii", voxels((*SHAPE, 1)))
    np.testing.assert_array_equal(whole(flat), voxels((*SHAPE, 1))[..., 0])
    vectors = sitk.GetImageFromArray(np.zeros((4, 5, 6, 2), np.float32), isVector=True)
    sitk.WriteImage(vectors, str(tmp_path / "c.nrrd"))
    with fails(DataError, "scan-axes", "c.nrrd"):
        open_volume(tmp_path / "c.nrrd")


def test_complex_and_colour_voxels_are_refused(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii", np.zeros(SHAPE, np.complex64))
    with fails(DataError, "channels", path):
        open_volume(path)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mha", "a.nrrd"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    save = save_nifti if ".nii" in name else save_itk
    save(path, voxels(SHAPE))
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"nonsense" * 100):
        path.write_bytes(damaged)
        with pytest.raises(DataError) as problem:
            read_slice(slice_path(path, 3), ScanSettings())
        assert str(path) in str(problem.value)


def test_a_unit_that_nifti_does_not_have_is_an_error_of_the_file(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii", voxels((4, 5, 3)))
    content = bytearray(path.read_bytes())
    content[123] = 5  # xyzt_units
    path.write_bytes(content)
    with fails(DataError, "unreadable", path):
        open_volume(path)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii.gz", voxels(SHAPE))
    before = read_slice(slice_path(path, 0), ScanSettings()).values
    save_nifti(path, voxels((6, 5, 9), seed=1))
    after = read_slice(slice_path(path, 8), ScanSettings()).values
    assert not np.array_equal(before, after)
    path.unlink()
    with fails(DataError, "missing-file", path):
        read_slice(slice_path(path, 0), ScanSettings())


def test_a_slice_beyond_the_volume_is_refused(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii", voxels(SHAPE))
    with fails(DataError, "pages", path, 4):
        place_of_slice(slice_path(path, 4), ScanSettings())


def test_addresses_of_slices_are_told_from_files_of_such_names(tmp_path: Path) -> None:
    assert is_slice(tmp_path / "a.nii#slice_001")
    (tmp_path / "a.nii#slice_001").write_bytes(b"")
    assert not is_slice(tmp_path / "a.nii#slice_001")
    assert not is_slice(tmp_path / "a.nii#slice_000")


def test_volumes_are_found_by_name_below_a_folder(tmp_path: Path) -> None:
    for name in ("b.nii", "monday/a.nii.gz", "monday/c.d.NRRD", "e.mhd"):
        save = save_nifti if ".nii" in name else save_itk
        save(tmp_path / name, voxels(SHAPE))
    (tmp_path / "readme.txt").write_text("x" * 200)
    found = find_scans(tmp_path)
    assert list(found.volumes()) == ["b", "e", "monday/a", "monday/c.d"]
    assert found.left_out == []
    save_nifti(tmp_path / "b.nii.gz", voxels(SHAPE))
    with fails(DataError, "duplicate-name", "b.nii", "b.nii.gz"):
        find_scans(tmp_path).volumes()


def test_without_the_extra_the_error_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_nifti(tmp_path / "a.nii", voxels(SHAPE))
    monkeypatch.setitem(sys.modules, "nibabel", None)
    with fails(ConfigError, "missing-package", "keras-segkit[medical]"):
        open_volume(path, anew=True)
