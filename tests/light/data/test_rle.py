"""CSV files of run lengths, as in competitions of Kaggle (https://www.kaggle.com/c/severstal-steel-defect-detection/overview/evaluation)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segkit import ConfigError, DataError, Task
from segkit.config import DataConfig
from segkit.data.sources.source import Source, open_source
from tests.helpers.errors import fails
from tests.helpers.label_sets import (
    filled,
    picture,
    run_pairs,
)

SIZE = (8, 12)
CAT = Task.binary("cat")
BOX = (1, 1, 7, 5)
EXPECTED = filled([BOX], SIZE)


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(*SIZE)).save(path)
    return path


def rle_source(root: Path, text: str, task: Task = CAT, **run_lengths: Any) -> Source:
    for name in "ab":
        image(root / "images" / f"{name}.png")
    (root / "train.csv").write_text(text)
    data = DataConfig.model_validate(
        {
            "source": "rle",
            "images": root / "images",
            "annotations": root / "train.csv",
            "run_lengths": run_lengths or None,
        }
    )
    return open_source(data, task)


@pytest.mark.parametrize(
    "table",
    [
        "ImageId,EncodedPixels\na.png,{}\nb.png,\n",
        "ImageId,EncodedPixels\na,{}\nb,-1\n",
        "id,rle,data_source\na,{},x\nb,,y\n",
        "ImageId,ClassId,EncodedPixels\na.png,cat,{}\nb.png,,\n",
        "ImageId_ClassId,EncodedPixels\na.png_cat,{}\nb.png_cat,\n",
    ],
)
def test_usual_columns_are_found(tmp_path: Path, table: str) -> None:
    for order, pixels in (("column", EXPECTED), ("row", EXPECTED)):
        text = run_pairs(pixels) if order == "column" else run_pairs(pixels.T)
        source = rle_source(tmp_path, table.format(text), order=order)
        np.testing.assert_array_equal(source.read("a").mask == 1, EXPECTED)
        assert not source.read("b").mask.any()


def test_the_order_must_be_named(tmp_path: Path) -> None:
    text = "ImageId,EncodedPixels\na,1 2\nb,\n"
    with fails(ConfigError, "missing-setting", setting="data.run_lengths.order"):
        rle_source(tmp_path, text)
    with fails(ConfigError, "missing-setting", setting="data.run_lengths.order"):
        rle_source(tmp_path, text, image="ImageId")


def test_other_columns_must_be_named(tmp_path: Path) -> None:
    text = "slide,what,runs\na,cat,1 2\nb,,\n"
    with fails(ConfigError, "missing-setting", "slide, what, runs") as problem:
        rle_source(tmp_path, text, order="row")
    assert problem.value.setting == "data.run_lengths.image"
    with fails(ConfigError, "missing-setting", setting="data.run_lengths.pixels"):
        rle_source(tmp_path, text, order="row", image="slide")
    with fails(ConfigError, "unknown-name", "run", setting="data.run_lengths.pixels"):
        rle_source(tmp_path, text, order="row", image="slide", pixels="run")
    source = rle_source(tmp_path, text, order="row", image="slide", pixels="runs", label="what")
    assert np.flatnonzero(source.read("a").mask).tolist() == [0, 1]


def test_a_field_may_be_longer_than_pythons_limit(tmp_path: Path) -> None:
    text = " ".join(["1 1"] * 100_000)
    source = rle_source(tmp_path, f"ImageId,EncodedPixels\na,{text}\nb,\n", order="row")
    assert source.read("a").mask.sum() == 1


@pytest.mark.parametrize("pixels", ["1", "1 x", "0 4", "90 20", "1 99999999999999999999", "1 2.5"])
def test_broken_run_lengths_are_named(tmp_path: Path, pixels: str) -> None:
    text = f"ImageId,EncodedPixels\na,1 2\na,{pixels}\nb,\n"
    with fails(DataError, "label-rle", tmp_path / "train.csv", "line 3"):
        rle_source(tmp_path, text, order="row").read("a")
