"""The source "scans": slices of volumes with masks of every kind, grouped by volume."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from segkit import VOID, ConfigError, DataError, Task
from segkit.config import Config, DataConfig
from segkit.data.groups import groups_of
from segkit.data.parts import open_parts
from segkit.data.sources.source import Source, open_source
from tests.helpers.errors import fails
from tests.helpers.scans import (
    AXIAL,
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
pytest.importorskip("pydicom", reason=REASON)
pytest.importorskip("SimpleITK", reason=REASON)

SHAPE = (6, 5, 4)
LIVER = Task.binary("liver")
ORGANS = Task.multiclass(["background", "liver", "tumour"])
LAYERS = Task.multilabel(["liver", "tumour"])


def ids(shape: tuple[int, ...] = SHAPE, top: int = 2, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, top + 1, shape).astype(np.uint8)


def opened(root: Path, task: Task, **more: Any) -> Source:
    data = {"source": "scans", "images": root / "images", "masks": root / "masks", **more}
    return open_source(DataConfig.model_validate(data), task)


def masks_of(source: Source) -> np.ndarray:
    """Return the masks of all slices of a source, one below the other."""
    return np.stack([source.read(name).mask for name in source.names])


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mha", ".nrrd"])
def test_a_label_volume_is_turned_like_its_image(tmp_path: Path, suffix: str) -> None:
    values, labels = voxels(SHAPE), ids()
    save_nifti(tmp_path / "images" / "a.nii.gz", values, affine(flips="LPS"))
    save = save_nifti if "nii" in suffix else save_itk
    save(tmp_path / "masks" / f"a{suffix}", labels, affine(flips="LPS"))
    source = opened(tmp_path, ORGANS)
    assert list(source.names) == [f"a/slice_{number:03d}" for number in range(1, 5)]
    for index, name in enumerate(source.names):
        sample = source.read(name)
        np.testing.assert_array_equal(sample.image[..., 0], values[:, :, index].T)
        np.testing.assert_array_equal(sample.mask, labels[:, :, index].T)
        assert sample.geometry is not None
        assert sample.geometry.pixel_size == pytest.approx((0.8, 0.7))


def test_another_shape_or_place_of_the_mask_is_refused(tmp_path: Path) -> None:
    image = save_nifti(tmp_path / "images" / "a.nii", voxels(SHAPE))
    mask = tmp_path / "masks" / "a.nii"
    for labels, matrix, code in (
        (ids((6, 5, 3)), affine(), "mask-size"),
        (ids(), affine(flips="LAS"), "scan-place"),
        (ids(), affine((0.7, 0.8, 5.1)), "scan-place"),
    ):
        save_nifti(mask, labels, matrix)
        source = opened(tmp_path, ORGANS)
        with fails(DataError, code, mask, image):
            source.read("a/slice_001")
    save_nifti(mask, ids(), affine() + 1e-3 * np.eye(4))  # rounding of other tools
    assert opened(tmp_path, ORGANS).read("a/slice_001").mask.shape == (5, 6)


def test_values_of_labels_have_the_meaning_of_the_settings(tmp_path: Path) -> None:
    save_nifti(tmp_path / "images" / "a.nii", voxels(SHAPE))
    labels = ids(top=3)
    save_nifti(tmp_path / "masks" / "a.nii", labels.astype(np.float32), affine())
    source = opened(tmp_path, ORGANS)
    with fails(DataError, "mask-values", "a.nii", 3):
        masks_of(source)
    meanings = {0: "background", 1: "tumour", 2: "liver", 3: "void"}
    found = masks_of(opened(tmp_path, ORGANS, mask_values=meanings))
    expected = np.array([0, 2, 1, VOID])[labels]
    assert sorted(found.ravel().tolist()) == sorted(expected.ravel().tolist())
    found = masks_of(opened(tmp_path, LIVER, mask_ids="instances"))
    assert found.sum() == (labels > 0).sum()


def test_fractions_are_no_labels(tmp_path: Path) -> None:
    save_nifti(tmp_path / "images" / "a.nii", voxels(SHAPE))
    save_nifti(tmp_path / "masks" / "a.nii", np.full(SHAPE, 0.5, np.float32))
    with fails(DataError, "mask-values", "a.nii"):
        opened(tmp_path, LIVER).read("a/slice_001")


def test_a_multilabel_task_has_a_folder_of_masks_per_class(tmp_path: Path) -> None:
    save_nifti(tmp_path / "images" / "a.nii", voxels(SHAPE))
    layers = np.stack([ids(top=1, seed=1), ids(top=1, seed=2)], axis=-1)
    for index, name in enumerate(LAYERS.classes):
        save_nifti(tmp_path / "masks" / name / "a.nii.gz", layers[..., index])
    source = opened(tmp_path, LAYERS)
    found = masks_of(source)
    assert found.shape == (4, 5, 6, 2)
    np.testing.assert_array_equal(found.sum((0, 1, 2)), layers.sum((0, 1, 2)))
    save_nifti(tmp_path / "all" / "a.nii.gz", ids())
    with fails(DataError, "mask-channels", "a.nii.gz", "liver", "tumour"):
        opened(tmp_path, LAYERS, masks=tmp_path / "all")


def test_names_pair_without_their_suffixes(tmp_path: Path) -> None:
    save_nifti(tmp_path / "images" / "a_0000.nii.gz", voxels(SHAPE))
    save_nifti(tmp_path / "masks" / "a.nii.gz", ids())
    with fails(DataError, "unpaired", "a_0000"):
        opened(tmp_path, ORGANS)
    assert len(opened(tmp_path, ORGANS, image_suffix="_0000").names) == 4
    save_nifti(tmp_path / "both" / "b.nii.gz", voxels(SHAPE))
    save_nifti(tmp_path / "both" / "b_seg.nii.gz", ids())
    both = tmp_path / "both"
    source = opened(tmp_path, ORGANS, images=both, masks=both, mask_suffix="_seg")
    assert next(iter(source.names)) == "b/slice_001"


def test_masks_of_no_volume_are_refused(tmp_path: Path) -> None:
    save_nifti(tmp_path / "images" / "a.nii", voxels(SHAPE))
    for name in ("a", "b"):
        save_nifti(tmp_path / "masks" / f"{name}.nii", ids())
    with fails(DataError, "unpaired", tmp_path / "masks" / "b.nii"):
        opened(tmp_path, ORGANS)


def test_broken_volumes_are_left_out_if_the_settings_say_so(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_nifti(tmp_path / "images" / f"{name}.nii", voxels(SHAPE))
        save_nifti(tmp_path / "masks" / f"{name}.nii", ids())
    broken = tmp_path / "images" / "a.nii"
    broken.write_bytes(broken.read_bytes()[:-9])
    with fails(DataError, "unreadable", broken):
        opened(tmp_path, ORGANS)
    source = opened(tmp_path, ORGANS, skip_broken=True)
    assert list(source.names) == [f"b/slice_{number:03d}" for number in range(1, 5)]
    assert [entry.path for entry in source.left_out] == [broken]  # type: ignore[attr-defined]


def test_two_masks_of_one_volume_are_refused(tmp_path: Path) -> None:
    save_nifti(tmp_path / "images" / "a.nii", voxels(SHAPE))
    save_nifti(tmp_path / "masks" / "a.nii", ids())
    for index in range(1, 5):
        save_picture(tmp_path / "masks" / "a" / f"slice_{index:03d}.png", np.zeros((5, 6)))
    with fails(DataError, "duplicate-name", "a.nii", "slice_001.png"):
        opened(tmp_path, ORGANS)


def save_picture(path: Path, mask: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask.astype(np.uint8)).save(path)


def test_pictures_may_be_named_like_the_dicom_files(tmp_path: Path) -> None:
    """Prone: the patient's right side is on the right of the stored image."""
    prone = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
    values, labels = voxels((4, 5, 6)), ids((4, 5, 6))
    paths = save_series(tmp_path / "images" / "ct", values, prone)
    for path, mask in zip(paths, labels, strict=True):
        save_picture(tmp_path / "masks" / "ct" / f"{path.name}.png", mask)
    source = opened(tmp_path, ORGANS)
    for index, name in enumerate(source.names):
        sample = source.read(name)
        np.testing.assert_array_equal(sample.image[..., 0], values[index, ::-1, ::-1])
        np.testing.assert_array_equal(sample.mask, labels[index, ::-1, ::-1])


