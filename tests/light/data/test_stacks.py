"""Stacks with named axes as data sets: planes and their masks pair, and stay in one group."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segkit import ConfigError, DataError, Task, inspect
from segkit.config import Config, DataConfig
from segkit.data.groups import groups_of
from segkit.data.sources.source import geometry_of, open_source
from tests.helpers.errors import fails
from tests.helpers.microscopes import PACKAGES, needs_reader, save_microscope
from tests.helpers.stacks import (
    KINDS,
    PIXEL,
    REASON,
    SHAPE,
    has_zarr,
    save_imagej,
    save_ome_tiff,
    save_several_tiff,
    save_stack,
    values,
)

CELL = Task.binary("cell")
APART = {"T": "samples", "Z": "samples"}
kinds = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind, marks=pytest.mark.skipif("Zarr" in kind and not has_zarr(), reason=REASON)
        )
        for kind in KINDS
    ],
)
FILES = {"tif": save_several_tiff, **dict.fromkeys(PACKAGES, save_microscope)}
"""The function that writes several images into one file, by suffix."""
LABELS = (values(SHAPE[:2] + SHAPE[3:], seed=1) % 2).astype(np.uint8)


def settings(root: Path, **more: Any) -> dict[str, Any]:
    return {"images": root / "images", "masks": root / "masks", "axes": APART, **more}


def opened(root: Path, task: Task = CELL, **more: Any) -> Any:
    return open_source(DataConfig.model_validate(settings(root, **more)), task)


@kinds
def test_each_plane_is_a_sample_with_the_plane_of_the_mask(tmp_path: Path, kind: str) -> None:
    array = values()
    save_stack(tmp_path / "images", kind, array)
    save_stack(tmp_path / "masks", kind, LABELS, "TZYX")
    source = opened(tmp_path)
    assert len(source.names) == 6
    stack = source.names[0].partition("/")[0]
    for time, height in np.ndindex(2, 3):
        name = f"{stack}/T{time + 1:03d}_Z{height + 1:03d}"
        sample = source.read(name)
        np.testing.assert_array_equal(sample.image, np.moveaxis(array[time, height], 0, -1))
        np.testing.assert_array_equal(sample.mask, LABELS[time, height])
        for geometry in (sample.geometry, geometry_of(source, name)):
            np.testing.assert_allclose(geometry.size_in("µm"), PIXEL, rtol=1e-6)
    config = Config.model_validate({"task": CELL.model_dump(), "data": settings(tmp_path)})
    assert groups_of(source.names, config) == [stack] * 6


@kinds
def test_planes_are_cut_into_blocks_and_inspected(tmp_path: Path, kind: str) -> None:
    save_stack(tmp_path / "images", kind, values((2, 2, 90, 100)), "ZCYX")
    labels = (values((2, 90, 100), seed=1) % 2).astype(np.uint8)
    save_stack(tmp_path / "masks", kind, labels, "ZYX")
    source = opened(tmp_path, blocks=32)
    assert len(source.names) == 2 * 3 * 3
    assert source.read(source.names[0]).image.shape[:2] == (27, 31)
    found = inspect(tmp_path / "images", tmp_path / "masks", settings=["data.axes={Z: samples}"])
    assert not found.wrong
    assert found.config is not None
    assert found.config.data.axes == {"Z": "samples"}


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=needs_reader(kind)) for kind in FILES])
def test_the_images_of_a_file_are_samples_of_one_group(tmp_path: Path, kind: str) -> None:
    arrays = [values(seed=1), values(seed=2)]
    path = tmp_path / "images" / f"a.{kind}"
    FILES[kind](path, arrays)
    masks = [(array[:, :, 0] % 2).astype(np.uint8) for array in arrays]
    save_several_tiff(tmp_path / "masks" / "a.tif", masks, "TZYX")
    axes = {"P": "samples", **APART}
    source = opened(tmp_path, axes=axes)
    assert len(source.names) == 12
    for number, (array, mask) in enumerate(zip(arrays, masks, strict=True), start=1):
        sample = source.read(f"a/P{number:03d}/T002_Z001")
        np.testing.assert_array_equal(sample.image, np.moveaxis(array[1, 0], 0, -1))
        np.testing.assert_array_equal(sample.mask, mask[1, 0])
    config = Config.model_validate(
        {"task": CELL.model_dump(), "data": settings(tmp_path, axes=axes)}
    )
    assert groups_of(source.names, config) == ["a"] * 12
    found = inspect(
        tmp_path / "images",
        tmp_path / "masks",
        settings=["data.axes={P: 2, T: samples, Z: samples}"],
    )
    assert not found.wrong
    asked = inspect(tmp_path / "images", tmp_path / "masks")
    assert asked.wrong


def test_masks_that_were_predicted_of_images_pair_with_them(tmp_path: Path) -> None:
    arrays = [values(seed=1), values(seed=2)]
    save_several_tiff(tmp_path / "images" / "a.tif", arrays)
    for number, array in enumerate(arrays, start=1):
        mask = (array[:, :, 0] % 2).astype(np.uint8)
        save_ome_tiff(tmp_path / "masks" / "a" / f"P{number:03d}.tif", mask, "TZYX")
    source = opened(tmp_path, axes={"P": "samples", **APART})
    assert len(source.names) == 12
    expected = arrays[1][1, 2, 0] % 2
    np.testing.assert_array_equal(source.read("a/P002/T002_Z003").mask, expected)


def save_picture(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def test_masks_may_be_pictures_that_are_named_like_planes(tmp_path: Path) -> None:
    save_imagej(tmp_path / "images" / "a.tif", values())
    save_picture(tmp_path / "images" / "flat.png", np.zeros((7, 8), np.uint8))
    save_picture(tmp_path / "masks" / "flat.png", np.ones((7, 8), np.uint8))
    for time, height in np.ndindex(2, 3):
        name = f"T{time + 1:03d}_Z{height + 1:03d}.png"
        save_picture(tmp_path / "masks" / "a" / name, LABELS[time, height])
    source = opened(tmp_path)
    assert len(source.names) == 7
    np.testing.assert_array_equal(source.read("a/T002_Z001").mask, LABELS[1, 0])
    assert source.read("flat").mask.all()


def test_suffixes_classes_and_bands_of_masks(tmp_path: Path) -> None:
    labels = np.stack([LABELS, 1 - LABELS], axis=2)
    task = Task.multilabel(["cell", "dye"])
    for root in ("bands", "folders"):
        save_ome_tiff(tmp_path / root / "images" / "a_raw.ome.tif", values())
    save_ome_tiff(tmp_path / "bands" / "masks" / "a_raw_mask.ome.tif", labels)
    suffixes = {"image_suffix": "_raw.ome", "mask_suffix": "_raw_mask.ome"}
    for number, label in enumerate(task.classes):
        mask = tmp_path / "folders" / "masks" / label / "a_raw_mask.ome.tif"
        save_ome_tiff(mask, labels[:, :, number], "TZYX")
    for root in ("bands", "folders"):
        source = opened(tmp_path / root, task, **suffixes)
        assert source.names[5] == "a_raw.ome/T002_Z003"
        expected = np.moveaxis(labels[1, 2], 0, -1)
        np.testing.assert_array_equal(source.read(source.names[5]).mask, expected)


def test_a_list_of_stacks(tmp_path: Path) -> None:
    save_imagej(tmp_path / "a.tif", values())
    save_imagej(tmp_path / "m.tif", LABELS, "TZYX")
    (tmp_path / "list.csv").write_text("image,mask,split\na.tif,m.tif,train\n")
    data = DataConfig.model_validate({"list_file": tmp_path / "list.csv", "axes": APART})
    source = open_source(data, CELL)
    assert source.parts == {"train": source.names}
    np.testing.assert_array_equal(source.read("a/T001_Z003").mask, LABELS[0, 2])
    save_imagej(tmp_path / "m.tif", LABELS[0], "ZYX")
    with fails(DataError, "pages", tmp_path / "m.tif", tmp_path / "a.tif", 3, 6):
        open_source(data, CELL)


def test_a_mask_with_other_planes_does_not_pair(tmp_path: Path) -> None:
    save_imagej(tmp_path / "images" / "a.tif", values())
    save_imagej(tmp_path / "masks" / "a.tif", LABELS[0], "ZYX")
    with fails(DataError, "unpaired", "a/T001_Z001"):
        opened(tmp_path)


@pytest.mark.parametrize(
    "more",
    [
        {"pages": "samples"},
        {"microns_per_pixel": 0.5},
        {"source": "scans"},
        {"source": "coco"},
        {"source": "labelme"},
    ],
)
def test_settings_that_exclude_axes(tmp_path: Path, more: dict[str, Any]) -> None:
    with fails(ConfigError, "contradiction", setting="data.axes"):
        DataConfig.model_validate(settings(tmp_path, **more))


@pytest.mark.parametrize(
    "axes", [{"X": "samples"}, {"S": "channels"}, {"z": 1}, {"Z": 0}, {"ZT": 1}]
)
def test_axes_that_do_not_exist_are_refused(tmp_path: Path, axes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="axes"):
        DataConfig.model_validate(settings(tmp_path, axes=axes))
