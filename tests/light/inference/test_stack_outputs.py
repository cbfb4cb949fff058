"""Masks of stacks: one for each plane, and one OME-TIFF with the axes and pixels of the stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from segkit import DataError, Task
from segkit.config import DataConfig, InputConfig, MaskFilesConfig, PredictConfig, RunConfig
from segkit.inference.files import Summary, predict_files
from segkit.inference.inputs import divide_images, find_images
from segkit.inference.large.files import separate_large
from segkit.inference.large.memory_budget import MemoryBudget
from segkit.inference.large.predict import predict_large
from segkit.inference.outputs.writer import Outputs
from segkit.io.masks import read_mask
from segkit.io.physical_size import read_geometry
from segkit.io.planes import planes_in_file
from tests.helpers.errors import fails
from tests.helpers.microscopes import PACKAGES, needs_reader, save_microscope
from tests.helpers.stacks import (
    HEIGHT_OF_A_PLANE,
    KINDS,
    PIXEL,
    REASON,
    SHAPE,
    has_zarr,
    save_imagej,
    save_several_tiff,
    save_stack,
    values,
)

APART = {"T": "samples", "Z": "samples"}
HALF = 2**15
TASKS = {
    "binary": Task.binary("cell"),
    "multilabel": Task.multilabel(["cell", "dye"]),
}
kinds = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind, marks=pytest.mark.skipif("Zarr" in kind and not has_zarr(), reason=REASON)
        )
        for kind in KINDS
    ],
)


def network(task: Task, images: np.ndarray) -> np.ndarray:
    """Return sure probabilities (B, H, W, classes): each class is where its channel is bright."""
    return (images[..., : task.channels] >= HALF).astype(np.float32)


def config_of(task: Task, layout: str = "file", tile: int = 64, **data: Any) -> RunConfig:
    given = InputConfig(
        channels=2, dtype="uint16", mean=(0.0,) * 2, std=(1.0,) * 2, low=0, high=2**16 - 1
    )
    return RunConfig(
        task=task,
        data=DataConfig.model_validate({"axes": APART, **data}),
        input=given,
        mask_files=MaskFilesConfig.model_validate({"layout": layout, "yes": 1}),
        predict=PredictConfig(tile=tile, batch_size=3),
    )


def predict(config: RunConfig, where: Path, out: Path, formats: tuple[str, ...] = ()) -> Summary:
    images = divide_images(config, find_images([where], out).images)
    outputs = Outputs(out, formats=formats)
    return predict_files(lambda batch: network(config.task, batch), config, images, outputs)


def named_axes(path: Path) -> tuple[str, tuple[int, ...], Any]:
    """Return the axes, the shape and the values of a stack, read by tifffile alone."""
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome
        return tiff.series[0].axes, tiff.series[0].shape, tiff.asarray()


@kinds
@pytest.mark.parametrize("of_folder", [True, False])
def test_planes_become_masks_and_one_stack(tmp_path: Path, kind: str, of_folder: bool) -> None:
    array = values()
    stack = save_stack(tmp_path / "in", kind, array)
    config = config_of(TASKS["binary"])
    where = tmp_path / "in" if of_folder else stack
    summary = predict(config, where, tmp_path / "out", ("ome-tiff",))
    assert (summary.written, summary.failed) == (6, [])
    expected = (array[:, :, 0] >= HALF).astype(np.uint8)
    name = stack.stem
    for time, height in np.ndindex(2, 3):
        mask = tmp_path / "out" / name / f"T{time + 1:03d}_Z{height + 1:03d}.png"
        np.testing.assert_array_equal(read_mask(mask), expected[time, height])
    written = tmp_path / "out-ome-tiff" / f"{name}.tif"
    axes, shape, mask = named_axes(written)
    assert (axes, shape) == ("TZYX", SHAPE[:2] + SHAPE[3:])
    np.testing.assert_array_equal(mask, expected)
    geometry = read_geometry(written)
    assert geometry is not None
    np.testing.assert_allclose(geometry.size_in("µm"), PIXEL, rtol=1e-6)
    with tifffile.TiffFile(written) as tiff:
        about = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
    assert about["PhysicalSizeZ"] == HEIGHT_OF_A_PLANE


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=needs_reader(kind)) for kind in ("tif", *PACKAGES)]
)
def test_each_image_of_a_file_becomes_a_stack(tmp_path: Path, kind: str) -> None:
    arrays = [values(seed=1), values(seed=2)]
    path = tmp_path / "in" / f"a.{kind}"
    if kind == "tif":
        save_several_tiff(path, arrays)
    else:
        save_microscope(path, arrays)
    config = config_of(TASKS["binary"], axes={**APART, "P": "samples"})
    assert predict(config, path, tmp_path / "out", ("ome-tiff",)).written == 12
    for number, array in enumerate(arrays, start=1):
        expected = array[:, :, 0] >= HALF
        written = tmp_path / "out-ome-tiff" / "a" / f"P{number:03d}.tif"
        axes, _, mask = named_axes(written)
        assert axes == "TZYX"
        np.testing.assert_array_equal(mask, expected)
        plane = tmp_path / "out" / "a" / f"P{number:03d}" / "T002_Z003.png"
        np.testing.assert_array_equal(read_mask(plane), expected[1, 2])
        geometry = read_geometry(written)
        original = read_geometry(
            planes_in_file(path, config.data.axes)[f"/P{number:03d}/T001_Z001"]
        )
        assert geometry is not None
        assert original is not None
        np.testing.assert_allclose(geometry.size_in("µm"), original.size_in("µm"), rtol=1e-6)


@pytest.mark.parametrize("layout", ["bands", "folders"])
def test_several_classes_of_a_pixel(tmp_path: Path, layout: str) -> None:
    array = values()
    save_imagej(tmp_path / "in" / "a.tif", array)
    config = config_of(TASKS["multilabel"], layout)
    assert predict(config, tmp_path / "in", tmp_path / "out", ("ome-tiff",)).written == 6
    expected = (array >= HALF).astype(np.uint8)
    root = tmp_path / "out-ome-tiff"
    if layout == "bands":
        axes, _, mask = named_axes(root / "a.tif")
        assert axes == "TZCYX"
        np.testing.assert_array_equal(mask, expected)
        return
    for number, label in enumerate(config.task.classes):
        _, _, mask = named_axes(root / label / "a.tif")
        np.testing.assert_array_equal(mask, expected[:, :, number])


def test_one_position_and_channels_of_another_axis(tmp_path: Path) -> None:
    array = values((2, 2, 20, 24))
    save_imagej(tmp_path / "in" / "a.tif", array, "TZYX")
    config = config_of(TASKS["binary"], axes={"T": 2, "Z": "channels"})
    assert predict(config, tmp_path / "in", tmp_path / "out", ("ome-tiff",)).written == 1
    _, shape, mask = named_axes(tmp_path / "out-ome-tiff" / "a.tif")
    assert shape == (20, 24)
    np.testing.assert_array_equal(mask, array[1, 0] >= HALF)


def test_a_stack_is_written_once_all_its_planes_are(tmp_path: Path) -> None:
    array = values()
    save_imagej(tmp_path / "in" / "a.tif", array)
    config = config_of(TASKS["binary"])
    images = divide_images(config, find_images([tmp_path / "in"]).images)
    outputs = Outputs(tmp_path / "out", formats=("ome-tiff",))
    run = lambda chosen: predict_files(  # noqa: E731
        lambda batch: network(config.task, batch), config, chosen, outputs
    )
    names = list(images)
    run({name: images[name] for name in names[:4]})
    written = tmp_path / "out-ome-tiff" / "a.tif"
    assert not written.exists()
    run({name: images[name] for name in names[4:]})
    np.testing.assert_array_equal(named_axes(written)[2], array[:, :, 0] >= HALF)


def test_damaged_parts_are_refused(tmp_path: Path) -> None:
    save_imagej(tmp_path / "in" / "a.tif", values())
    config = config_of(TASKS["binary"])
    predict(config, tmp_path / "in", tmp_path / "out", ("ome-tiff",))
    part = tmp_path / "out-ome-tiff" / "parts" / "a" / "T001_Z002.npz"
    part.write_bytes(b"nothing")
    (tmp_path / "out-ome-tiff" / "a.tif").unlink()
    images = divide_images(config, find_images([tmp_path / "in"]).images)
    outputs = Outputs(tmp_path / "out", formats=("ome-tiff",))
    last = list(images.items())[-1:]
    summary = predict_files(lambda batch: network(config.task, batch), config, dict(last), outputs)
    [(_, message)] = summary.failed
    assert str(part) in message


def test_images_that_are_named_like_planes_are_no_stack(tmp_path: Path) -> None:
    array = values((20, 24, 2))
    path = tmp_path / "in" / "a" / "T001.tif"
    path.parent.mkdir(parents=True)
    tifffile.imwrite(path, array, photometric="minisblack", planarconfig="contig")
    summary = predict(config_of(TASKS["binary"]), tmp_path / "in", tmp_path / "out", ("ome-tiff",))
    [(failed, _)] = summary.failed
    assert failed == path


def test_an_axis_without_a_meaning_stops_the_prediction(tmp_path: Path) -> None:
    path = save_imagej(tmp_path / "in" / "a.tif", values())
    with fails(DataError, "pages", path, "T (2)", "data.axes"):
        predict(
            config_of(TASKS["binary"], axes={"Z": "samples"}), tmp_path / "in", tmp_path / "out"
        )


@kinds
def test_large_planes_are_predicted_in_windows(tmp_path: Path, kind: str) -> None:
    array = values((2, 2, 90, 110))
    stack = save_stack(tmp_path / "in", kind, array, "ZCYX")
    config = config_of(TASKS["binary"], tile=64)
    images = divide_images(config, {"a": stack})
    whole, large = separate_large(config, images, Outputs(tmp_path / "out"), 1)
    assert not whole
    budget = MemoryBudget(batch_size=2, read_bytes=2**20)
    for name, path in large.items():
        [mask] = predict_large(
            lambda batch: network(config.task, batch),
            config,
            path,
            tmp_path / "out",
            name,
            budget,
        )
        height = int(name[-3:]) - 1
        np.testing.assert_array_equal(tifffile.imread(mask), array[height, 0] >= HALF)
