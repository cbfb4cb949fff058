"""Prediction knows the physical size of pixels: resampling, areas of objects, and warnings."""

from __future__ import annotations

import csv
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import segkit
from segkit import ConfigError, DataError, SegkitWarning, Task
from segkit.config import DataConfig, DecodeConfig, RunConfig
from segkit.data.pixel_size import PixelSize
from segkit.inference.decoding import decode
from segkit.inference.files import predict_files
from segkit.inference.load import LoadedRun
from segkit.inference.outputs.writer import Outputs
from segkit.inference.resolution import (
    at_resolution,
    check_sizes,
    check_whole,
    parse_resolution,
    resized,
)
from segkit.io.geometry import Area, Geometry
from segkit.io.masks import read_mask
from segkit.io.physical_size import read_geometry
from tests.helpers.errors import fails, holds
from tests.helpers.geotiff import UTM_32, map_tags
from tests.helpers.stand_in import config_of, network, picture

TASK = Task.binary("house")


def config_at(
    size: tuple[float, float] | None, unit: str | None = None, **sections: Any
) -> RunConfig:
    """Return the config of a run that was trained at a pixel size."""
    config = config_of(TASK)
    measured = config.input.model_copy(update={"pixel_size": size, "pixel_unit": unit})
    return config.model_copy(update={"input": measured, **sections})


def map_file(path: Path, side: float, image: np.ndarray | None = None) -> Path:
    """Write a GeoTIFF with square pixels of a side in metres."""
    pixels = picture(0, 20, 30) if image is None else image
    tags = map_tags(UTM_32, scale=(side, side))
    tifffile.imwrite(path, pixels, photometric="rgb", extratags=tags)
    return path


def predicted(folder: Path, path: Path, config: RunConfig, **settings: Any) -> list[Any]:
    """Predict a file, and return the shapes of the batches that the network saw."""
    seen: list[Any] = []

    def watched(batch: np.ndarray) -> np.ndarray:
        seen.append(batch.shape)
        return network(batch, TASK)

    outputs = Outputs(folder / "out", formats=("geojson", "coco", "instances"))
    summary = predict_files(watched, config, {path.stem: path}, outputs, **settings)
    assert summary.failed == []
    return seen


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("training", ((0.5, 0.4), "m")),
        ("0.25", ((0.25, 0.25), "m")),
        ("25 cm", ((25, 25), "cm")),
        ("1e3 microns", ((1000, 1000), "µm")),
    ],
)
def test_a_resolution_is_that_of_the_training_or_a_size(text: str | None, expected: Any) -> None:
    assert parse_resolution(text, config_at((0.5, 0.4), "m")) == expected


@pytest.mark.parametrize("text", ["", "high", "-1", "0", "0 m", "1 furlong", "1 m2"])
def test_other_texts_are_no_resolution(text: str) -> None:
    with fails(ConfigError, "wrong-value", setting="--resolution"):
        parse_resolution(text, config_at((0.5, 0.5), "m"))


def test_a_run_without_a_pixel_size_needs_a_unit() -> None:
    """Older runs have none, and `data.pixel_size` may have no unit."""
    for config in (config_at(None), config_at((0.5, 0.5))):
        assert parse_resolution("0.5 m", config) == ((0.5, 0.5), "m")
        with fails(ConfigError, "missing-setting", setting="--resolution"):
            parse_resolution("training", config)
        with fails(ConfigError, "wrong-value", setting="--resolution"):
            parse_resolution("0.5", config)


def test_an_image_is_resampled_by_the_ratio_of_the_pixels() -> None:
    """Means of 2 x 2 pixels; each side has its own ratio."""
    image = np.arange(4 * 6, dtype=np.float32).reshape(4, 6, 1)
    half = at_resolution(image, PixelSize((0.5, 50), "m"), PixelSize((100, 10000), "cm"), "a")
    means = image.reshape(2, 2, 3, 2).mean((1, 3))
    np.testing.assert_allclose(half[..., 0], means)
    wide = at_resolution(image, PixelSize((1, 2), "mm"), PixelSize((1, 1), "mm"), "a")
    assert wide.shape == (4, 12, 1)
    with fails(DataError, "pixel-size", "a.png"):
        at_resolution(image, None, PixelSize((1, 1), "mm"), "a.png")
    with fails(DataError, "too-large", "a.png"):
        at_resolution(image, PixelSize((1, 1), "km"), PixelSize((1, 1), "nm"), "a.png")


@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.integers(1, 6),
)
def test_probabilities_stay_probabilities(
    size: tuple[int, int], other: tuple[int, int], classes: int
) -> None:
    values = np.random.default_rng(0).random((*size, classes)).astype(np.float32)
    values /= values.sum(-1, keepdims=True)
    found = resized(values, other)
    assert found.shape == (*other, classes)
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(-1), 1, atol=1e-5)


