"""Whole slides are predicted in windows at a level; glass is skipped; objects go to QuPath."""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from segkit import ConfigError, Task
from segkit.config import DataConfig, InputConfig, MaskFilesConfig, PredictConfig, RunConfig
from segkit.data.pixel_size import PixelSize
from segkit.data.rasterise import Polygon, draw_mask
from segkit.data.sources.source import open_source
from segkit.inference.files import predict_files
from segkit.inference.inputs import divide_images, find_images
from segkit.inference.large.files import separate_large
from segkit.inference.large.glass import Glass, Window, predict_tissue, tissue_of
from segkit.inference.large.memory_budget import MemoryBudget
from segkit.inference.large.predict import predict_large
from segkit.inference.large.qupath import write_qupath
from segkit.inference.large.work_folder import Strip
from segkit.inference.outputs.shape_options import ShapeOptions
from segkit.inference.outputs.writer import Outputs
from segkit.inference.predict import predict_large_files
from segkit.io.images import read_image
from segkit.io.slide_windows import LargeSlide
from tests.helpers.errors import fails
from tests.helpers.slides import (
    DARK_STAIN,
    GLASS,
    MICRONS,
    REASON,
    SIZE,
    STAIN,
    has_slides,
    nuclei,
    picture,
    save_svs,
    tissue,
)

needs_slides = pytest.mark.skipif(not has_slides(), reason=REASON)
NUCLEUS = Task.binary("nucleus")
TISSUES = Task.multiclass(["background", "tissue", "nucleus"])
STEP = 2
MICRONS_SEEN = MICRONS * STEP


def config_of(task: Task, skip_glass: bool = False) -> RunConfig:
    given = InputConfig(channels=3, dtype="uint8", mean=(0.0,) * 3, std=(1.0,) * 3, low=0, high=255)
    return RunConfig(
        task=task,
        data=DataConfig(microns_per_pixel=MICRONS_SEEN),
        input=given,
        mask_files=MaskFilesConfig(layout="file", yes=1),
        predict=PredictConfig(tile=64, batch_size=2, skip_glass=skip_glass),
    )


