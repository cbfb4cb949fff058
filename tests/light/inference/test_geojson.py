"""GeoJSON holds the mask to the pixel, and lies where a GeoTIFF says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from segkit import Task
from segkit.data.polygons import signed_area
from segkit.inference.outputs.geojson import GeoJson, feature_collection
from segkit.inference.outputs.prediction import PredictedImage
from segkit.io.georeference import read_georeference
from tests.helpers.draws import KINDS, task_of
from tests.helpers.polygons import filled
from tests.helpers.stand_in import answer_of, picture

UTM = (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633)
"""GeoKeys: projected, pixel is area, EPSG 32633."""
LATITUDE = (1, 1, 0, 3, 1024, 0, 1, 2, 1025, 0, 1, 2, 2048, 0, 1, 4326)
"""GeoKeys: geographic, pixel is point, EPSG 4326."""


def geotiff(
    path: Path, image: np.ndarray, keys: tuple[int, ...], **tags: tuple[float, ...]
) -> Path:
    codes = {"scale": 33550, "tiepoint": 33922, "transformation": 34264}
    extra = [(codes[name], "d", len(values), values, True) for name, values in tags.items()]
    keyed = [(34735, "H", len(keys), keys, True)] if keys else []
    tifffile.imwrite(path, image, photometric="rgb", extratags=[*extra, *keyed])
    return path


def polygons_of(feature: dict[str, Any]) -> list[list[list[list[float]]]]:
    geometry = feature["geometry"]
    return [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]


def mask_of(collection: dict[str, Any], task: Task, shape: tuple[int, int]) -> np.ndarray:
    """Fill the polygons of each class, as a tool would that has only the file."""
    layers = []
    for name in task.classes:
        rings = [
            [(x, y) for x, y in ring]
            for feature in collection["features"]
            if feature["properties"]["class"] == name
            for polygon in polygons_of(feature)
            for ring in polygon
        ]
        layers.append(filled(rings, shape))
    stack = np.stack(layers, -1).astype(np.uint8)
    if task.exclusive:
        return stack.argmax(-1).astype(np.uint8)  # nothing is class 0, the background
    return stack if task.kind == "multilabel" else stack[..., 0]


@pytest.mark.parametrize("kind", KINDS)
def test_filling_the_polygons_of_the_file_gives_the_mask(tmp_path: Path, kind: str) -> None:
    task = task_of(kind)
    output = GeoJson(task, tmp_path / "masks")
    for seed in range(3):
        answer = answer_of(task, picture(seed, 23, 17))
        (path,) = output.paths("sub/a")
        path.parent.mkdir(parents=True, exist_ok=True)
        output.write(answer, [path])
        assert path == tmp_path / "masks-geojson" / "sub" / "a.geojson"
        collection = json.loads(path.read_text(encoding="utf-8"))
        np.testing.assert_array_equal(mask_of(collection, task, answer.mask.shape[:2]), answer.mask)
        assert (collection["coordinates"], collection["image"]) == ("pixels", "a.png")
        objects = answer.objects[1]
        properties = [
            (f["id"], f["properties"]["class"], f["properties"]["area"])
            for f in collection["features"]
        ]
        assert properties == [
            (found.number, task.classes[found.label], found.area) for found in objects
        ]
        assert {f["geometry"]["type"] for f in collection["features"]} == {
            "Polygon",
            "MultiPolygon",
        }


def test_an_image_without_objects_is_a_collection_without_features() -> None:
    answer = answer_of(Task.binary("a"), np.zeros((4, 4, 3), np.uint8))
    assert feature_collection(answer)["features"] == []


def test_a_geotiff_s_polygons_lie_on_the_map(tmp_path: Path) -> None:
    """Pixels are half a metre; the upper left corner is 500,000 east and 4,100,000 north."""
    image = np.zeros((3, 4, 3), np.uint8)
    image[1, 2] = 255
    path = geotiff(
        tmp_path / "a.tif",
        image,
        UTM,
        scale=(0.5, 0.5, 0.0),
        tiepoint=(0.0, 0.0, 0.0, 500000.0, 4100000.0, 0.0),
    )
    output = GeoJson(Task.binary("roof"), tmp_path / "masks")
    output.folder.mkdir()
    output.write(answer_of(output.task, image, path), output.paths("a"))
    collection = json.loads(output.paths("a")[0].read_text())
    assert collection["coordinates"] == "map"
    assert collection["crs"]["properties"]["name"] == "urn:ogc:def:crs:EPSG::32633"
    ((ring,),) = (polygons_of(feature)[0] for feature in collection["features"])
    east, north = 500001.0, 4099999.5
    assert sorted(map(tuple, ring[:-1])) == [
        (east, north - 0.5),
        (east, north),
        (east + 0.5, north - 0.5),
        (east + 0.5, north),
    ]
    assert ring[0] == ring[-1]
    assert (
        signed_area([(x - east, y - north) for x, y in ring]) == 0.25
    )  # the other way round than in pixels


def test_holes_of_a_map_run_clockwise_and_outer_rings_do_not(tmp_path: Path) -> None:
    image = np.full((3, 3, 3), 255, np.uint8)
    image[1, 1] = 0
    path = geotiff(
        tmp_path / "a.tif",
        image,
        UTM,
        scale=(1.0, 1.0, 0.0),
        tiepoint=(0.0, 0.0, 0.0, 0.0, 3.0, 0.0),
    )
    for place in (None, read_georeference(path)):
        ((outer, hole),) = (
            polygons_of(f)[0]
            for f in feature_collection(answer_of(Task.binary("a"), image), place)["features"]
        )
        assert (signed_area(outer), signed_area(hole)) == (9, -1)


def test_pixel_centres_tiepoints_elsewhere_and_turned_grids(tmp_path: Path) -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    points = [(0.0, 0.0), (2.0, 1.0)]
    centred = read_georeference(
        geotiff(
            tmp_path / "a.tif",
            image,
            LATITUDE,
            scale=(0.1, 0.2, 0.0),
            tiepoint=(1.0, 1.0, 0.0, 10.0, 50.0, 0.0),
        )
    )
    assert centred is not None
    assert centred.epsg == 4326
    np.testing.assert_allclose(centred(points), [(9.85, 50.3), (10.05, 50.1)])
    matrix = (0.0, 2.0, 0.0, 100.0, 3.0, 0.0, 0.0, 200.0, *[0.0] * 7, 1.0)
    turned = read_georeference(geotiff(tmp_path / "b.tif", image, UTM, transformation=matrix))
    assert turned is not None
    np.testing.assert_allclose(turned(points), [(100, 200), (102, 206)])


def test_coordinates_stay_in_pixels_without_a_place_on_a_map(tmp_path: Path) -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    tiepoint = (0.0, 0.0, 0.0, 1.0, 2.0, 0.0)
    assert read_georeference(tmp_path / "a.png") is None
    assert read_georeference(geotiff(tmp_path / "plain.tif", image, ())) is None
    assert (
        read_georeference(geotiff(tmp_path / "points.tif", image, UTM, tiepoint=tiepoint)) is None
    )
    own = (*UTM[:-1], 32767)
    place = read_georeference(
        geotiff(tmp_path / "own.tif", image, own, scale=(1.0, 1.0, 0.0), tiepoint=tiepoint)
    )
    assert place is not None
    assert place.epsg is None
    path = geotiff(tmp_path / "turned.tif", image, UTM, scale=(1.0, 1.0, 0.0), tiepoint=tiepoint)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        assert "Orientation" not in tiff.pages[0].tags
    turned = [
        (274, "H", 1, 6, True),
        (33550, "d", 3, (1.0, 1.0, 0.0), True),
        (33922, "d", 6, tiepoint, True),
    ]
    tifffile.imwrite(tmp_path / "turned.tif", image, photometric="rgb", extratags=turned)
    assert read_georeference(tmp_path / "turned.tif") is None


def test_a_predicted_image_names_its_file_below_the_folder() -> None:
    made = answer_of(Task.binary("a"), np.zeros((4, 4, 3), np.uint8))
    answer = PredictedImage(
        made.task, "sub/b.1", Path("in/sub/b.1.JPG"), made.image, made.probabilities, made.mask
    )
    assert answer.file_name == "sub/b.1.JPG"