def test_pictures_may_be_named_like_the_slices(tmp_path: Path) -> None:
    labels = ids((4, 5, 6))
    save_nifti(tmp_path / "images" / "a.nii", voxels(SHAPE))
    for index, mask in enumerate(labels, start=1):
        save_picture(tmp_path / "masks" / "a" / f"slice_{index:03d}.png", mask)
    np.testing.assert_array_equal(masks_of(opened(tmp_path, ORGANS)), labels)
    (tmp_path / "masks" / "a" / "slice_002.png").unlink()
    with fails(DataError, "unpaired", "a/slice_002"):
        opened(tmp_path, ORGANS)


def test_a_single_image_pairs_with_a_picture_of_its_name(tmp_path: Path) -> None:
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    save_dicom(tmp_path / "images" / "a.dcm", dicom_dataset(pixels, Modality="DX"))
    save_picture(tmp_path / "masks" / "a.png", pixels % 3)
    [name] = opened(tmp_path, ORGANS).names
    sample = opened(tmp_path, ORGANS).read(name)
    assert name == "a"
    np.testing.assert_array_equal(sample.image[..., 0], pixels)
    np.testing.assert_array_equal(sample.mask, pixels % 3)


def test_a_label_volume_is_called_like_the_folder_of_a_series(tmp_path: Path) -> None:
    labels = ids((4, 5, 6))
    save_series(tmp_path / "images" / "ct", voxels((4, 5, 6)))
    matrix = np.diag([-0.7, -0.8, 5.0, 1.0])
    matrix[:3, 3] = (20, 30, 40)
    save_nifti(tmp_path / "masks" / "ct.nii.gz", labels.transpose(2, 1, 0), matrix)
    np.testing.assert_array_equal(masks_of(opened(tmp_path, ORGANS)), labels)


