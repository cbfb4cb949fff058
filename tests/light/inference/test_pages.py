"""Stacks of pages are predicted as the run was trained on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

import segkit
from segkit import Task
from segkit.config import DataConfig, RunConfig
from segkit.inference.files import predict_files
from segkit.inference.load import LoadedRun
from segkit.inference.outputs.writer import Outputs
from tests.helpers.large_cases import config_of, noise

TASK = Task.binary("roof")
PAGES = np.moveaxis(noise(20, 30), -1, 0)


def config(pages: Any, channels: int) -> RunConfig:
    found = config_of(TASK)
    given = found.input.model_dump() | {
        "channels": channels,
        "mean": [0] * channels,
        "std": [1] * channels,
    }  # type: ignore[union-attr]
    return RunConfig.model_validate(
        found.model_dump() | {"input": given, "data": DataConfig(pages=pages).model_dump()}
    )


def bright(images: np.ndarray) -> np.ndarray:
    """A network for which the mean of the bands decides."""
    return (images.mean(-1, keepdims=True) / 255).astype(np.float32)


def masks_of(folder: Path) -> dict[str, np.ndarray]:
    return {path.stem: np.asarray(Image.open(path)) > 0 for path in folder.glob("*.png")}


def test_each_page_gets_a_mask_if_pages_were_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "s.tif", PAGES, photometric="minisblack")
    opened = LoadedRun(bright, config("samples", 1), "a stand-in", "weights")
    monkeypatch.setattr("segkit.inference.predict.open_together", lambda *asked: opened)
    summary = segkit.predict("run", tmp_path / "in", tmp_path / "out")
    assert (summary.written, summary.failed) == (3, [])
    found = masks_of(tmp_path / "out")
    assert sorted(found) == ["s#001", "s#002", "s#003"]
    for page, name in enumerate(sorted(found)):
        np.testing.assert_array_equal(found[name], PAGES[page] / np.float32(255) >= 0.5)


@pytest.mark.parametrize(("pages", "channels"), [("channels", 3), (None, 3), ("first", 1)])
def test_an_image_gets_one_mask_if_pages_were_bands_or_left_out(
    tmp_path: Path, pages: Any, channels: int
) -> None:
    """Runs of older versions, which do not say what pages are, took them for bands."""
    tifffile.imwrite(tmp_path / "s.tif", PAGES, photometric="minisblack")
    summary = predict_files(
        bright, config(pages, channels), {"s": tmp_path / "s.tif"}, Outputs(tmp_path / "out")
    )
    assert (summary.written, summary.failed) == (1, [])
    expected = PAGES[:channels].astype(np.uint8).transpose(1, 2, 0).mean(-1) / 255 >= 0.5
    assert (masks_of(tmp_path / "out")["s"] != expected).mean() < 0.01  # a mean on the threshold


def test_pages_of_unknown_meaning_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "s.tif", PAGES, photometric="minisblack")
    summary = predict_files(
        bright, config(None, 1), {"s": tmp_path / "s.tif"}, Outputs(tmp_path / "out")
    )
    assert (summary.written, [path for path, _ in summary.failed]) == (0, [tmp_path / "s.tif"])
