"""Files that are broken, hostile or turned: an array or a `DataError` that names the file, and never anything else."""

from __future__ import annotations

import io
import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from segkit import DataError, Task, codecs, files, mask_files
from segkit.data.folder import in_folders
from segkit.data.source import open_source
from segkit.data_config import DataConfig
from tests.light.draws import says

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
GREY = RGB[..., 0].copy()
ORIENTATION = 0x0112
READERS: list[Callable[[Path], np.ndarray]] = [
    files.read_image,
    mask_files.read_mask,
    mask_files.read_layers,
    mask_files.read_colours,
]
every_reader = pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)


@contextmanager
def pixel_limit(most: int | None = None) -> Iterator[None]:
    """Give Pillow's limit back as it was, whatever is opened meanwhile."""
    before = Image.MAX_IMAGE_PIXELS
    try:
        codecs.limit_pixels(most)
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, rows: bytes, depth: int = 8, colour: int = 0, before: bytes = b"") -> bytes:
    """Return a PNG file made by hand; `rows` begin with their filter byte, `before` are chunks ahead of the pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + before + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(array: np.ndarray, compressed: bool = False, size: tuple[int, int] | None = None, **tags: int) -> bytes:
    """Return a TIFF file made by hand, LZW if `compressed` (tifffile alone cannot decode it); `size` is what it claims."""
    height, width = size or array.shape[:2]
    bands, bits = array.shape[2] if array.ndim == 3 else 1, array.dtype.itemsize * 8
    pixels = lzw(array.tobytes()) if compressed else array.tobytes()
    many = struct.pack(f"<{bands}H", *[bits] * bands)
    number = {"orientation": 1, "photometric": 2 if bands == 3 else 1, "extra": 0, **tags}
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, bands, bits if bands < 2 else -1)]
    entries += [(259, 3, 1, 5 if compressed else 1), (262, 3, 1, number["photometric"]), (273, 4, 1, -2)]
    entries += [(274, 3, 1, number["orientation"]), (277, 3, 1, bands), (278, 4, 1, height), (279, 4, 1, len(pixels))]
    entries += [(338, 3, 1, number["extra"])] if "extra" in tags else []
    start = 8 + 2 + 12 * len(entries) + 4
    where = {-1: start if bands > 2 else bits | bits << 16, -2: start + len(many)}
    body = b"".join(struct.pack("<HHII", tag, kind, count, where.get(v, v)) for tag, kind, count, v in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + b"\0\0\0\0" + many + pixels


def lzw(content: bytes) -> bytes:
    """Return TIFF's LZW of single bytes, the table cleared before its codes grow beyond 9 bits."""
    codes = [code for i in range(0, len(content), 200) for code in (256, *content[i : i + 200])] + [257]
    bits = "".join(f"{code:09b}" for code in codes)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def encoded(array: np.ndarray, kind: str, **settings: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind, **settings)
    return stream.getvalue()


def deep_png(orientation: int | None = None) -> bytes:
    """Return a 16-bit RGB PNG of `RGB * 257`, with an orientation ahead of the pixels."""
    deep = RGB.astype(">u2") * 257
    exif = Image.Exif()
    exif[ORIENTATION] = orientation or 1
    turn = chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) if orientation else b""
    rows = b"".join(b"\0" + row.tobytes() for row in deep.astype(">u2"))
    return png(7, 5, rows, depth=16, colour=2, before=turn)


BROKEN = {
    "empty.png": b"",
    "empty.tif": b"",
    "empty.jpg": b"",
    "text.png": b"image,mask\n",
    "text.tif": b"image,mask\n",
    "cut.png": encoded(RGB, "PNG")[:-40],
    "cut.tif": tiff(RGB)[:-20],
    "cut lzw.tif": tiff(RGB, compressed=True)[:-60],
    "cut deep.png": deep_png()[:-60],
    "cut deep turned.png": deep_png(orientation=6)[:-60],
    "head only.png": encoded(RGB, "PNG")[:20],
    "head only.tif": tiff(RGB)[:40],
    "wrong sum.png": encoded(RGB, "PNG").replace(b"IDAT", b"IDAT\0", 1),
    "tiff.png": tiff(RGB)[:60],
    "png.tif": encoded(GREY, "PNG"),
    "ünï cödé 図.png": b"no image",
    "two  spaces .tif": b"no image",
}