def save_seg(path: Path, folder: Path, layers: np.ndarray, names: list[str]) -> None:
    """Write a DICOM segmentation of a series; layers are (slices, rows, columns, segments)."""
    pytest.importorskip("highdicom", reason=REASON)
    from segkit.inference.outputs.dicom_seg import segmentation
    from segkit.io.scans.dicom import open_dicom

    path.parent.mkdir(parents=True, exist_ok=True)
    segmentation(open_dicom(min(folder.iterdir())), layers, names).save_as(path)


def test_segments_are_classes_by_their_labels(tmp_path: Path) -> None:
    folder = tmp_path / "images" / "ct"
    save_series(folder, voxels((4, 5, 6)))
    layers = ids((4, 5, 6, 2), top=1)
    save_seg(tmp_path / "masks" / "any name", folder, layers, ["Tumour", "liver"])
    found = masks_of(opened(tmp_path, LAYERS))
    np.testing.assert_array_equal(found, layers[..., ::-1])
    with fails(DataError, "overlap", "liver", "tumour"):
        masks_of(opened(tmp_path, ORGANS))
    found = masks_of(opened(tmp_path, ORGANS, on_top=["tumour", "liver"]))
    np.testing.assert_array_equal(found, np.where(layers[..., 0], 2, layers[..., 1]))
    with fails(DataError, "mask-values", "Tumour", "spleen"):
        opened(tmp_path, Task.multilabel(["liver", "spleen"]))


def test_segments_are_classes_by_their_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "images" / "ct"
    save_series(folder, voxels((4, 5, 6)))
    labels = ids((4, 5, 6))
    layers = np.stack([labels == 1, labels == 2], axis=-1).astype(np.uint8)
    save_seg(tmp_path / "masks" / "a.dcm", folder, layers, ["x", "y"])
    meanings = {0: "background", 1: "tumour", 2: "void"}
    found = masks_of(opened(tmp_path, ORGANS, mask_values=meanings))
    np.testing.assert_array_equal(found, np.array([0, 2, VOID])[labels])


