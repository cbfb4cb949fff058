"""Slides with annotations of QuPath are read in blocks, at the level with the wanted pixels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from segkit import VOID, DataError, Task, inspect
from segkit.config import DataConfig
from segkit.data.rasterise import Bitmap, Ellipse, Line, Polygon, draw, draw_in
from segkit.data.sources.source import Source, geometry_of, open_source
from segkit.io.images import read_image
from segkit.io.slides import at_level
from tests.helpers.errors import fails
from tests.helpers.label_sets import corners, qupath_feature, write_json
from tests.helpers.slides import (
    MICRONS,
    REASON,
    SIZE,
    has_slides,
    nuclei,
    picture,
    save_pyramid,
    save_svs,
    tissue,
)

needs_slides = pytest.mark.skipif(not has_slides(), reason=REASON)
TASK = Task.multiclass(["background", "tissue", "nucleus"])
NUCLEI = ((160, 120, 216, 168), (240, 200, 272, 240))
STEP = 4


def ring(box: tuple[float, ...]) -> list[list[float]]:
    points = corners(box)
    return [*points, points[0]]


def annotations() -> dict[str, Any]:
    """Return the annotations of a slide in pixels of its largest level."""
    angles = np.linspace(0, 2 * np.pi, 200)
    disc = np.stack([200 + 110 * np.cos(angles), 180 + 110 * np.sin(angles)], axis=1)
    outline = {"type": "Polygon", "coordinates": [disc.tolist()]}
    features = [qupath_feature("tissue", outline)]
    for box in NUCLEI:
        square = {"type": "Polygon", "coordinates": [ring(box)]}
        features.append(qupath_feature("nucleus", square))
    return {"type": "FeatureCollection", "features": features}


def opened(root: Path, **more: Any) -> Source:
    data = DataConfig(
        source="qupath",
        images=root,
        microns_per_pixel=MICRONS * STEP,
        on_top=("nucleus", "tissue"),
        **more,
    )
    return open_source(data, TASK)


@needs_slides
@pytest.mark.parametrize(("name", "save"), [("a.svs", save_svs), ("a.ome.tif", save_pyramid)])
def test_blocks_are_areas_of_the_whole_slide(tmp_path: Path, name: str, save: Any) -> None:
    path = save(tmp_path / name, picture())
    write_json(path.with_suffix(".geojson"), annotations())
    whole = opened(tmp_path)
    sample = whole.read(whole.names[0])
    np.testing.assert_array_equal(sample.image, read_image(at_level(path, MICRONS * STEP)))
    np.testing.assert_array_equal(sample.mask == 2, nuclei()[::STEP, ::STEP])
    assert (sample.mask > 0).sum() == pytest.approx(tissue()[::STEP, ::STEP].sum(), rel=0.03)
    blocks = opened(tmp_path, blocks=64)
    assert len(blocks.names) == 9
    for block_name in blocks.names:
        block = blocks.blocks[block_name]  # type: ignore[attr-defined]
        area = (slice(*block.rows), slice(*block.columns))
        found = blocks.read(block_name)
        assert found.name == block_name
        np.testing.assert_array_equal(found.image, sample.image[area])
        np.testing.assert_array_equal(found.mask, sample.mask[area])
        for geometry in (found.geometry, geometry_of(blocks, block_name)):
            assert geometry is not None
            np.testing.assert_allclose(geometry.size_in("µm"), [MICRONS * STEP] * 2)


@needs_slides
def test_blocks_outside_the_labelled_area_are_void(tmp_path: Path) -> None:
    path = save_svs(tmp_path / "a.svs", picture())
    content = annotations()
    region = {"type": "Polygon", "coordinates": [ring((100, 100, 300, 300))]}
    content["features"].append(qupath_feature("region", region))
    write_json(path.with_suffix(".geojson"), content)
    area = {"label": "region"}
    mask = opened(tmp_path, labelled_area=area).read("a").mask
    inside = np.zeros(mask.shape, bool)
    inside[25:75, 25:75] = True
    assert (mask[~inside] == VOID).all()
    assert (mask[inside] < VOID).all()
    blocks = opened(tmp_path, labelled_area=area, blocks=64)
    for name in blocks.names:
        block = blocks.blocks[name]  # type: ignore[attr-defined]
        expected = mask[slice(*block.rows), slice(*block.columns)]
        np.testing.assert_array_equal(blocks.read(name).mask, expected)


@needs_slides
def test_a_block_does_not_read_the_whole_slide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_svs(tmp_path / "a.svs", picture())
    write_json(path.with_suffix(".geojson"), annotations())
    blocks = opened(tmp_path, blocks=64)
    read = json.loads
    monkeypatch.setattr("segkit.data.sources.label_source.read_pixels", None)
    calls = []

    def read_once(file: Path) -> Any:
        calls.append(file)
        return read(file.read_text())

    monkeypatch.setattr("segkit.data.sources.qupath.read_json", read_once)
    for name in blocks.names:
        assert blocks.read(name).image.shape[0] < SIZE[0] / STEP
    assert len(calls) == 1


@needs_slides
def test_an_annotation_outside_the_slide_is_named(tmp_path: Path) -> None:
    path = save_svs(tmp_path / "a.svs", picture())
    far = {"type": "Polygon", "coordinates": [ring((2000, 2000, 2100, 2100))]}
    features = [qupath_feature("tissue", far)]
    write_json(path.with_suffix(".geojson"), {"type": "FeatureCollection", "features": features})
    for more in ({}, {"blocks": 64}):
        source = opened(tmp_path, **more)
        with fails(DataError, "label-outside", path.with_suffix(".geojson"), "[0]"):
            source.read(source.names[0])


@needs_slides
def test_a_slide_pairs_with_a_mask_of_its_level(tmp_path: Path) -> None:
    save_svs(tmp_path / "images" / "a.svs", picture())
    mask = nuclei()[::STEP, ::STEP].astype(np.uint8)
    (tmp_path / "masks").mkdir()
    tifffile.imwrite(tmp_path / "masks" / "a.tif", mask)
    data = DataConfig(
        images=tmp_path / "images", masks=tmp_path / "masks", microns_per_pixel=MICRONS * STEP
    )
    sample = open_source(data, Task.binary("nucleus")).read("a")
    np.testing.assert_array_equal(sample.mask, mask)
    assert sample.image.shape == (*mask.shape, 3)


@needs_slides
def test_inspect_reads_slides(tmp_path: Path) -> None:
    path = save_svs(tmp_path / "a.svs", picture())
    write_json(path.with_suffix(".geojson"), annotations())
    settings = ["data.microns_per_pixel=1", "data.on_top=[nucleus, tissue]", "data.blocks=64"]
    found = inspect(tmp_path, settings=settings)
    assert not found.wrong
    assert {"tissue", "nucleus"} <= set(found.task.classes)


SIDE = 20
coordinates = st.floats(-5, SIDE + 5)
points = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=8)
shapes = st.one_of(
    points.map(lambda found: Polygon([np.array(found)])),
    st.tuples(points, points).map(lambda found: Polygon([np.array(ring) for ring in found])),
    points.map(lambda found: Line(np.array(found), 2.5)),
    st.tuples(coordinates, coordinates).map(lambda at: Ellipse(*at, 4, 6)),
    st.tuples(st.integers(0, 15), st.integers(0, 15)).map(
        lambda at: Bitmap(*at, np.eye(5, dtype=bool))
    ),
)
spans = st.tuples(st.integers(0, SIDE - 1), st.integers(1, SIDE)).map(
    lambda ends: slice(min(ends), max(ends[1], ends[0] + 1))
)


@given(shapes, spans, spans)
def test_an_area_of_a_shape_is_that_of_the_whole(shape: Any, rows: slice, columns: slice) -> None:
    size = (SIDE, SIDE)
    try:
        patch = draw(shape, size)
    except DataError as problem:
        with fails(DataError, problem.code):
            draw_in(shape, size, rows, columns)
        return
    whole = np.zeros(size, bool)
    whole[patch.place] = patch.pixels
    found = np.zeros((rows.stop - rows.start, columns.stop - columns.start), bool)
    inside = draw_in(shape, size, rows, columns)
    if inside is not None:
        found[inside.place] = inside.pixels
    np.testing.assert_array_equal(found, whole[rows, columns])
