"""CZI, LIF and ND2: planes as the arrays that were written, and nothing that was not recorded."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from segkit import DataError
from segkit.io.image_files import list_images
from segkit.io.images import read_image, read_pixels
from segkit.io.masks import read_layers, read_mask
from segkit.io.physical_size import read_geometry
from segkit.io.planes import axes_of, distance_along_z, images_in, planes_in_file
from segkit.io.raster_windows import open_windowed, pixels_for_windows
from tests.helpers.damage import damaged
from tests.helpers.errors import fails
from tests.helpers.microscopes import (
    PACKAGES,
    needs_reader,
    save_microscope,
    save_nd2,
)
from tests.helpers.stacks import HEIGHT_OF_A_PLANE, PIXEL, SHAPE, values

EXAMPLES = int(os.environ.get("SEGKIT_EXAMPLES", "50"))
APART = {"T": "samples", "Z": "samples"}
KINDS = [pytest.param(kind, marks=needs_reader(kind)) for kind in PACKAGES]
kinds = pytest.mark.parametrize("kind", KINDS)


def save(folder: Path, kind: str, *images: np.ndarray, axes: str = "TZCYX") -> Path:
    return save_microscope(folder / f"a.{kind}", images, axes)


def check_windows(plane: Path, expected: np.ndarray) -> None:
    """Check the plane and a window of it against its array (H, W, C)."""
    np.testing.assert_array_equal(read_image(plane), expected)
    rows = slice(3, expected.shape[0] - 2)
    columns = slice(5, expected.shape[1] - 1)
    with open_windowed(plane) as windowed:
        assert (windowed.height, windowed.width) == expected.shape[:2]
        np.testing.assert_array_equal(windowed.read(rows, columns), expected[rows, columns])


@kinds
def test_planes_are_the_arrays_that_were_written(tmp_path: Path, kind: str) -> None:
    array = values()
    path = save(tmp_path, kind, array)
    planes = planes_in_file(path, APART)
    assert list(planes)[-1] == "/T002_Z003"
    for (time, height), plane in zip(np.ndindex(2, 3), planes.values(), strict=True):
        check_windows(plane, np.moveaxis(array[time, height], 0, -1))
    assert pixels_for_windows(plane) == SHAPE[-2] * SHAPE[-1]
    assert list_images(tmp_path) == {"a": path}


@kinds
@pytest.mark.parametrize(
    ("axes", "index"),
    [
        ({"T": 2, "Z": "channels"}, (1,)),
        ({"T": "channels", "Z": "channels"}, ()),
        ({"T": 1, "Z": 3, "C": 2}, (0, 2, 1)),
    ],
)
def test_axes_become_channels_and_single_positions(
    tmp_path: Path, kind: str, axes: dict[str, Any], index: tuple[int, ...]
) -> None:
    array = values()
    [(name, plane)] = planes_in_file(save(tmp_path, kind, array), axes).items()
    assert name == ""
    check_windows(plane, array[index].reshape(-1, *SHAPE[-2:]).transpose(1, 2, 0))


@kinds
def test_colours_are_red_green_and_blue(tmp_path: Path, kind: str) -> None:
    array = values((3, 20, 24, 3)).astype(np.uint8)
    path = save(tmp_path, kind, array, axes="ZYXS")
    for height, plane in enumerate(planes_in_file(path, {"Z": "samples"}).values()):
        check_windows(plane, array[height])


@kinds
def test_an_axis_without_a_meaning_is_refused(tmp_path: Path, kind: str) -> None:
    path = save(tmp_path, kind, values())
    for read in (read_image, read_mask, open_windowed):
        with fails(DataError, "pages", path, "T (2)", "Z (3)", "data.axes"):
            read(path)
    with fails(DataError, "pages", path, "Z (3)", "data.axes"):
        planes_in_file(path, {"T": "samples"})


@kinds
def test_flat_images_need_no_setting(tmp_path: Path, kind: str) -> None:
    array = values((2, 20, 24))
    path = save(tmp_path, kind, array, axes="CYX")
    np.testing.assert_array_equal(read_image(path), np.moveaxis(array, 0, -1))
    np.testing.assert_array_equal(read_image(path, bands=(2,)), array[1][..., None])


@kinds
def test_masks_may_have_these_formats(tmp_path: Path, kind: str) -> None:
    array = (values((3, 20, 24)) % 3).astype(np.uint8)
    path = save(tmp_path, kind, array, axes="ZYX")
    for height, plane in enumerate(planes_in_file(path, {"Z": "samples"}).values()):
        np.testing.assert_array_equal(read_mask(plane), array[height])
        np.testing.assert_array_equal(read_layers(plane), array[height][..., None])


@kinds
def test_the_size_of_a_pixel_is_that_of_the_metadata(tmp_path: Path, kind: str) -> None:
    path = save(tmp_path, kind, values())
    size = (PIXEL[1],) * 2 if kind == "nd2" else PIXEL  # pixels of ND2 are square
    for plane in [path, *planes_in_file(path, APART).values()]:
        found = read_geometry(plane)
        assert found is not None
        np.testing.assert_allclose(found.size_in("µm"), size, rtol=1e-6)
        assert distance_along_z(plane) == pytest.approx(HEIGHT_OF_A_PLANE)


@kinds
def test_the_images_of_a_file_are_an_axis(tmp_path: Path, kind: str) -> None:
    images = [values(seed=1), values(seed=2)]
    path = save(tmp_path, kind, *images)
    assert len(images_in(path)) == 2
    for read in (read_image, read_mask, open_windowed, axes_of):
        with fails(DataError, "pages", path, 2, "data.axes", "Z (3)"):
            read(path)
    planes = planes_in_file(path, {**APART, "P": "samples"})
    assert len(planes) == 12
    for number, image in enumerate(images):
        plane = planes[f"/P{number + 1:03d}/T002_Z003"]
        check_windows(plane, np.moveaxis(image[1, 2], 0, -1))
        assert axes_of(plane)["Z"] == 3


@pytest.mark.parametrize("kind", [p for p in KINDS if p.values[0] != "nd2"])
def test_images_of_a_file_may_differ(tmp_path: Path, kind: str) -> None:
    images = [values((1, 4, 2, 30, 20), seed=1), values((2, 3, 2, 21, 37), seed=2)]
    path = save(tmp_path, kind, *images)
    planes = planes_in_file(path, {**APART, "P": "samples"})
    assert sorted(planes) == [
        *(f"/P001/Z{height:03d}" for height in (1, 2, 3, 4)),
        *(f"/P002/T{t:03d}_Z{height:03d}" for t in (1, 2) for height in (1, 2, 3)),
    ]
    check_windows(planes["/P001/Z004"], np.moveaxis(images[0][0, 3], 0, -1))
    check_windows(planes["/P002/T002_Z001"], np.moveaxis(images[1][1, 0], 0, -1))
    [plane] = planes_in_file(path, {"P": 2, "T": 1, "Z": 2, "C": 1}).values()
    check_windows(plane, images[1][0, 1, 0][..., None])


@kinds
@pytest.mark.parametrize("kept", [0, 40, 3000])
def test_a_file_that_is_cut_off_is_an_error(tmp_path: Path, kind: str, kept: int) -> None:
    path = save(tmp_path, kind, values((2, 90, 110)), axes="CYX")
    path.write_bytes(path.read_bytes()[:kept])
    with fails(DataError, "unreadable", path):
        read_image(path)
    if kept < 3000:  # LIF states the axes before the pixels
        assert read_geometry(path) is None
        assert pixels_for_windows(path) == 0


@pytest.mark.parametrize("kind", PACKAGES)
def test_a_missing_package_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(b"nothing")
    for module in [name for name in sys.modules if name.partition(".")[0] == PACKAGES[kind]]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, PACKAGES[kind], None)
    with fails(DataError, "missing-package", path, "keras-segkit[microscopy]", PACKAGES[kind]):
        read_image(path)
    assert read_geometry(path) is None


@needs_reader("czi")
def test_tiles_of_a_mosaic_are_one_image_and_gaps_are_not_valid(tmp_path: Path) -> None:
    from pylibCZIrw import czi

    path = tmp_path / "a.czi"
    tiles = values((3, 16, 20), seed=3)
    places = ((-40, 8), (-20, 8), (-40, 24))  # left and top; nothing is at (-20, 24)
    with czi.create_czi(str(path)) as file:
        for tile, place in zip(tiles, places, strict=True):
            file.write(tile[..., None], plane={"C": 0}, location=place)
    expected = np.zeros((32, 40), np.uint16)
    recorded = np.zeros((32, 40), bool)
    for tile, (left, top) in zip(tiles, places, strict=True):
        area = slice(top - 8, top + 8), slice(left + 40, left + 60)
        expected[area] = tile
        recorded[area] = True
    found = read_pixels(path)
    np.testing.assert_array_equal(found.values[..., 0], expected)
    np.testing.assert_array_equal(found.valid, recorded)
    with open_windowed(path) as windowed:
        rows = slice(10, 30)
        columns = slice(15, 35)
        np.testing.assert_array_equal(windowed.valid(rows, columns), recorded[rows, columns])
        assert not windowed.valid(slice(20, 30), slice(22, 38)).any()


@needs_reader("czi")
@pytest.mark.parametrize("segment", [b"ZISRAWDIRECTORY", b"ZISRAWSUBBLOCK"])
def test_a_tile_of_czi_with_too_many_dimensions_is_refused(tmp_path: Path, segment: bytes) -> None:
    path = save(tmp_path, "czi", values((2, 20, 24)), axes="CYX")
    content = bytearray(path.read_bytes())
    entry = content.index(b"DV", content.index(segment))
    content[entry + 28] = 120  # libCZI would crash
    path.write_bytes(content)
    with fails(DataError, "unreadable", path, 120):
        read_image(path)


@needs_reader("czi")
def test_a_czi_that_names_billions_of_planes_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, "czi", values((2, 20, 24)), axes="CYX")
    content = bytearray(path.read_bytes())
    entry = content.index(b"DV", content.index(b"ZISRAWDIRECTORY"))
    dimension = content.index(b"C\0\0\0", entry)
    content[dimension + 4 : dimension + 8] = (2**30).to_bytes(4, "little")
    path.write_bytes(content)
    for read in (read_image, images_in):
        with fails(DataError, "pages", path):
            read(path)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [p for p in KINDS if p.values[0] != "czi"])
def test_damaged_files_give_values_or_an_error_that_names_them(tmp_path: Path, kind: str) -> None:
    """CZI is left out: libCZI may crash, which would end the tests."""
    path = save(tmp_path, kind, values((2, 20, 24)), values((2, 20, 24)), axes="ZYX")
    valid = path.read_bytes()

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(damaged(valid))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        read_geometry(path)
        try:
            for plane in planes_in_file(path, dict.fromkeys("PTZU", "samples")).values():
                read_image(plane)
        except DataError as problem:
            assert str(path) in str(problem)  # noqa: PT017

    check()


@needs_reader("czi")
def test_planes_of_czi_that_were_not_recorded_are_refused(tmp_path: Path) -> None:
    from pylibCZIrw import czi

    path = tmp_path / "a.czi"
    array = values((3, 20, 24))
    with czi.create_czi(str(path)) as file:
        for height in (0, 2):
            file.write(array[height][..., None], plane={"Z": height})
    first, missing, last = planes_in_file(path, {"Z": "samples"}).values()
    np.testing.assert_array_equal(read_image(first)[..., 0], array[0])
    np.testing.assert_array_equal(read_image(last)[..., 0], array[2])
    for read in (read_image, open_windowed):
        with fails(DataError, "pages", path, "Z 2"):
            read(missing)


@needs_reader("nd2")
def test_frames_of_nd2_that_were_not_recorded_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.nd2"
    array = values((3, 2, 20, 24))
    save_nd2(path, [array], "ZCYX", frames=2)
    planes = list(planes_in_file(path, {"Z": "samples"}).values())
    np.testing.assert_array_equal(read_image(planes[1]), np.moveaxis(array[1], 0, -1))
    with fails(DataError, "pages", path, "Z 3"):
        read_image(planes[2])


@needs_reader("nd2")
@pytest.mark.parametrize(
    ("changed", "code"), [({"uiSequenceCount": 7}, "pages"), ({"eCompression": 1}, "unreadable")]
)
def test_nd2_of_which_something_would_be_ignored_is_refused(
    tmp_path: Path, changed: dict[str, int], code: str
) -> None:
    path = tmp_path / "a.nd2"
    save_nd2(path, [values((20, 24))], "YX", changed=changed)
    with fails(DataError, code, path):
        read_image(path)


@needs_reader("lif")
def test_images_of_lif_without_rows_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path, "lif", values((3, 24)), axes="ZX")
    for read in (read_image, lambda path: planes_in_file(path, {"Z": "samples"})):
        with fails(DataError, "pages", path, "Z (3)", "X (24)"):
            read(path)