def test_a_segmentation_may_be_in_the_folder_of_its_series(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    save_series(folder, voxels((4, 5, 6)))
    layers = ids((4, 5, 6, 1), top=1)
    save_seg(folder / "seg", folder, layers, ["anything"])
    source = opened(tmp_path, LIVER, masks=folder)
    assert next(iter(source.names)) == "images/slice_001"
    np.testing.assert_array_equal(masks_of(source), layers[..., 0])


def test_a_series_without_its_segmentation_is_named(tmp_path: Path) -> None:
    for number, name in enumerate(("one", "two")):
        save_series(tmp_path / "images" / name, voxels((4, 5, 6)), SeriesInstanceUID=f"1.{number}")
    folder = tmp_path / "images" / "one"
    save_seg(tmp_path / "masks" / "a.dcm", folder, ids((4, 5, 6, 1), top=1), ["liver"])
    with fails(DataError, "unpaired", "two"):
        opened(tmp_path, LIVER)


def volumes(root: Path, count: int) -> None:
    for number in range(count):
        save_nifti(root / "images" / f"{number}.nii", voxels(SHAPE, number))
        save_nifti(root / "masks" / f"{number}.nii", ids(seed=number))


def test_trap_45_every_split_keeps_a_volume_in_one_part(tmp_path: Path) -> None:
    volumes(tmp_path, 6)
    data = {"source": "scans", "images": tmp_path / "images", "masks": tmp_path / "masks"}
    for more in ({"validation": 0.3, "test": 0.3}, {"fold": "1/3", "test": 0.0}):
        config = Config.model_validate({"task": ORGANS.model_dump(), "data": {**data, **more}})
        parts = open_parts(config)
        seen: dict[str, str] = {}
        for part, subset in parts.items():
            for name, group in zip(
                subset.names, groups_of(subset.names, config) or [], strict=True
            ):
                assert group == name.partition("/")[0]
                assert seen.setdefault(group, part) == part
        assert len(seen) == 6
        assert {"train", "validation"} <= set(seen.values())


def test_groups_of_patients_replace_volumes(tmp_path: Path) -> None:
    volumes(tmp_path, 3)
    data = {"source": "scans", "images": tmp_path / "images", "masks": tmp_path / "masks"}
    config = Config.model_validate(
        {"task": ORGANS.model_dump(), "data": {**data, "groups": "^[01]|2"}}
    )
    assert groups_of(["0/slice_001", "2/slice_001"], config) == ["0", "2"]


def test_volumes_of_several_directions_ask_for_one(tmp_path: Path) -> None:
    for name, spacing in (("a", (1, 1, 5)), ("b", (1, 5, 1))):
        save_nifti(tmp_path / "images" / f"{name}.nii", voxels(SHAPE), affine(spacing))
        save_nifti(tmp_path / "masks" / f"{name}.nii", ids(), affine(spacing))
    with fails(ConfigError, "missing-setting", "axial", "coronal", setting="data.axis"):
        opened(tmp_path, ORGANS)
    assert len(opened(tmp_path, ORGANS, axis="sagittal").names) == 12


def test_settings_of_scans_are_for_scans() -> None:
    for setting, value in (("axis", "axial"), ("neighbours", 1), ("window", [40, 400])):
        with fails(ConfigError, "contradiction", setting=f"data.{setting}"):
            DataConfig.model_validate({setting: value})
    for window in ([40, 0], [40], ["a", 1]):
        with pytest.raises(ValidationError):
            DataConfig.model_validate({"source": "scans", "window": window})


def test_colours_and_lists_are_refused(tmp_path: Path) -> None:
    for more in ({"mask_colours": {"#000000": "background"}}, {"list_file": tmp_path / "a.csv"}):
        [setting] = more
        with fails(ConfigError, "contradiction", setting=f"data.{setting}"):
            opened(tmp_path, ORGANS, **more)


def test_what_was_found_is_described(tmp_path: Path) -> None:
    save_series(tmp_path / "images" / "ct", voxels((4, 5, 6)), AXIAL)
    for index in range(1, 5):
        save_picture(tmp_path / "masks" / "ct" / f"slice_{index:03d}.png", np.zeros((5, 6)))
    source = opened(tmp_path, ORGANS)
    words = source.read_as  # type: ignore[attr-defined]
    for value in ("1 volume", "4 axial", "0.7 x 0.8 x 5 mm", "HU"):
        assert value in words
    assert source.decisions == []  # type: ignore[attr-defined]


def test_the_name_of_the_patient_is_in_no_error(tmp_path: Path) -> None:
    paths = save_series(tmp_path / "images" / "ct", voxels((4, 5, 6)))
    (tmp_path / "masks").mkdir()
    os.truncate(paths[0], paths[0].stat().st_size - 40)
    for task in (ORGANS, LAYERS):
        with pytest.raises(DataError) as problem:
            opened(tmp_path, task)
        assert PATIENT.partition("^")[0] not in str(problem.value)
