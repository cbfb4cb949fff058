"""JPEG 2000, VRT and COG: values, missing data and place, with rasterio as the oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from segkit import DataError
from segkit.io import codecs
from segkit.io.georeference import has_place, read_georeference
from segkit.io.image_files import list_contents, list_images
from segkit.io.images import may_have_holes, read_pixels
from segkit.io.physical_size import read_geometry
from segkit.io.raster_windows import open_windowed, pixels_for_windows
from tests.helpers.errors import fails
from tests.helpers.extras import NO_GEO
from tests.helpers.maps import (
    bands_of,
    north_up,
    write_raster,
    write_vrt,
)

pytestmark = pytest.mark.long

rasterio = pytest.importorskip("rasterio", reason=NO_GEO)
rasters = pytest.importorskip("rasterio.shutil", reason=NO_GEO)


def measured(shape: tuple[int, int, int] = (90, 70, 4), top: int = 4000) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(1, top, shape).astype(np.uint16 if top > 256 else np.uint8)


def in_windows(path: Path, **how: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Return values and valid pixels, read by four windows."""
    with open_windowed(path, **how) as image:
        rows = [slice(0, 33), slice(33, image.height)]
        columns = [slice(0, 21), slice(21, image.width)]
        values = [[image.read(row, column) for column in columns] for row in rows]
        valid = [[image.valid(row, column) for column in columns] for row in rows]
    whole = np.block([[[part] for part in line] for line in values])
    if valid[0][0] is None:
        return whole, None
    return whole, np.block(valid)


def same_in_windows(path: Path, **how: Any) -> None:
    """Assert that windows have the values and valid pixels of the whole image."""
    whole = read_pixels(path, **how)
    values, valid = in_windows(path, **how)
    assert values.dtype == whole.values.dtype
    assert (values == whole.values).all()
    if whole.valid is None:
        assert valid is None or valid.all()
    else:
        assert valid is not None
        assert (valid == whole.valid).all()


FORMATS = ["a.tif", "a.jp2", "a.vrt"]


def write(path: Path, image: np.ndarray, **how: Any) -> Path:
    if path.suffix == ".vrt":
        source = write_raster(path.parent / "raw" / "source.tif", image, **how)
        return write_vrt(path, source)
    return write_raster(path, image, **how)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("channels", "top"), [(1, 256), (3, 256), (1, 4000), (3, 60_000), (4, 4000), (7, 4000)]
)
def test_the_values_are_those_that_rasterio_reads(
    tmp_path: Path, name: str, channels: int, top: int
) -> None:
    image = measured((90, 70, channels), top)
    path = write(tmp_path / name, image)
    assert (bands_of(path) == image).all()
    found = read_pixels(path)
    assert found.values.dtype == image.dtype
    assert (found.values == image).all()
    assert found.valid is None
    same_in_windows(path)


@pytest.mark.parametrize("name", FORMATS)
def test_bands_are_chosen_in_their_order(tmp_path: Path, name: str) -> None:
    image = measured()
    path = write(tmp_path / name, image)
    assert (read_pixels(path, bands=(4, 3, 2)).values == image[..., [3, 2, 1]]).all()
    same_in_windows(path, bands=(4, 3, 2), channels=3)
    with fails(DataError, "bands", path, 5):
        read_pixels(path, bands=(5,))


@pytest.mark.parametrize("name", ["a.tif", "a.vrt"])
def test_nodata_is_not_valid_and_becomes_the_lowest_value(tmp_path: Path, name: str) -> None:
    image = measured() + 10
    image[:20, :30] = 0
    image[50, 50, 2] = 0  # a measurement
    path = write(tmp_path / name, image, nodata=0)
    found = read_pixels(path)
    assert found.valid is not None
    assert (found.valid == (image != 0).any(axis=-1)).all()
    lowest = np.where(image == 0, 5000, image)[~((image == 0).all(axis=-1))].min(axis=0)
    lowest[2] = 0  # of the measurement
    assert (found.values[:20, :30] == lowest).all()
    assert may_have_holes(path)
    same_in_windows(path)


