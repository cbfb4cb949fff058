"""Planes of OME-TIFF, ImageJ and OME-Zarr: each axis means what the user says, or it is refused."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from segkit import DataError
from segkit.io.image_files import list_images
from segkit.io.images import read_image
from segkit.io.masks import read_colours, read_layers, read_mask
from segkit.io.pages import file_of, page_path
from segkit.io.physical_size import read_geometry
from segkit.io.plane_addresses import (
    Plane,
    plane_name,
    plane_path,
    split_plane,
    stack_name,
)
from segkit.io.planes import axes_of, planes_apart, planes_in_file
from segkit.io.raster_windows import open_windowed, pixels_for_windows
from tests.helpers.errors import fails
from tests.helpers.stacks import (
    AXES,
    KINDS,
    PIXEL,
    REASON,
    SHAPE,
    has_zarr,
    save_imagej,
    save_ome_tiff,
    save_ome_zarr,
    save_stack,
    values,
)

needs_zarr = pytest.mark.skipif(not has_zarr(), reason=REASON)
kinds = pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=needs_zarr if "Zarr" in kind else ()) for kind in KINDS]
)
APART = {"T": "samples", "Z": "samples"}


@kinds
def test_each_position_of_an_axis_of_samples_is_an_image(tmp_path: Path, kind: str) -> None:
    array = values()
    path = save_stack(tmp_path, kind, array)
    planes = planes_in_file(path, APART)
    expected = [f"/T{t:03d}_Z{z:03d}" for t, z in itertools.product((1, 2), (1, 2, 3))]
    assert list(planes) == expected
    for (time, height), plane in zip(np.ndindex(2, 3), planes.values(), strict=True):
        assert file_of(plane) == path
        np.testing.assert_array_equal(read_image(plane), np.moveaxis(array[time, height], 0, -1))
        with open_windowed(plane) as windowed:
            window = windowed.read(slice(3, 19), slice(5, 21))
            assert (windowed.height, windowed.width) == SHAPE[-2:]
        np.testing.assert_array_equal(
            window, np.moveaxis(array[time, height, :, 3:19, 5:21], 0, -1)
        )
    assert pixels_for_windows(next(iter(planes.values()))) == SHAPE[-2] * SHAPE[-1]


@kinds
@pytest.mark.parametrize(
    ("axes", "index"),
    [
        ({"T": 2, "Z": "channels"}, (1,)),
        ({"T": "channels", "Z": "channels", "C": "channels"}, ()),
        ({"T": 1, "Z": 3, "C": 2}, (0, 2, 1)),
        ({"T": 1, "Z": "channels", "C": 2}, (0, slice(None), 1)),
    ],
)
def test_axes_become_channels_and_single_positions(
    tmp_path: Path, kind: str, axes: dict[str, Any], index: tuple[Any, ...]
) -> None:
    array = values()
    path = save_stack(tmp_path, kind, array)
    [(name, plane)] = planes_in_file(path, axes).items()
    assert name == ""
    expected = array[index].reshape(-1, *SHAPE[-2:]).transpose(1, 2, 0)
    np.testing.assert_array_equal(read_image(plane), expected)
    with open_windowed(plane) as windowed:
        np.testing.assert_array_equal(windowed.read(slice(0, 20), slice(0, 24)), expected)


@kinds
@pytest.mark.parametrize("axes", [{}, {"T": "samples"}, {"Z": "channels", "C": "samples"}])
def test_an_axis_without_a_meaning_is_refused(
    tmp_path: Path, kind: str, axes: dict[str, Any]
) -> None:
    path = save_stack(tmp_path, kind, values())
    with fails(DataError, "pages", path, "data.axes", "T (2)", "Z (3)", "C (2)", "Y (20)"):
        planes_in_file(path, axes)


@kinds
def test_a_stack_is_refused_without_the_setting(tmp_path: Path, kind: str) -> None:
    path = save_stack(tmp_path, kind, values())
    for read in (read_image, read_mask, open_windowed):
        with fails(DataError, "pages", path, "T (2)", "Z (3)", "C (2)", "X (24)", "data.axes"):
            read(path)


@kinds
def test_channels_alone_are_read_without_a_setting(tmp_path: Path, kind: str) -> None:
    array = values((3, 20, 24))
    path = save_stack(tmp_path, kind, array, "CYX")
    np.testing.assert_array_equal(read_image(path), np.moveaxis(array, 0, -1))
    np.testing.assert_array_equal(read_image(path, bands=(3, 1)), array[[2, 0]].transpose(1, 2, 0))
    assert planes_in_file(path, APART) == {"": path}
    assert list(planes_in_file(path, {"C": "samples"})) == ["/C001", "/C002", "/C003"]


@kinds
def test_the_order_of_axes_in_the_file_does_not_matter(tmp_path: Path, kind: str) -> None:
    if kind == "ImageJ":
        pytest.skip("ImageJ has one order")
    array = values()
    one = save_stack(tmp_path / "one", kind, array)
    other = save_stack(tmp_path / "other", kind, array.transpose(2, 1, 0, 3, 4), "CZTYX")
    for axes in (APART, {"T": "channels", "Z": "channels"}):
        first = planes_in_file(one, axes)
        second = planes_in_file(other, axes)
        assert list(first) == list(second)
        for name, plane in first.items():
            np.testing.assert_array_equal(read_image(plane), read_image(second[name]))


@kinds
def test_the_size_of_a_pixel_is_that_of_the_metadata(tmp_path: Path, kind: str) -> None:
    path = save_stack(tmp_path, kind, values())
    for plane in [path, *planes_in_file(path, APART).values()]:
        found = read_geometry(plane)
        assert found is not None
        np.testing.assert_allclose(found.size_in("µm"), PIXEL, rtol=1e-6)


@kinds
def test_planes_of_labels_are_masks(tmp_path: Path, kind: str) -> None:
    array = (values((3, 20, 24)) % 3).astype(np.uint8)
    path = save_stack(tmp_path, kind, array, "ZYX")
    for height, plane in enumerate(planes_in_file(path, {"Z": "samples"}).values()):
        np.testing.assert_array_equal(read_mask(plane), array[height])
        np.testing.assert_array_equal(read_layers(plane), array[height][..., None])
        np.testing.assert_array_equal(read_colours(plane), array[height][..., None].repeat(3, -1))
    [plane] = planes_in_file(path, {"Z": "channels"}).values()
    np.testing.assert_array_equal(read_layers(plane), np.moveaxis(array, 0, -1))


def test_colours_of_a_stack_stay_channels(tmp_path: Path) -> None:
    array = values((2, 3, 20, 24, 3)).astype(np.uint8)
    path = save_ome_tiff(tmp_path / "a.ome.tif", array, "TZYXS", photometric="rgb")
    for (time, height), plane in zip(
        np.ndindex(2, 3), planes_in_file(path, APART).values(), strict=True
    ):
        np.testing.assert_array_equal(read_image(plane), array[time, height])
    [plane] = planes_in_file(path, {"T": 1, "Z": "channels"}).values()
    expected = array[0].transpose(1, 2, 0, 3).reshape(20, 24, 9)
    np.testing.assert_array_equal(read_image(plane), expected)


def test_pages_without_names_are_an_axis_like_others(tmp_path: Path) -> None:
    array = values((3, 20, 24))
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array, photometric="minisblack", metadata=None)
    with fails(DataError, "pages", path, "I (3)", "data.axes"):
        planes_in_file(path, APART)
    for number, plane in enumerate(planes_in_file(path, {"I": "samples"}).values()):
        np.testing.assert_array_equal(read_image(plane)[..., 0], array[number])
        np.testing.assert_array_equal(read_image(page_path(path, number)), read_image(plane))


def test_other_files_have_one_plane(tmp_path: Path) -> None:
    (tmp_path / "broken.tif").write_bytes(b"II*\0nothing")
    tifffile.imwrite(tmp_path / "plain.tif", values((20, 24)))
    for name in ("a.png", "plain.tif"):
        assert planes_in_file(tmp_path / name, APART) == {"": tmp_path / name}
    broken = tmp_path / "broken.tif"
    assert planes_in_file(broken, APART, keep_broken=True) == {"": broken}
    with fails(DataError, "unreadable", broken):
        planes_in_file(broken, APART)
    assert axes_of(tmp_path / "plain.tif") == {"Y": 20, "X": 24}


def test_a_position_beyond_the_axis_is_refused(tmp_path: Path) -> None:
    path = save_imagej(tmp_path / "a.tif", values())
    with fails(DataError, "pages", path, 3, 2, "data.axes"):
        planes_in_file(path, {"T": 3, "Z": "samples"})
    with fails(DataError, "pages", 3, "Z (3)"):
        read_image(plane_path(path, Plane({"T": 0, "Z": 5}, ("C",))))


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    stack = save_imagej(tmp_path / "a.tif", values())
    other = tmp_path / "a" / "T001_Z002.png"
    with fails(DataError, "duplicate-name", stack, other, "a/T001_Z002"):
        planes_apart({"a/T001_Z002": other, "a": stack}, APART)


def test_planes_that_the_file_does_not_hold_are_refused(tmp_path: Path) -> None:
    path = save_ome_tiff(tmp_path / "a.ome.tif", values((3, 20, 24)), "ZYX")
    with tifffile.TiffFile(path) as tiff:
        text = tiff.ome_metadata
    cut = text.replace('PlaneCount="3"', 'PlaneCount="2"')
    description = cut.encode()
    tifffile.imwrite(path, values((2, 20, 24)), description=description, metadata=None)
    planes = planes_in_file(path, {"Z": "samples"})
    assert len(planes) == 3
    first, _, missing = planes.values()
    assert read_image(first).shape == (20, 24, 1)
    for read in (read_image, open_windowed):
        with fails(DataError, "pages", missing):
            read(missing)
    with fails(DataError, "pages", path):
        read_image(path, "channels")


def test_only_the_pages_of_a_plane_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = values()
    path = save_stack(tmp_path, "OME in tiles", array)
    plane = planes_in_file(path, APART)["/T002_Z001"]
    read = []
    original = tifffile.TiffPage.asarray

    def counted(page: Any, *arguments: Any, **more: Any) -> np.ndarray:
        read.append(page.index)
        return original(page, *arguments, **more)

    monkeypatch.setattr(tifffile.TiffPage, "asarray", counted)
    np.testing.assert_array_equal(read_image(plane), np.moveaxis(array[1, 0], 0, -1))
    assert len(read) == 2


@needs_zarr
def test_a_folder_of_ome_zarr_is_one_image(tmp_path: Path) -> None:
    save_ome_zarr(tmp_path / "monday" / "a.ome.zarr", values())
    (tmp_path / "no.zarr").mkdir()
    assert list_images(tmp_path) == {"monday/a.ome": tmp_path / "monday" / "a.ome.zarr"}


@needs_zarr
def test_the_image_that_bioformats2raw_writes_is_read(tmp_path: Path) -> None:
    array = values()
    save_ome_zarr(tmp_path / "a.zarr" / "0", array)
    (tmp_path / "a.zarr" / ".zgroup").write_text('{"zarr_format": 2}')
    about = {"bioformats2raw.layout": 3}
    (tmp_path / "a.zarr" / ".zattrs").write_text(json.dumps(about))
    plane = planes_in_file(tmp_path / "a.zarr", APART)["/T001_Z002"]
    np.testing.assert_array_equal(read_image(plane), np.moveaxis(array[0, 1], 0, -1))
    save_ome_zarr(tmp_path / "a.zarr" / "1", array)
    with fails(DataError, "pages", tmp_path / "a.zarr", 2, "data.axes"):
        read_image(tmp_path / "a.zarr")


@needs_zarr
@pytest.mark.parametrize(
    "about",
    [
        {},
        {"plate": {"wells": []}},
        {"multiscales": [{"axes": [{"name": "y"}, {"name": "x"}], "datasets": []}]},
        {"multiscales": [{"datasets": [{"path": "0"}]}]},
        {"multiscales": 3},
    ],
)
def test_other_groups_of_zarr_are_refused(tmp_path: Path, about: dict[str, Any]) -> None:
    path = save_ome_zarr(tmp_path / "a.zarr", values((20, 24)), "YX")
    (path / ".zattrs").write_text(json.dumps(about))
    with fails(DataError, "unreadable", path):
        read_image(path)
    assert read_geometry(path) is None
    assert pixels_for_windows(path) == 0


@needs_zarr
@pytest.mark.parametrize(
    ("version", "name"), [("0.4", "0/0/1"), ("0.5", "0/c/0/1")], ids=["Zarr 2", "Zarr 3"]
)
@pytest.mark.parametrize("kept", [0, 20, -1])
def test_a_chunk_that_is_cut_off_is_an_error(
    tmp_path: Path, version: str, name: str, kept: int
) -> None:
    array = values((20, 24))
    path = save_ome_zarr(tmp_path / "a.zarr", array, "YX", version)
    chunk = path / name
    chunk.write_bytes(chunk.read_bytes()[:kept])
    with fails(DataError, "unreadable", path):
        read_image(path)
    with open_windowed(path) as windowed:
        window = windowed.read(slice(0, 20), slice(0, 16))
        np.testing.assert_array_equal(window[..., 0], array[:, :16])


@needs_zarr
def test_shards_and_losses(tmp_path: Path) -> None:
    import zarr
    from numcodecs import Quantize

    array = values((32, 32))
    path = save_ome_zarr(tmp_path / "a.zarr", array, "YX", "0.5")
    group = zarr.open_group(str(path), mode="a")
    del group["0"]
    made = group.create_array(
        "0", shape=array.shape, shards=(32, 32), chunks=(8, 8), dtype=array.dtype
    )
    made[...] = array
    np.testing.assert_array_equal(read_image(path)[..., 0], array)
    lossy = save_ome_zarr(tmp_path / "b.zarr", array.astype(np.float32), "YX")
    group = zarr.open_group(str(lossy), mode="a")
    del group["0"]
    quantize = Quantize(digits=1, dtype="f4")
    group.create_array("0", shape=(32, 32), dtype="float32", filters=[quantize])[...] = 1.5
    with fails(DataError, "unreadable", lossy, "Quantize"):
        read_image(lossy)


def test_a_missing_zarr_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / ".zattrs").write_text("{}")
    monkeypatch.setitem(__import__("sys").modules, "zarr", None)
    with fails(DataError, "missing-package", tmp_path / "a.zarr", "keras-segkit[microscopy]"):
        read_image(tmp_path / "a.zarr")


positions = st.dictionaries(st.sampled_from("TZCI"), st.integers(0, 2000), max_size=4)


@given(positions, st.sampled_from(["a.tif", "b c.ome.zarr", "x#1.tif"]))
def test_addresses_and_names_are_read_back(fixed: dict[str, int], name: str) -> None:
    channels = tuple(axis for axis in "TZCI" if axis not in fixed)
    plane = Plane(fixed, channels)
    path = Path("monday") / name
    if fixed or channels:
        assert split_plane(plane_path(path, plane)) == (path, plane)
    assert stack_name(plane_name("monday/a", fixed)) == "monday/a"


def test_every_axis_is_in_the_helper() -> None:
    assert len(SHAPE) == len(AXES)