class Network:
    """Predicts from the brightness of each pixel, and counts the windows that it sees."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.windows = 0

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.windows += len(images)
        green = images[..., 1]
        is_nucleus = green < 60
        if not self.task.stores_ids:
            return is_nucleus[..., None].astype(np.float32)
        ids = np.where(is_nucleus, 2, np.where(green < 150, 1, 0))
        return np.eye(3, dtype=np.float32)[ids]


def predicted(config: RunConfig, path: Path, out: Path, network: Network) -> np.ndarray:
    [(name, address)] = divide_images(config, {"a": path}).items()
    budget = MemoryBudget(batch_size=2, read_bytes=2**18)
    [mask] = predict_large(network, config, address, out, name, budget)
    return np.asarray(tifffile.imread(mask))


@needs_slides
def test_a_slide_is_predicted_at_the_level_of_the_setting(tmp_path: Path) -> None:
    path = save_svs(tmp_path / "in" / "a.svs", picture())
    config = config_of(NUCLEUS)
    images = divide_images(config, find_images([tmp_path / "in"]).images)
    whole, large = separate_large(config, images, Outputs(tmp_path / "out"), 1)
    assert (list(whole), list(large)) == ([], ["a"])
    mask = predicted(config, path, tmp_path / "out", Network(NUCLEUS))
    image = read_image(large["a"])
    assert mask.shape == (SIZE[0] // STEP, SIZE[1] // STEP) == image.shape[:2]
    np.testing.assert_array_equal(mask, image[..., 1] < 60)


@needs_slides
@pytest.mark.parametrize("task", [NUCLEUS, TISSUES], ids=["yes and no", "classes"])
def test_glass_is_background_without_prediction(tmp_path: Path, task: Task) -> None:
    path = save_svs(tmp_path / "a.svs", picture())
    everything = Network(task)
    expected = predicted(config_of(task), path, tmp_path / "all", everything)
    some = Network(task)
    config = config_of(task, skip_glass=True)
    np.testing.assert_array_equal(predicted(config, path, tmp_path / "some", some), expected)
    assert 0 < some.windows < everything.windows / 2
    images = divide_images(config, {"a": path})
    whole, large = separate_large(config, images, Outputs(tmp_path / "out"), 2**60)
    assert (list(whole), list(large)) == ([], ["a"])


@needs_slides
def test_glass_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[slice, slice]] = []
    read_area = LargeSlide.read

    def watched(slide: LargeSlide, rows: slice, columns: slice) -> np.ndarray:
        read.append((rows, columns))
        return read_area(slide, rows, columns)

    monkeypatch.setattr(LargeSlide, "read", watched)
    path = save_svs(tmp_path / "a.svs", picture())
    predicted(config_of(NUCLEUS, skip_glass=True), path, tmp_path / "some", Network(NUCLEUS))
    seen = np.zeros((SIZE[0] // STEP, SIZE[1] // STEP), bool)
    for rows, columns in read:
        seen[rows, columns] = True
    shows_tissue = tissue()[::STEP, ::STEP]
    assert seen[shows_tissue].all()
    assert seen.mean() < 0.5


def test_glass_waits_only_for_the_tissue_before_it() -> None:
    """Otherwise the memory grows with the glass between two pieces of tissue."""
    given = 0

    def windows(pattern: str) -> Iterator[Window]:
        nonlocal given
        for number, kind in enumerate(pattern):
            given += 1
            pixels = np.full((4, 6, 3), number, np.uint8) if kind == "t" else None
            yield Window((4, 6), kind == "g", pixels)

    batches: list[list[int]] = []

    def predict(images: np.ndarray) -> np.ndarray:
        batches.append(images[:, 0, 0, 0].tolist())
        return images[..., :1] / np.float32(100)

    pattern = "ggtgtggtg"
    waited = []
    results = []
    for number, result in enumerate(predict_tissue(predict, windows(pattern), NUCLEUS, 2)):
        waited.append(given - number - 1)
        results.append(round(float(result[0, 0, 0] * 100)))
        assert result.shape == (4, 6, 1)
    assert results == [0, 0, 2, 0, 4, 0, 0, 7, 0]
    assert batches == [[2, 4], [7]]
    assert waited == [0, 0, 2, 1, 0, 0, 0, 1, 0]


def test_a_waiting_window_does_not_keep_its_piece_in_memory() -> None:
    alive: list[weakref.ref[np.ndarray]] = []

    def windows() -> Iterator[Window]:
        for _ in range(3):
            piece = np.zeros((4, 60, 3), np.uint8)
            alive.append(weakref.ref(piece))
            yield Window((4, 6), False, piece[:, :6])
            del piece
            yield Window((4, 6), True, None)

    def predict(images: np.ndarray) -> np.ndarray:
        assert [piece() is None for piece in alive] == [True, True, False]
        return images[..., :1].astype(np.float32)

    assert len(list(predict_tissue(predict, windows(), NUCLEUS, 3))) == 6


@needs_slides
def test_a_task_without_background_cannot_skip_glass(tmp_path: Path) -> None:
    path = save_svs(tmp_path / "a.svs", picture())
    task = Task.multiclass(["tissue", "nucleus"])
    config = config_of(task, skip_glass=True)
    with fails(ConfigError, "not-for-task", setting="predict.skip_glass"):
        predicted(config, path, tmp_path / "out", Network(task))
    images = divide_images(config, {"a": path})
    with fails(ConfigError, "not-for-task", setting="predict.skip_glass"):
        separate_large(config, images, Outputs(tmp_path / "out"), None)


def test_tissue_has_colour_or_is_dark() -> None:
    found = tissue_of(picture())
    np.testing.assert_array_equal(found, tissue())
    rgb = np.full((40, 40, 3), GLASS, np.uint8)
    assert not tissue_of(rgb).any()
    rgb[:10] = 0  # around the scanned fields
    assert not tissue_of(rgb).any()
    rgb[20:30, 20:30] = (225, 200, 220)  # pale
    rgb[32:36, 32:36] = (60, 60, 60)  # pigment
    rgb[12:18] = DARK_STAIN
    expected = np.zeros((40, 40), bool)
    expected[12:18] = True
    expected[20:30, 20:30] = True
    expected[32:36, 32:36] = True
    np.testing.assert_array_equal(tissue_of(rgb), expected)
    assert tissue_of(np.full((9, 9, 3), STAIN, np.uint8)).sum() in (0, 81)


def test_no_window_with_tissue_is_glass() -> None:
    mask = tissue((88, 112))
    rng = np.random.default_rng(0)
    mask = rng.random((88, 112)) < 0.001
    glass = Glass(mask, 880, 1120)
    full = mask.repeat(10, 0).repeat(10, 1)
    for _ in range(200):
        top, left = rng.integers(0, 800), rng.integers(0, 1000)
        rows = slice(int(top), int(top) + 60)
        columns = slice(int(left), int(left) + 60)
        if glass.covers(rows, columns):
            assert not full[rows, columns].any()


def save_bands(folder: Path, planes: np.ndarray, heights: tuple[int, ...]) -> list[Strip]:
    """Write the rows of a mask (H, W, P) as prediction in windows does."""
    folder.mkdir(parents=True)
    bands = []
    top = 0
    for height in heights:
        rows = planes[top : top + height]
        band = Strip(folder / f"{top}.band", len(rows), planes.shape[1], planes.shape[2], "uint8")
        with band.writing() as write:
            write(rows)
        bands.append(band)
        top += height
    return bands


def drawn(path: Path, task: Task, size: tuple[int, int], scale: float = 1) -> dict[str, np.ndarray]:
    """Return the union of the annotations of each class, drawn at 1/scale."""
    found = {task.classes[label]: np.zeros(size, bool) for label in task.foreground}
    for feature in json.loads(path.read_text(encoding="utf-8"))["features"]:
        assert feature["properties"]["objectType"] == "annotation"
        geometry = feature["geometry"]
        polygons = geometry["coordinates"]
        if geometry["type"] == "Polygon":
            polygons = [polygons]
        for rings in polygons:
            shape = Polygon([np.array(ring[:-1], float) / scale for ring in rings])
            found[feature["properties"]["classification"]["name"]] |= draw_mask(shape, size)
    return found


@pytest.mark.parametrize("kind", ["ids", "yes and no", "several"])
def test_annotations_are_the_objects_of_the_mask(tmp_path: Path, kind: str) -> None:
    task = {"ids": TISSUES, "yes and no": NUCLEUS, "several": Task.multilabel(["a", "b"])}[kind]
    smooth = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(70, 90, 2)), (3, 3, 0))
    layers = smooth > 0.02
    planes = layers.astype(np.uint8)
    if kind != "several":
        planes = planes[..., :1]
    if kind == "ids":
        planes[layers[..., 1] & (planes[..., 0] == 0)] = 2
    bands = save_bands(tmp_path / "bands", planes, (20, 31, 19))
    path = tmp_path / "a.geojson"
    write_qupath(path, tmp_path / "a.tif", task, bands, ShapeOptions(), None)
    for label in task.foreground:
        expected = planes[..., label] == 1 if kind == "several" else planes[..., 0] == max(label, 1)
        found = drawn(path, task, (70, 90))[task.classes[label]]
        np.testing.assert_array_equal(found, expected)
    smallest = ShapeOptions(smallest="30 µm2")
    write_qupath(path, tmp_path / "a.tif", task, bands, smallest, PixelSize((0.5, 0.5), "µm"))
    for label in task.foreground:
        expected = planes[..., label] == 1 if kind == "several" else planes[..., 0] == max(label, 1)
        numbers, count = ndimage.label(expected, np.ones((3, 3)))
        areas = ndimage.sum_labels(expected, numbers, np.arange(count + 1))
        large = np.isin(numbers, np.flatnonzero(areas >= 120))
        found = drawn(path, task, (70, 90))[task.classes[label]]
        np.testing.assert_array_equal(found, large & expected)


@needs_slides
def test_annotations_of_a_slide_are_in_pixels_of_its_largest_level(tmp_path: Path) -> None:
    path = save_svs(tmp_path / "a.svs", picture())
    config = config_of(NUCLEUS)
    [address] = divide_images(config, {"a": path}).values()
    written = tmp_path / "a.geojson"
    predict_large(
        Network(NUCLEUS),
        config,
        address,
        tmp_path / "out",
        "a",
        MemoryBudget(batch_size=2, read_bytes=2**18),
        write_more=lambda bands: write_qupath(
            written, address, NUCLEUS, bands, ShapeOptions(), None
        ),
    )
    np.testing.assert_array_equal(drawn(written, NUCLEUS, SIZE)["nucleus"], nuclei())


@needs_slides
@pytest.mark.parametrize("in_windows", [False, True])
def test_predict_writes_the_annotations_of_a_slide(tmp_path: Path, in_windows: bool) -> None:
    save_svs(tmp_path / "in" / "a.svs", picture())
    config = config_of(NUCLEUS)
    images = divide_images(config, find_images([tmp_path / "in"]).images)
    outputs = Outputs(tmp_path / "out", formats=("qupath",))
    _, large = separate_large(config, images, outputs, 1 if in_windows else None)
    assert bool(large) == in_windows
    if in_windows:
        budget = MemoryBudget(batch_size=2, read_bytes=2**18)
        summary = predict_large_files(Network(NUCLEUS), config, images, outputs, "weights", budget)
    else:
        summary = predict_files(Network(NUCLEUS), config, images, outputs)
    assert (summary.written, summary.failed) == (1, [])
    written = tmp_path / "out-qupath" / "a.geojson"
    np.testing.assert_array_equal(drawn(written, NUCLEUS, SIZE)["nucleus"], nuclei())
    data = DataConfig(
        source="qupath",
        images=tmp_path / "in",
        annotations=written.parent,
        microns_per_pixel=MICRONS_SEEN,
    )
    sample = open_source(data, NUCLEUS).read("a")
    np.testing.assert_array_equal(sample.mask, nuclei()[::STEP, ::STEP])


@needs_slides
@pytest.mark.parametrize(
    "more", [{"overlays": True}, {"formats": ("geojson",)}, {"probabilities": "tif"}]
)
def test_other_files_of_a_slide_in_windows_are_refused(
    tmp_path: Path, more: dict[str, object]
) -> None:
    path = save_svs(tmp_path / "a.svs", picture())
    config = config_of(NUCLEUS)
    images = divide_images(config, {"a": path})
    with fails(ConfigError, "contradiction"):
        separate_large(config, images, Outputs(tmp_path / "out", **more), 1)  # type: ignore[arg-type]