def test_bands_of_a_vrt_may_have_different_nodata_values(tmp_path: Path) -> None:
    heights = np.full((8, 9, 1), 5.0, np.float32)
    heights[0, 0] = -9999
    slopes = np.full((8, 9, 1), 2.0, np.float32)
    slopes[1, 1] = -1
    for name, values, nodata in (("h", heights, -9999), ("s", slopes, -1)):
        write_raster(tmp_path / f"{name}.tif", values, nodata=nodata)
    vrt = """<VRTDataset rasterXSize="9" rasterYSize="8">
    <VRTRasterBand dataType="Float32" band="1"><NoDataValue>-9999</NoDataValue>
    <SimpleSource><SourceFilename relativeToVRT="1">h.tif</SourceFilename>
    <SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>
    <VRTRasterBand dataType="Float32" band="2"><NoDataValue>-1</NoDataValue>
    <SimpleSource><SourceFilename relativeToVRT="1">s.tif</SourceFilename>
    <SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"""
    (tmp_path / "both.vrt").write_text(vrt)
    found = read_pixels(tmp_path / "both.vrt").valid
    assert found is not None
    assert np.argwhere(~found).tolist() == [[0, 0], [1, 1]]
    same_in_windows(tmp_path / "both.vrt")
    chosen = read_pixels(tmp_path / "both.vrt", bands=(2,)).valid
    assert chosen is not None
    assert np.argwhere(~chosen).tolist() == [[1, 1]]


@pytest.mark.parametrize("inside", ["YES", "NO"])
@pytest.mark.parametrize("name", ["a.tif", "a.vrt"])
def test_a_mask_in_the_file_or_beside_it_says_what_is_valid(
    tmp_path: Path, name: str, inside: str
) -> None:
    image = measured()
    valid = np.tri(90, 70, dtype=bool)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=inside):
        path = write(tmp_path / name, image, valid=valid)
    beside = list(tmp_path.rglob("*.msk"))
    assert bool(beside) == (inside == "NO")
    found = read_pixels(path)
    assert found.valid is not None
    assert (found.valid == valid).all()
    assert (found.values == image).all()
    assert may_have_holes(path)
    same_in_windows(path)


def test_a_mask_beside_an_image_of_another_size_is_an_error(tmp_path: Path) -> None:
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="NO"):
        write_raster(tmp_path / "b.tif", measured((5, 5, 1)), valid=np.ones((5, 5), bool))
        path = write_raster(tmp_path / "a.tif", measured())
    (tmp_path / "b.tif.msk").rename(tmp_path / "a.tif.msk")
    with fails(DataError, "mask-size", "a.tif.msk"):
        read_pixels(path)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("lossy", [False, True])
def test_a_picture_has_the_pixels_that_pillow_reads_without_the_extra(
    tmp_path: Path, mode: str, lossy: bool
) -> None:
    path = tmp_path / "a.jp2"
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "I;16": 1}[mode]
    values = np.random.default_rng(0).normal(0, 1, (40, 50, channels))
    smooth = gaussian_filter(values, (3, 3, 0)) * 600 + 128
    if mode == "I;16":
        picture = Image.fromarray((smooth[..., 0] * 50 + 30_000).astype(np.uint16))
    else:
        pixels = np.clip(smooth, 0, 255).astype(np.uint8)
        if mode in ("LA", "RGBA"):
            pixels[..., -1] = 255
            pixels[:5, :, -1] = 0
        picture = Image.fromarray(pixels.squeeze())
    picture.save(path, irreversible=lossy)
    expected = codecs.read_picture(path)
    found = read_pixels(path)
    assert (found.values == np.atleast_3d(expected.values)).all()
    assert (found.valid is None) == (expected.valid is None)
    if expected.valid is not None:
        assert (found.valid == expected.valid).all()