@every_reader
@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.filterwarnings("ignore:Truncated File Read")
def test_a_broken_file_is_named(tmp_path: Path, read: Callable[[Path], np.ndarray], name: str) -> None:
    (tmp_path / name).write_bytes(BROKEN[name])
    with pytest.raises(DataError) as problem:
        read(tmp_path / name)
    assert says(problem, f"{tmp_path / name}: ")
    assert "NoneType" not in str(problem.value)


def test_a_broken_file_is_named_by_the_source_that_reads_it(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        for name in ("a b/ü.png", "c.png"):
            files.write_picture(tmp_path / folder / name, np.zeros((2, 2, 1), np.uint8))
    source = in_folders(tmp_path / "images", tmp_path / "masks", Task.binary("crack"))
    assert source.read("a b/ü").mask.tolist() == [[0, 0], [0, 0]]
    for broken in (tmp_path / "masks" / "a b" / "ü.png", tmp_path / "images" / "a b" / "ü.png"):
        broken.write_bytes(b"")
        with pytest.raises(DataError) as problem:
            source.read("a b/ü")
        assert says(problem, broken)
    assert source.read("c").mask.shape == (2, 2)


BOMBS = {
    "bomb.png": png(50_000, 50_000, b"\0" * 1000),
    "deep bomb.png": png(50_000, 50_000, b"\0" * 1000, depth=16, colour=2),
    "bomb.tif": tiff(GREY, size=(50_000, 50_000)),
    "lzw bomb.tif": tiff(GREY, compressed=True, size=(50_000, 50_000)),
}


@every_reader
@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_claims_to_be_huge_is_refused_unopened(
    tmp_path: Path, read: Callable[[Path], np.ndarray], name: str
) -> None:
    (tmp_path / name).write_bytes(BOMBS[name])
    with pytest.raises(DataError) as problem:
        read(tmp_path / name)
    assert says(problem, f"{tmp_path / name}: has more than 178,956,970 pixels", "data.max_pixels")
    assert problem.value.code == "too-large"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_the_limit_is_raised_by_a_setting(tmp_path: Path, suffix: str) -> None:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / name / f"a{suffix}")
    data = DataConfig(images=tmp_path / "images", masks=tmp_path / "masks")
    with pixel_limit():
        small = open_source(data.model_copy(update={"max_pixels": 598}), Task.binary("crack"))
        with pytest.raises(DataError) as problem:
            small.read("a")
        assert says(problem, f"a{suffix}: has more than 598 pixels", "data.max_pixels")
        enough = open_source(data.model_copy(update={"max_pixels": 600}), Task.binary("crack"))
        assert enough.read("a").image.shape == (20, 30, 1)