def test_the_network_sees_the_resolution_and_the_mask_has_the_pixels_of_the_image(
    tmp_path: Path,
) -> None:
    """An image of large blocks has the same mask with pixels of half the size."""
    blocks = picture(3, 10, 15).repeat(4, 0).repeat(4, 1)
    path = map_file(tmp_path / "a.tif", 0.5, blocks)
    seen = predicted(tmp_path, path, config_at((1, 1), "m"), resolution=PixelSize((1, 1), "m"))
    assert seen == [(1, 20, 30, 3)]
    mask = read_mask(tmp_path / "out" / "a.tif")
    assert mask.shape == (40, 60)
    truth = decode(config_of(TASK), network(blocks[None], TASK)[0])
    inside = np.s_[1::4, 1::4]  # a pixel of each block that touches no other
    np.testing.assert_array_equal(mask[inside] > 0, truth[inside] > 0)


def test_objects_have_their_area_in_the_unit_of_the_image(tmp_path: Path) -> None:
    """Nine pixels of 0.5 m are 2.25 m2, in each format; older tables of objects are read."""
    image = np.zeros((12, 12, 3), np.uint8)
    image[3:6, 4:7] = 255
    path = map_file(tmp_path / "a.tif", 0.5, image)
    predicted(tmp_path, path, config_of(TASK))
    expected = {"physical_area": 2.25, "physical_unit": "m2"}
    geojson = json.loads((tmp_path / "out-geojson" / "a.geojson").read_text())
    (feature,) = geojson["features"]
    assert feature["properties"].items() >= {"area": 9, **expected}.items()
    coco = json.loads((tmp_path / "out-coco" / "annotations.json").read_text())
    (annotation,) = coco["annotations"]
    assert annotation.items() >= {"area": 9, **expected}.items()
    (row,) = csv.DictReader((tmp_path / "out-instances.csv").open(encoding="utf-8"))
    assert (row["area"], row["physical_area"], row["physical_unit"]) == ("9", "2.25", "m2")


def test_objects_without_a_known_size_have_pixels_alone(tmp_path: Path) -> None:
    image = np.zeros((12, 12, 3), np.uint8)
    image[3:6, 4:7] = 255
    Image.fromarray(image).save(tmp_path / "a.png", dpi=(96, 96))
    predicted(tmp_path, tmp_path / "a.png", config_of(TASK))
    geojson = json.loads((tmp_path / "out-geojson" / "a.geojson").read_text())
    assert set(geojson["features"][0]["properties"]) == {"class", "area", "score"}
    (row,) = csv.DictReader((tmp_path / "out-instances.csv").open(encoding="utf-8"))
    assert (row["physical_area"], row["physical_unit"]) == ("", "")


def test_an_older_table_of_objects_is_continued(tmp_path: Path) -> None:
    Image.fromarray(picture(0, 12, 12)).save(tmp_path / "b.png")
    old = tmp_path / "out-instances" / "a.csv"
    old.parent.mkdir()
    old.write_text("image,number,class,left,top,width,height,area,score\na,1,house,0,0,2,2,4,0.9\n")
    predicted(tmp_path, tmp_path / "b.png", config_of(TASK))
    rows = list(csv.DictReader((tmp_path / "out-instances.csv").open(encoding="utf-8")))
    (first,) = [row for row in rows if row["image"] == "a"]
    assert (first["area"], first["physical_area"]) == ("4", "")


def test_the_smallest_object_is_an_area(tmp_path: Path) -> None:
    """Four pixels are 1 m2 at 0.5 m, and 0.04 m2 at 0.1 m; also in an image of several windows."""
    image = np.zeros((80, 90, 3), np.uint8)
    image[3:5, 4:6] = 255
    config = config_at(None, decode=DecodeConfig(smallest="0.9 m2"))
    for name, side, kept in (("coarse", 0.5, 4), ("fine", 0.1, 0)):
        path = map_file(tmp_path / f"{name}.tif", side, image)
        predicted(tmp_path, path, config)
        assert (read_mask(tmp_path / "out" / f"{name}.tif") > 0).sum() == kept


def test_masks_state_the_size_of_their_pixels(tmp_path: Path) -> None:
    """A TIFF of a microscope has a PNG as its mask."""
    tifffile.imwrite(
        tmp_path / "a.tif",
        picture(0, 12, 16),
        photometric="rgb",
        resolution=(40000, 20000),
        resolutionunit="CENTIMETER",
    )
    predicted(tmp_path, tmp_path / "a.tif", config_of(TASK))
    for path in (tmp_path / "out" / "a.png", tmp_path / "out-instances" / "a.tif"):
        found = read_geometry(path)
        assert found is not None
        assert found.size_in("µm") == pytest.approx((0.5, 0.25))