@pytest.mark.parametrize(("bits", "channels"), [(12, 1), (12, 4), (16, 3)])
def test_depths_that_pillow_would_change_are_read(tmp_path: Path, bits: int, channels: int) -> None:
    values = measured((40, 50, channels), 2**bits)
    content = imagecodecs.jpeg2k_encode(values, level=0, bitspersample=bits, reversible=True)
    (tmp_path / "a.jp2").write_bytes(content)
    assert (read_pixels(tmp_path / "a.jp2").values == values).all()


def test_a_cog_with_overviews_and_a_mask_is_read_at_full_resolution(tmp_path: Path) -> None:
    image = measured((600, 700, 3), 256)
    valid = np.tri(600, 700, dtype=bool)
    plain = write_raster(tmp_path / "plain.tif", image, valid=valid)
    path = tmp_path / "a.tif"
    rasters.copy(plain, path, driver="COG", compress="deflate", blocksize=256)
    with rasterio.open(path) as file:
        assert file.overviews(1) != []
    found = read_pixels(path)
    assert found.valid is not None
    assert (found.valid == valid).all()
    assert (found.values == image).all()
    same_in_windows(path)


def test_an_alpha_band_of_a_vrt_is_no_channel(tmp_path: Path) -> None:
    image = measured((30, 30, 4), 256)
    image[..., 3] = 255
    image[:5, :, 3] = 0
    path = tmp_path / "raw" / "a.tif"
    write_raster(path, image, photometric="RGB", alpha="YES")
    vrt = write_vrt(tmp_path / "a.vrt", path)
    for read in (path, vrt):
        found = read_pixels(read)
        assert found.values.shape[-1] == 3
        assert found.valid is not None
        assert (found.valid == (image[..., 3] != 0)).all()
        same_in_windows(read)


def test_a_palette_becomes_colours(tmp_path: Path) -> None:
    indices = np.array([[[0], [1]], [[2], [1]]], np.uint8)
    path = write_raster(tmp_path / "raw" / "a.tif", indices, photometric="palette")
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {0: (0, 0, 0), 1: (255, 10, 20), 2: (1, 2, 3)})
    vrt = write_vrt(tmp_path / "a.vrt", path)
    for read in (path, vrt):
        assert read_pixels(read).values[0, 1].tolist() == [255, 10, 20]
        assert read_pixels(read).values[1, 0].tolist() == [1, 2, 3]


WKT = rasterio.crs.CRS.from_proj4(
    "+proj=laea +lat_0=50 +lon_0=10 +x_0=1000 +y_0=2000 +ellps=GRS80 +units=m"
).to_wkt()
TURNED = rasterio.Affine(2, 0.5, 1000, 0.5, -2, 2000)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326", "EPSG:3857", WKT])
@pytest.mark.parametrize("transform", [north_up(10), TURNED])
def test_the_place_is_that_of_rasterio(tmp_path: Path, name: str, crs: str, transform: Any) -> None:
    path = write(tmp_path / name, measured((9, 8, 1)), crs=crs, transform=transform)
    found = read_georeference(path)
    assert found is not None
    assert found.transform == pytest.approx(tuple(transform)[:6])
    if path.suffix != ".tif" or crs != WKT:
        assert found.crs is not None
        assert rasterio.crs.CRS.from_user_input(found.crs) == rasterio.open(path).crs
    assert has_place(path)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("crs", "side"), [("EPSG:32633", 10), ("EPSG:2263", 10 * 1200 / 3937), ("EPSG:4326", None)]
)
def test_the_pixel_size_is_in_metres(
    tmp_path: Path, name: str, crs: str, side: float | None
) -> None:
    path = write(tmp_path / name, measured((9, 8, 1)), crs=crs, transform=north_up(10))
    geometry = read_geometry(path)
    assert geometry is not None
    assert geometry.georeference is not None
    expected = None
    if side is not None:
        expected = pytest.approx((side, side))
    assert geometry.size_in("m") == expected


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("crs", ["EPSG:3857", "EPSG:3395", "EPSG:3832"])
def test_mercator_states_no_pixel_size_because_its_scale_depends_on_the_latitude(
    tmp_path: Path, name: str, crs: str
) -> None:
    path = write(tmp_path / name, measured((9, 8, 1)), crs=crs)
    geometry = read_geometry(path)
    assert geometry is not None
    assert geometry.georeference is not None
    assert geometry.pixel_size is None