def test_a_mask_of_nan_or_infinity_is_refused_and_whole_floats_are_not(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for value in (np.nan, np.inf, -np.inf, 0.5):
        tifffile.imwrite(path, np.array([[0, value]], np.float32))
        for threshold in (None, 1):
            with pytest.raises(
                DataError, match=r"a\.tif: a mask holds whole numbers; found fractions, NaN or infinite"
            ):
                mask_files.read_mask(path, threshold)
    for value in (np.nan, np.inf):
        tifffile.imwrite(path, np.array([[0, value]], np.float32))
        with pytest.raises(DataError, match=r"a\.tif: holds NaN or infinite values"):
            files.read_image(path)


def test_links_in_circles_end(tmp_path: Path) -> None:
    images = tmp_path / "images"
    files.write_picture(images / "sub" / "a.png", np.zeros((2, 2, 1), np.uint8))
    (images / "sub" / "round").symlink_to(images)
    (images / "x.png").symlink_to(images / "y.png")
    (images / "y.png").symlink_to(images / "x.png")
    (images / "gone.png").symlink_to(images / "nowhere.png")
    assert list(files.list_images(images)) == ["gone", "sub/a", "x", "y"]
    for name in ("gone", "x", "y"):
        for read in READERS:
            with pytest.raises(DataError, match=rf"{name}\.png: "):
                read(images / f"{name}.png")


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("")
    (tmp_path / "there").mkdir()
    files.write_picture(tmp_path / "there" / "a.png", np.zeros((2, 2, 1), np.uint8))
    with pytest.raises(DataError, match=r"images: is a file, not a folder"):
        in_folders(tmp_path / "images", tmp_path / "there", Task.binary("crack"))
    with pytest.raises(DataError, match=r"images: "):
        in_folders(tmp_path / "there", tmp_path / "images", Task.binary("crack"))


def test_a_folder_that_is_called_like_an_image_is_a_folder(tmp_path: Path) -> None:
    files.write_picture(tmp_path / "a.png" / "b.png", np.zeros((2, 2, 1), np.uint8))
    assert list(files.list_images(tmp_path)) == ["a.png/b"]
    with pytest.raises(DataError, match=r"a\.png: "):
        files.read_image(tmp_path / "a.png")


@contextmanager
def without_rights() -> Iterator[Path]:
    """Yield a folder that everybody may enter, as a user who is not root, who may read everything."""
    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        if root:
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            if root:
                os.seteuid(0)


def test_files_and_folders_that_may_not_be_read_are_named() -> None:
    with without_rights() as root:
        for folder in ("images/sub", "masks/sub"):
            files.write_picture(root / folder / "a.png", np.zeros((2, 2, 1), np.uint8))
        (root / "images/sub/a.png").chmod(0)
        for read in READERS:
            with pytest.raises(DataError, match=r"a\.png: cannot be read .*Permission denied"):
                read(root / "images/sub/a.png")
        for folder in ("images/sub", "images", "masks/sub", "masks"):
            before = (root / folder).stat().st_mode
            (root / folder).chmod(0)
            with pytest.raises(DataError, match=f"{root / folder}: .*cannot be read .*Permission denied"):
                in_folders(root / "images", root / "masks", Task.binary("crack"))
            (root / folder).chmod(before)


VALID = {
    ".png": [encoded(RGB, "PNG"), encoded(GREY, "PNG"), encoded(GREY.astype(np.uint16), "PNG"), deep_png(6)],
    ".tif": [tiff(RGB), tiff(GREY, compressed=True), tiff(RGB, compressed=True, orientation=6)],
    ".jpg": [encoded(RGB, "JPEG"), encoded(GREY, "JPEG")],
    ".gif": [encoded(GREY, "GIF")],
    ".webp": [encoded(RGB, "WEBP", lossless=True)],
    ".bmp": [encoded(RGB, "BMP")],
}


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draw a suffix and bytes: anything, or a valid file cut off, with bytes changed, or under a wrong suffix."""
    suffix = draw(st.sampled_from(sorted(VALID)))
    if draw(st.integers(0, 4)) == 0:
        return suffix, draw(st.binary(max_size=100))
    content = bytearray(draw(st.sampled_from(VALID[draw(st.sampled_from([suffix, *VALID]))])))
    for place in draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = draw(st.sampled_from([0, 1, 2, 127, 255]) | st.integers(0, 255))
    return suffix, bytes(content[: draw(st.just(len(content)) | st.integers(0, len(content)))])


@given(damaged())
@settings(max_examples=300)
@pytest.mark.filterwarnings("ignore")
def test_any_bytes_give_an_array_or_a_data_error_that_names_the_file(drawn: tuple[str, bytes]) -> None:
    suffix, content = drawn
    with tempfile.TemporaryDirectory() as folder, pixel_limit(100_000):
        path = Path(folder, f"a b{suffix}")
        path.write_bytes(content)
        for read in [*READERS, lambda path: mask_files.read_mask(path, 128)]:
            try:
                array = read(path)
            except DataError as problem:
                assert str(path) in str(problem)  # noqa: PT017
            else:
                assert array.ndim in (2, 3)
                assert array.size > 0
                assert array.dtype != object


def turned(orientation: int) -> np.ndarray:
    """Return `RGB` as Pillow turns a PNG of this orientation."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    picture = Image.open(io.BytesIO(encoded(RGB, "PNG", exif=exif)))
    return np.asarray(ImageOps.exif_transpose(picture))


every_orientation = pytest.mark.parametrize("orientation", range(1, 9))


@every_orientation
def test_trap_29_pictures_of_8_bits_are_turned_as_pillow_turns_them(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    for name in ("a.png", "a.webp"):
        Image.fromarray(RGB).save(tmp_path / name, exif=exif, lossless=True)
        np.testing.assert_array_equal(files.read_image(tmp_path / name), turned(orientation))
        np.testing.assert_array_equal(mask_files.read_layers(tmp_path / name), turned(orientation))
        np.testing.assert_array_equal(mask_files.read_colours(tmp_path / name), turned(orientation))
    Image.fromarray(GREY).save(tmp_path / "grey.png", exif=exif)
    np.testing.assert_array_equal(mask_files.read_mask(tmp_path / "grey.png"), turned(orientation)[..., 0])
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "a.jpg")))
    np.testing.assert_array_equal(files.read_image(tmp_path / "a.jpg"), expected)