def test_another_resolution_than_in_training_is_a_warning(tmp_path: Path) -> None:
    images = {}
    for name, side in (("a", 0.5), ("b", 0.61), ("c", 0.64), ("d", 0.39), ("e", 5)):
        images[name] = map_file(tmp_path / f"{name}.tif", side)
    Image.fromarray(picture(0, 8, 8)).save(tmp_path / "f.png")
    images["f"] = tmp_path / "f.png"
    config = config_at((500, 500), "mm")
    warning = check_sizes(config, images, None)
    assert warning is not None
    assert warning.code == "other-resolution"
    assert all(holds(str(warning), value) for value in (3, "c", "d", "e", 0.64, 500))
    assert check_sizes(config, {"a": images["a"], "b": images["b"]}, None) is None
    assert check_sizes(config_at(None), images, None) is None  # a run of an older version
    known = {name: path for name, path in images.items() if name != "f"}
    assert check_sizes(config, known, PixelSize((0.5, 0.5), "m")) is None


def test_a_needed_pixel_size_is_asked_for_before_the_prediction(tmp_path: Path) -> None:
    Image.fromarray(picture(0, 8, 8)).save(tmp_path / "f.png")
    images = {"f": tmp_path / "f.png"}
    with fails(ConfigError, "missing-setting", "f.png", setting="--resolution"):
        check_sizes(config_at((1, 1), "m"), images, PixelSize((0.5, 0.5), "m"))
    areas = config_at(None, decode=DecodeConfig(smallest={"house": "3 m2"}))
    with fails(ConfigError, "missing-setting", "f.png", setting="decode.smallest"):
        check_sizes(areas, images, None)
    data = DataConfig(pixel_size=(1, 1), pixel_unit="m")
    known = areas.model_copy(update={"data": data})
    assert check_sizes(known, images, PixelSize((0.5, 0.5), "m")) is None


def test_predict_and_evaluate_compare_resolutions_and_predict_resamples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "masks").mkdir()
    map_file(tmp_path / "in" / "a.tif", 0.5)
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "masks" / "a.png")
    seen: list[Any] = []

    def watched(batch: np.ndarray) -> np.ndarray:
        seen.append(batch.shape)
        return network(batch, TASK)

    opened = LoadedRun(watched, config_at((1, 1), "m"), "a stand-in", "weights")
    monkeypatch.setattr("segkit.inference.predict.open_together", lambda *asked: opened)
    monkeypatch.setattr("segkit.evaluation.evaluate.open_together", lambda *asked: opened)
    with pytest.warns(SegkitWarning, match="^other-resolution"):
        segkit.predict("run", tmp_path / "in", tmp_path / "out")
    with pytest.warns(SegkitWarning, match="^other-resolution"):
        report = segkit.evaluate("run", tmp_path / "in", tmp_path / "masks", boundary=True)
    assert (report["boundary"]["unit"], report["boundary"]["tolerance"]) == ("m", 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number, resolution in enumerate(("training", "2", "50 cm")):
            out = tmp_path / f"resampled {number}"
            summary = segkit.predict("run", tmp_path / "in", out, resolution=resolution)
            assert (summary.written, summary.failed) == (1, [])
            assert read_mask(out / "a.tif").shape == (20, 30)
    sizes = [shape[1:3] for shape in seen]
    assert sizes == [(20, 30), (20, 30), (10, 15), (5, 8), (20, 30)]


def test_images_of_windows_are_not_resampled(tmp_path: Path) -> None:
    check_whole({}, PixelSize((1, 1), "m"))
    check_whole({"a": tmp_path / "a.tif"}, None)
    with fails(ConfigError, "contradiction", "a.tif", setting="--resolution"):
        check_whole({"a": tmp_path / "a.tif"}, PixelSize((1, 1), "m"))


@given(
    st.floats(0.01, 1000),
    st.tuples(st.floats(0.01, 100), st.floats(0.01, 100)),
    st.sampled_from(["µm", "mm", "m"]),
)
def test_the_smallest_area_in_pixels_is_reached_and_no_pixel_more(
    value: float, size: tuple[float, float], unit: str
) -> None:
    pixels = Area(value, unit).pixels(size, unit)
    of_a_pixel = size[0] * size[1]
    assert pixels * of_a_pixel >= value * (1 - 1e-6)
    assert (pixels - 1) * of_a_pixel < value * (1 + 1e-6)


@pytest.mark.parametrize("size", ["12 mm", "mm2", "-1 mm2", "12 furlong2", "1.5", 2.5, -1, [1]])
def test_other_values_are_no_smallest_object(size: Any) -> None:
    with fails(ConfigError, "wrong-value", setting="smallest"):
        DecodeConfig(smallest=size)


def test_areas_are_saved_with_a_run() -> None:
    section = DecodeConfig(smallest={"house": "50 um²"})
    assert section.smallest == {"house": "50 µm2"}
    assert DecodeConfig.model_validate(section.model_dump(mode="json")) == section
    rules = section.rules(TASK)
    assert section.with_rules(TASK, rules) == section
    assert section.in_pixels((0.5, 0.5), "µm").smallest == {"house": 200}
    assert Geometry((0.5, 0.5), "µm").size_in("mm") == pytest.approx((0.0005, 0.0005))
