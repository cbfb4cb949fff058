"""`predict --axes` says what the axes of stacks mean, instead of the config of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from segkit import ConfigError, DataError, Task
from segkit.cli import main
from segkit.config import DataConfig, InputConfig, MaskFilesConfig, PredictConfig, RunConfig
from segkit.inference import predict as predict_module
from segkit.inference.axes import parse_axes
from segkit.inference.load import LoadedRun
from segkit.inference.predict import predict
from segkit.io.images import read_image
from tests.helpers.errors import fails
from tests.helpers.stacks import HEIGHT_OF_A_PLANE, save_imagej, save_several_tiff, values

HALF = 2**15
CHANNELS = 2


def config_of(**data: Any) -> RunConfig:
    """Return the config of a run that was trained on flat images of two channels."""
    return RunConfig(
        task=Task.binary("cell"),
        data=DataConfig.model_validate(data),
        input=InputConfig(
            channels=CHANNELS,
            dtype="uint16",
            mean=(0.0,) * CHANNELS,
            std=(1.0,) * CHANNELS,
            low=0,
            high=2**16 - 1,
        ),
        mask_files=MaskFilesConfig(layout="file", yes=1),
        predict=PredictConfig(tile=64, batch_size=3),
    )


def open_run(monkeypatch: pytest.MonkeyPatch, **data: Any) -> None:
    """Let each run be a network that sees where the first channel is bright."""
    opened = LoadedRun(
        lambda batch: (batch[..., :1] >= HALF).astype(np.float32), config_of(**data), "stand-in"
    )
    monkeypatch.setattr(predict_module, "open_together", lambda *asked: opened)


def masks_in(folder: Path) -> dict[str, np.ndarray]:
    paths = sorted(folder.rglob("*.png"))
    return {path.relative_to(folder).as_posix(): read_image(path)[..., 0] for path in paths}


def expected_of(array: np.ndarray, name: str) -> dict[str, np.ndarray]:
    """Return the masks of all planes (T, Z, C, Y, X) by the names of their files."""
    found = {}
    for time, height in np.ndindex(*array.shape[:2]):
        mask = (array[time, height, 0] >= HALF).astype(np.uint8)
        found[f"{name}/T{time + 1:03d}_Z{height + 1:03d}.png"] = mask
    return found


def assert_masks(folder: Path, expected: dict[str, np.ndarray]) -> None:
    found = masks_in(folder)
    assert sorted(found) == sorted(expected)
    for name, mask in expected.items():
        np.testing.assert_array_equal(found[name], mask, err_msg=name)


@pytest.mark.parametrize(
    "axes",
    [{"T": "samples", "Z": "samples"}, "{T: samples, Z: samples}", "T: samples, Z: samples"],
)
def test_a_run_of_flat_images_predicts_stacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, axes: Any
) -> None:
    open_run(monkeypatch)
    array = values()
    save_imagej(tmp_path / "in" / "a.tif", array)
    summary = predict("run", tmp_path / "in", tmp_path / "out", axes=axes, formats=["ome-tiff"])
    assert (summary.written, summary.failed) == (6, [])
    assert_masks(tmp_path / "out", expected_of(array, "a"))
    with tifffile.TiffFile(tmp_path / "out-ome-tiff" / "a.tif") as stack:
        assert stack.series[0].axes == "TZYX"
        np.testing.assert_array_equal(stack.asarray(), array[:, :, 0] >= HALF)
        about = tifffile.xml2dict(stack.ome_metadata)["OME"]["Image"]["Pixels"]
    assert (about["PhysicalSizeY"], about["PhysicalSizeX"]) == pytest.approx((0.25, 0.5))
    assert about["PhysicalSizeZ"] == HEIGHT_OF_A_PLANE


def test_without_it_a_stack_is_an_error_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_run(monkeypatch)
    path = save_imagej(tmp_path / "in" / "a.tif", values())
    [(failed, message)] = predict("run", tmp_path / "in", tmp_path / "out").failed
    assert failed == path
    assert "--axes" in message
    with fails(DataError, "pages", path, "Z (3)"):
        predict("run", tmp_path / "in", tmp_path / "out", axes="T: samples")


def test_it_replaces_the_meaning_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_run(monkeypatch, axes={"T": 1, "Z": 1})
    array = values()
    save_imagej(tmp_path / "in" / "a.tif", array)
    axes = {"T": 2, "Z": "samples"}
    assert predict("run", tmp_path / "in", tmp_path / "out", axes=axes).written == 3
    expected = {f"a/Z{z + 1:03d}.png": array[1, z, 0] >= HALF for z in range(3)}
    assert_masks(tmp_path / "out", expected)


@pytest.mark.parametrize("pages", ["samples", "channels", "first"])
def test_pages_of_the_run_do_not_apply_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pages: str
) -> None:
    open_run(monkeypatch, pages=pages)
    arrays = [values(seed=1), values(seed=2)]
    save_several_tiff(tmp_path / "in" / "a.tif", arrays)
    save_imagej(tmp_path / "in" / "b.tif", arrays[0])
    axes = {"P": "samples", "T": "samples", "Z": "samples"}
    assert predict("run", tmp_path / "in", tmp_path / "out", axes=axes).failed == []
    expected = {
        **expected_of(arrays[0], "a/P001"),
        **expected_of(arrays[1], "a/P002"),
        **expected_of(arrays[0], "b"),
    }
    assert_masks(tmp_path / "out", expected)


def test_a_run_on_slides_reads_no_planes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plane has its full size, and the network expects pixels of 0.5 µm."""
    open_run(monkeypatch, microns_per_pixel=0.5)
    save_imagej(tmp_path / "in" / "a.tif", values())
    with fails(ConfigError, "contradiction", "0.5", setting="--axes"):
        predict("run", tmp_path / "in", tmp_path / "out", axes={"T": "samples", "Z": 2})


def test_the_command_line_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_run(monkeypatch)
    array = values()
    path = save_imagej(tmp_path / "a.tif", array)
    out = ["--out", str(tmp_path / "out")]
    axes = ["--axes", "T: samples, Z: 2"]
    assert main(["predict", str(tmp_path), str(path), *out, *axes]) == 0
    expected = {f"a/T{t + 1:03d}.png": array[t, 1, 0] >= HALF for t in range(2)}
    assert_masks(tmp_path / "out", expected)
    assert main(["predict", str(tmp_path), str(path), *out, "--axes", "Z: many"]) == 2


@pytest.mark.parametrize(
    "axes", ["Z", "Z: many", "Z: 0", "X: samples", "{Z: samples", {"z": 1}, {"Z": "rows"}, [1]]
)
def test_other_meanings_are_refused(axes: Any) -> None:
    with fails(ConfigError, "wrong-value", setting="--axes"):
        parse_axes(axes)