@every_orientation
def test_trap_29_colour_pngs_of_16_bits_are_turned_too(tmp_path: Path, orientation: int) -> None:
    (tmp_path / "a.png").write_bytes(deep_png(orientation))
    image = files.read_image(tmp_path / "a.png")
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, turned(orientation).astype(np.uint16) * 257)


@every_orientation
@pytest.mark.parametrize("compressed", [False, True])
def test_trap_29_tiffs_are_turned_as_pillow_turns_them(tmp_path: Path, orientation: int, compressed: bool) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(RGB, compressed, orientation=orientation))
    np.testing.assert_array_equal(np.asarray(ImageOps.exif_transpose(Image.open(path))), turned(orientation))
    for read in (files.read_image, mask_files.read_layers, mask_files.read_colours):
        np.testing.assert_array_equal(read(path), turned(orientation))
    path.write_bytes(tiff(GREY.astype(np.uint16) * 257, compressed, orientation=orientation))
    expected = turned(orientation)[..., 0].astype(np.uint16) * 257
    np.testing.assert_array_equal(mask_files.read_mask(path), expected)
    np.testing.assert_array_equal(files.read_image(path)[..., 0], expected)


def test_grey_with_alpha_of_16_bits_stays_grey(tmp_path: Path) -> None:
    deep = np.stack([GREY.astype(">u2") * 257, np.full_like(GREY, 255, ">u2")], axis=-1)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    (tmp_path / "a.png").write_bytes(png(7, 5, rows, depth=16, colour=4))
    np.testing.assert_array_equal(files.read_image(tmp_path / "a.png"), GREY[..., None].astype(np.uint16) * 257)


REFUSED = {
    "16-bit RGB, of which Pillow keeps 8 bits": tiff(RGB.astype(np.uint16) * 257, compressed=True),
    "two bands, of which Pillow keeps one": tiff(RGB[..., :2], compressed=True, extra=0),
    "0 is white, which Pillow inverts": tiff(GREY, compressed=True, photometric=0),
}


@pytest.mark.skipif(find_spec("imagecodecs") is not None, reason="with imagecodecs tifffile reads them")
@every_reader
@pytest.mark.parametrize("what", REFUSED)
def test_trap_26_a_compressed_tiff_whose_values_would_change_is_refused(
    tmp_path: Path, read: Callable[[Path], np.ndarray], what: str
) -> None:
    (tmp_path / "a.tif").write_bytes(REFUSED[what])
    with pytest.raises(DataError, match=r"a\.tif: .*pip install imagecodecs"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", ["tiff_lzw", "zstd", "packbits", "tiff_adobe_deflate", "jpeg"])
def test_compressed_tiffs_are_read_without_another_package(tmp_path: Path, compression: str) -> None:
    picture = Image.fromarray(RGB)
    picture.save(tmp_path / "a.tif", compression=compression)
    expected = np.asarray(Image.open(tmp_path / "a.tif"))
    np.testing.assert_array_equal(files.read_image(tmp_path / "a.tif"), expected)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_trap_25_palette_tiffs_are_colours_as_images_and_ids_as_masks(tmp_path: Path, compression: str | None) -> None:
    picture = Image.fromarray(np.array([[2, 1, 0]], np.uint8))
    picture.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 7] + [0] * 759)
    picture.save(tmp_path / "a.tif", compression=compression)
    assert files.read_image(tmp_path / "a.tif").tolist() == [[[0, 200, 7], [200, 0, 0], [0, 0, 0]]]
    assert mask_files.read_mask(tmp_path / "a.tif").tolist() == [[2, 1, 0]]
