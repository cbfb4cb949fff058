"""inspect recognises scans, says what they are, and finds the config that reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segkit import ConfigError, inspect
from segkit.inspection.inspect import Inspection
from segkit.inspection.report import on_screen
from tests.helpers.errors import fails
from tests.helpers.scans import PATIENT, REASON, affine, save_nifti, save_series, voxels

pytest.importorskip("nibabel", reason=REASON)
pytest.importorskip("pydicom", reason=REASON)

SHAPE = (16, 14, 4)


def labels(top: int, seed: int = 0) -> np.ndarray:
    """Return a mask with a square of each number from 1."""
    found = np.zeros(SHAPE, np.uint8)
    for number in range(1, top + 1):
        found[2 * number : 2 * number + 2, 3 + seed % 3 : 8, 1:3] = number
    return found


def volumes(
    root: Path, tops: tuple[int, ...], images: str = "images", masks: str = "masks"
) -> None:
    for number, top in enumerate(tops):
        values = voxels(SHAPE, number) + 300 * (labels(top, number) > 0)
        save_nifti(root / images / f"{number}.nii.gz", values.astype(np.int16))
        save_nifti(root / masks / f"{number}.nii.gz", labels(top, number))


def codes(inspection: Inspection) -> set[str]:
    return {problem.code for problem in inspection.problems}


@pytest.mark.parametrize(
    ("images", "masks"),
    [("images", "masks"), ("imagesTr", "labelsTr"), ("volumes", "segmentations")],
)
def test_a_folder_of_a_data_set_shows_its_volumes(tmp_path: Path, images: str, masks: str) -> None:
    volumes(tmp_path, (2, 2, 2), images, masks)
    found = inspect(tmp_path)
    assert not found.wrong
    assert found.config is not None
    data = found.config.data
    assert (data.source, data.axis) == ("scans", "axial")
    assert (data.images, data.masks) == (tmp_path / images, tmp_path / masks)
    assert found.task.classes == ("background", "class_1", "class_2")
    summary = found.summary()
    assert summary.samples["train"] == 12
    assert summary.groups == 3
    for value in ("3 volume", "12 axial", "0.7 x 0.8 x 5 mm"):
        assert value in found.read_as
    assert "groups-unknown" not in codes(found)
    assert "near-duplicates" not in codes(found)
    on_screen(found)


def test_neighbours_of_one_volume_are_no_copies(tmp_path: Path) -> None:
    """Each volume repeats one slice with little noise; the second volume shows another one."""
    rng = np.random.default_rng(0)
    for number in range(2):
        slice_of = rng.integers(-500, 500, (64, 64, 1)).repeat(4, axis=2)
        smooth = np.kron(slice_of[::16, ::16], np.ones((16, 16, 1)))
        values = (smooth + rng.normal(0, 3, smooth.shape)).astype(np.int16)
        mask = (values > 0).astype(np.uint8)
        save_nifti(tmp_path / "images" / f"{number}.nii", values)
        save_nifti(tmp_path / "masks" / f"{number}.nii", mask)
    assert not codes(inspect(tmp_path)) & {"near-duplicates", "near-leak", "groups-unknown"}
    for path in [*(tmp_path / "images").iterdir()]:
        copy = path.with_name(f"copy_{path.name}")
        copy.write_bytes(path.read_bytes())
        (tmp_path / "masks" / copy.name).write_bytes((tmp_path / "masks" / path.name).read_bytes())
    assert "duplicates" in codes(inspect(tmp_path))


def test_yes_and_no_and_suffixes_are_found(tmp_path: Path) -> None:
    volumes(tmp_path, (1, 1))
    for path in (tmp_path / "images").iterdir():
        path.rename(path.with_name(path.name.replace(".nii", "_0000.nii")))
    found = inspect(tmp_path / "images", tmp_path / "masks", classes=["liver"])
    assert found.task.kind == "binary"
    assert found.task.classes == ("liver",)
    assert found.config is not None
    assert found.config.data.image_suffix == "_0000"


def test_a_folder_per_class_is_found(tmp_path: Path) -> None:
    volumes(tmp_path, (2, 2))
    for name, number in (("liver", 1), ("tumour", 2)):
        for volume in range(2):
            mask = (labels(2, volume) == number).astype(np.uint8)
            save_nifti(tmp_path / "layers" / name / f"{volume}.nii.gz", mask)
    found = inspect(tmp_path / "images", tmp_path / "layers")
    assert found.task.classes == ("liver", "tumour")
    assert not found.wrong


def test_numbers_that_differ_between_volumes_are_doubted(tmp_path: Path) -> None:
    volumes(tmp_path, (2, 5))
    assert "mask-instances" in codes(inspect(tmp_path))
    settings = ["data.mask_ids=instances"]
    stated = inspect(tmp_path, settings=settings)
    assert "mask-instances" not in codes(stated)
    assert stated.task.kind == "binary"


def test_a_series_and_its_segmentation_in_one_folder_are_found(tmp_path: Path) -> None:
    pytest.importorskip("highdicom", reason=REASON)
    from segkit.inference.outputs.dicom_seg import segmentation
    from segkit.io.scans.dicom import open_dicom

    for number in range(2):
        folder = tmp_path / f"ct{number}"
        save_series(folder, voxels((4, 14, 16), number), SeriesInstanceUID=f"1.{number}")
        layers = labels(2).transpose(2, 1, 0)[..., None] == [1, 2]
        volume = open_dicom(min(folder.iterdir()))
        segmentation(volume, layers.astype(np.uint8), ["liver", "tumour"]).save_as(folder / "seg")
    found = inspect(tmp_path)
    assert not found.wrong
    assert found.task.classes == ("liver", "tumour")
    assert found.verdict is not None
    assert found.verdict.task.kind == "multiclass"
    assert "HU" in found.read_as
    text = "".join(str(part) for part in (found.summary(), found.problems))
    assert PATIENT.partition("^")[0] not in text


def test_missing_slices_are_a_warning(tmp_path: Path) -> None:
    paths = save_series(tmp_path / "images" / "ct", voxels((6, 14, 16)))
    paths[2].unlink()
    matrix = np.diag([-0.7, -0.8, 6.25, 1.0])
    matrix[:3, 3] = (20, 30, 40)
    mask = labels(1)[:, :, [0, 1, 2, 3, 3]]
    save_nifti(tmp_path / "masks" / "ct.nii", mask, matrix)
    assert "scan-gaps" in codes(inspect(tmp_path))


def test_volumes_without_a_direction_ask_for_it(tmp_path: Path) -> None:
    for name in ("images", "masks"):
        save_nifti(tmp_path / name / "a.nii", labels(1), affine((1, 1, 1)))
    with fails(ConfigError, "missing-setting", setting="data.axis"):
        inspect(tmp_path)
    found = inspect(tmp_path, settings=["data.axis=coronal"])
    assert found.summary().samples["train"] == 14


def test_volumes_without_masks_are_counted(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_nifti(tmp_path / f"{name}.nii", voxels(SHAPE))
    found = inspect(tmp_path)
    assert found.wrong
    [problem] = found.problems
    assert problem.code == "list"
    for value in ("2 volume", "a, b"):
        assert value in problem.message
