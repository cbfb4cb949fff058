"""Files of several images: each is read as `data.axes` says, and none is chosen silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from segkit import DataError
from segkit.io.images import read_image
from segkit.io.masks import read_mask
from segkit.io.physical_size import read_geometry
from segkit.io.plane_addresses import of_one_stack, stack_file_name, stack_name
from segkit.io.planes import axes_of, images_in, planes_apart, planes_in_file
from segkit.io.raster_windows import open_windowed
from tests.helpers.errors import fails
from tests.helpers.stacks import (
    PIXEL,
    REASON,
    SEVERAL,
    has_zarr,
    save_several_tiff,
    save_several_zarr,
    values,
)

IMAGES = [values((2, 3, 2, 30, 20), seed=1), values((1, 4, 2, 21, 37), seed=2)]
APART = {"P": "samples", "T": "samples", "Z": "samples"}
kinds = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind, marks=pytest.mark.skipif("Zarr" in kind and not has_zarr(), reason=REASON)
        )
        for kind in SEVERAL
    ],
)


def save(folder: Path, kind: str) -> Path:
    name, write = SEVERAL[kind]
    return write(folder / name, IMAGES)


def check(plane: Path, expected: np.ndarray) -> None:
    """Check a plane against its channels (C, H, W), whole and by a window."""
    expected = np.moveaxis(expected, 0, -1)
    np.testing.assert_array_equal(read_image(plane), expected)
    with open_windowed(plane) as windowed:
        np.testing.assert_array_equal(
            windowed.read(slice(4, 19), slice(3, 18)), expected[4:19, 3:18]
        )


@kinds
def test_each_image_has_planes_of_its_own(tmp_path: Path, kind: str) -> None:
    path = save(tmp_path, kind)
    assert [image["Z"] for image in images_in(path)] == [3, 4]
    planes = planes_in_file(path, APART)
    first = [f"/P001/T{time:03d}_Z{height:03d}" for time in (1, 2) for height in (1, 2, 3)]
    second = [f"/P002/Z{height:03d}" for height in (1, 2, 3, 4)]
    assert list(planes) == first + second
    check(planes["/P001/T002_Z003"], IMAGES[0][1, 2])
    check(planes["/P002/Z004"], IMAGES[1][0, 3])
    assert axes_of(planes["/P002/Z004"])["Y"] == 21


@kinds
def test_one_image_is_chosen_by_its_number(tmp_path: Path, kind: str) -> None:
    path = save(tmp_path, kind)
    planes = planes_in_file(path, {"P": 2, "Z": "samples"})
    assert list(planes) == [f"/Z{height:03d}" for height in (1, 2, 3, 4)]
    check(planes["/Z002"], IMAGES[1][0, 1])
    [plane] = planes_in_file(path, {"P": 1, "T": 2, "Z": 1}).values()
    check(plane, IMAGES[0][1, 0])


@kinds
def test_no_image_is_chosen_silently(tmp_path: Path, kind: str) -> None:
    path = save(tmp_path, kind)
    for read in (read_image, read_mask, open_windowed, axes_of):
        with fails(DataError, "pages", path, 2, "data.axes", "Z (3)", "Z (4)"):
            read(path)
    with fails(DataError, "pages", path, 2, "data.axes", "P: samples"):
        planes_in_file(path, {"T": "samples", "Z": "samples"})
    assert read_geometry(path) is None


@kinds
@pytest.mark.parametrize("axes", [{"P": 3}, {"P": "channels"}])
def test_meanings_that_images_cannot_have(tmp_path: Path, kind: str, axes: dict[str, Any]) -> None:
    path = save(tmp_path, kind)
    with fails(DataError, "pages", path, 2, "data.axes"):
        planes_in_file(path, {**APART, **axes})


def test_flat_images_of_one_file_are_planes(tmp_path: Path) -> None:
    images = [values((20, 24), seed=1), values((33, 18), seed=2)]
    path = save_several_tiff(tmp_path / "a.ome.tif", images, "YX")
    planes = planes_in_file(path, {"P": "samples"})
    assert list(planes) == ["/P001", "/P002"]
    for plane, image in zip(planes.values(), images, strict=True):
        check(plane, image[None])
        np.testing.assert_array_equal(read_mask(plane), image)
    with fails(DataError, "pages", path, "data.axes"):
        read_image(path)
    np.testing.assert_array_equal(read_image(path, "first")[..., 0], images[0])


def test_each_image_has_the_pixel_size_of_its_metadata(tmp_path: Path) -> None:
    path = save_several_tiff(tmp_path / "a.ome.tif", IMAGES)
    planes = planes_in_file(path, APART)
    for name, times in (("/P001/T001_Z001", 1), ("/P002/Z001", 2)):
        found = read_geometry(planes[name])
        assert found is not None
        np.testing.assert_allclose(found.size_in("µm"), np.array(PIXEL) * times, rtol=1e-6)


def test_the_levels_of_a_pyramid_are_no_images(tmp_path: Path) -> None:
    image = values((64, 64))
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(image, subifds=1, metadata={"axes": "YX"}, photometric="minisblack")
        file.write(image[::2, ::2], subfiletype=1, photometric="minisblack")
    assert len(images_in(path)) == 1
    np.testing.assert_array_equal(read_image(path)[..., 0], image)


def test_a_file_of_one_image_has_no_images_in_its_names(tmp_path: Path) -> None:
    path = save_several_tiff(tmp_path / "a.ome.tif", IMAGES[:1])
    assert list(planes_in_file(path, {**APART, "T": 1})) == ["/Z001", "/Z002", "/Z003"]
    if has_zarr():
        path = save_several_zarr(tmp_path / "a.zarr", IMAGES[1:])
        assert next(iter(planes_in_file(path, APART))) == "/Z001"


def test_masks_of_images_may_be_files_of_their_own(tmp_path: Path) -> None:
    several = save_several_tiff(tmp_path / "one" / "a.tif", IMAGES)
    single = {}
    for number, image in enumerate(IMAGES, start=1):
        path = tmp_path / "two" / "a" / f"P{number:03d}.tif"
        single[f"a/P{number:03d}"] = save_several_tiff(path, [image])
    assert list(planes_apart({"a": several}, APART)) == list(planes_apart(single, APART))


def test_names_of_planes_lead_to_their_stack_and_file() -> None:
    assert stack_name("a/P002/T001_Z003") == stack_name("a/P002") == "a/P002"
    assert stack_file_name("a/P002/Z003") == stack_file_name("a/P002") == "a"
    assert of_one_stack("a/P001/Z001", "a/P002/T001")
    assert not of_one_stack("a/P001", "b/P001")