def test_an_image_on_no_map_has_no_place(tmp_path: Path) -> None:
    identity = rasterio.Affine.identity()
    path = write(tmp_path / "a.vrt", measured((9, 8, 1)), crs=None, transform=identity)
    assert read_georeference(path) is None
    assert not has_place(path)
    assert read_geometry(path) is None


@pytest.mark.parametrize("name", ["a.jp2", "a.vrt"])
def test_the_size_for_windows_is_known_from_the_header(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, measured((9, 8, 1)))
    assert pixels_for_windows(path) == 72
    path.write_bytes(b"no image")
    assert pixels_for_windows(path) == 0


@pytest.mark.parametrize("name", ["a.jp2", "a.vrt"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, measured())
    for content in (b"", path.read_bytes()[: len(path.read_bytes()) // 2]):
        path.write_bytes(content)
        with fails(DataError, "unreadable", path):
            read_pixels(path)
    path.unlink()
    with fails(DataError, "missing-file", path):
        read_pixels(path)


@pytest.mark.parametrize(
    "source",
    [
        "/vsicurl/http://127.0.0.1:9/a.tif",
        "http://127.0.0.1:9/a.tif",
        "/no/such/folder/a.tif",
        "service.xml",
        "<GDAL_WMS></GDAL_WMS>",
    ],
)
def test_a_vrt_reads_image_files_only(tmp_path: Path, source: str) -> None:
    (tmp_path / "service.xml").write_text("<GDAL_WMS></GDAL_WMS>")
    path = write(tmp_path / "a.vrt", measured((9, 8, 1)))
    text = path.read_text()
    begin = text.index(">", text.index("<SourceFilename")) + 1
    end = text.index("</SourceFilename>")
    escaped = source.replace("<", "&lt;").replace(">", "&gt;")
    path.write_text(text[:begin] + escaped + text[end:])
    with fails(DataError, "vrt-source", path):
        read_pixels(path)


def test_vrts_that_refer_to_each_other_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.vrt", measured((9, 8, 1)))
    path.write_text(path.read_text().replace("raw/source.tif", "a.vrt"))
    with fails(DataError, "vrt-source", path):
        read_pixels(path)


def test_a_folder_lists_a_vrt_but_not_a_mosaic_of_its_own_images(tmp_path: Path) -> None:
    write_raster(tmp_path / "in" / "tile.tif", measured((9, 8, 1)))
    write_vrt(tmp_path / "in" / "mosaic.vrt", tmp_path / "in" / "tile.tif")
    write_raster(tmp_path / "raw" / "b.tif", measured((9, 8, 1)))
    write_vrt(tmp_path / "in" / "stack.vrt", tmp_path / "raw" / "b.tif")
    assert set(list_images(tmp_path / "in")) == {"tile", "stack"}
    left_out = list_contents(tmp_path / "in").left_out
    assert [entry.path.name for entry in left_out] == ["mosaic.vrt"]


def test_an_image_of_too_many_pixels_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a.vrt", measured((90, 70, 1)))
    monkeypatch.setattr("segkit.io.codecs.most_pixels", lambda: 100)
    with fails(DataError, "too-large", path):
        read_pixels(path)


def test_blocks_of_a_file_that_are_too_large_for_windows_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jp2", measured())
    with fails(DataError, "too-large", path):
        open_windowed(path, most_bytes=1000)
