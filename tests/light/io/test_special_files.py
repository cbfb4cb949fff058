"""segkit opens files in its formats only: no pipes, no devices, and no other programs."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from segkit import ConfigError, DataError, RunError
from segkit.config import read
from segkit.data.sources.coco_json import category_names
from segkit.inference.outputs.summary import read_summary
from segkit.inference.workload import image_size
from segkit.inspection.mask_format.contents import scan_mask
from segkit.io import pages
from segkit.io.georeference import read_georeference
from segkit.io.images import read_image
from segkit.io.masks import read_mask
from segkit.io.pictures import FORMATS, open_picture
from segkit.io.tiff_windows import LargeImage, largest_page_size
from segkit.run.exports import Exported
from segkit.task import Task
from tests.helpers.errors import fails
from tests.helpers.file_bytes import GREY, READERS, RGB, pixel_limit

pytestmark = pytest.mark.skipif(
    not hasattr(os, "mkfifo"), reason="a system without pipes that have names"
)


@contextmanager
def in_time(seconds: int = 10) -> Iterator[None]:
    """Fail instead of waiting for ever."""

    def give_up(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def make_special(path: Path, kind: str) -> Path:
    """Make a pipe, a socket, or a link to a device or a pipe."""
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a socket":
        socket.socket(socket.AF_UNIX).bind(os.path.relpath(path))
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    else:
        os.mkfifo(path.with_name("elsewhere"))
        path.symlink_to(path.with_name("elsewhere"))
    return path


KINDS = ["a pipe", "a socket", "a device", "a link to a pipe"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".jp2"])
def test_pipes_and_devices_are_never_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, suffix: str
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket has a hundred letters at most
    path = make_special(tmp_path / f"b{suffix}", kind)
    with in_time():
        for reader in [*READERS, LargeImage]:
            with fails(DataError, "not-a-file", path, kind.removeprefix("a link to ")):
                reader(path)
        assert scan_mask(path).form == "broken"
        assert largest_page_size(path) == 0
        assert image_size(path) is None
        if suffix == ".tif":
            with fails(DataError, "not-a-file", path):
                read_georeference(path)


@pytest.mark.parametrize("kind", KINDS)
def test_settings_and_tables_are_never_read_from_pipes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = make_special(tmp_path / "export.json", kind)
    with in_time():
        with fails(ConfigError, "not-a-config", path):
            read(path)
        with fails(RunError, "damaged-file", path):
            Exported.read(tmp_path)
        with fails(DataError, "not-a-file", path):
            category_names(path)
        assert read_summary(Task.binary(), path) == {}


def test_a_file_of_many_bytes_and_few_pixels_is_not_taken_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path)
    with path.open("ab") as stream:
        stream.truncate(2**40)  # a hole takes no disk
    for reader in READERS:
        with fails(DataError, "too-large", path):
            reader(path)
    (tmp_path / "a.yaml").touch()
    with (tmp_path / "a.yaml").open("ab") as stream:
        stream.truncate(2**40)
    with fails(ConfigError, "not-a-config", tmp_path / "a.yaml"):
        read(tmp_path / "a.yaml")


def test_pictures_of_other_formats_start_no_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(*words: object, **_: object) -> None:
        raise AssertionError(f"started {words}")

    monkeypatch.setattr("subprocess.Popen", started)
    monkeypatch.setattr("os.system", started)
    path = tmp_path / "a.png"
    path.write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    )
    for reader in READERS:
        with fails(DataError, "unreadable", path):
            reader(path)
    with Image.open(path) as picture:
        assert picture.format == "EPS"  # as Pillow would have it, left to itself


@pytest.mark.parametrize("kind", ["ICO", "TGA", "PCX", "PDF", "DDS", "IM", "SGI"])
def test_formats_that_are_not_listed_are_not_images(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path, kind)
    assert kind not in FORMATS
    with fails(DataError, "unreadable", path):
        read_image(path)


def encoded(array: np.ndarray, kind: str, **settings: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind, **settings)
    return stream.getvalue()


DEEP = GREY.astype(np.uint16) * 256 + 3


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jpe", encoded(RGB, "BMP"), RGB),  # what it is, not what its suffix says
        ("a.ppm", encoded(RGB, "PPM"), RGB),
        ("a.pnm", encoded(RGB, "PPM"), RGB),
        ("a.pgm", encoded(GREY, "PPM"), GREY[..., None]),
        ("b.pgm", encoded(DEEP, "PPM"), DEEP[..., None]),
        (
            "c.pgm",
            b"P2 # by hand\n2 2\n255\n0 1 2 3\n",
            np.array([[[0], [1]], [[2], [3]]], np.uint8),
        ),
        ("a.pbm", b"P1\n2 1\n1 0\n", np.array([[[0], [255]]], np.uint8)),  # 1 is black
        ("a.jp2", encoded(RGB, "JPEG2000", irreversible=False), RGB),
        ("b.jp2", encoded(GREY, "JPEG2000", irreversible=False), GREY[..., None]),
        ("c.JP2", encoded(DEEP, "JPEG2000", irreversible=False), DEEP[..., None]),
    ],
)
def test_trap_46_formats_that_pillow_has_are_read_to_the_value(
    tmp_path: Path, name: str, content: bytes, expected: np.ndarray
) -> None:
    (tmp_path / name).write_bytes(content)
    found = read_image(tmp_path / name)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype


def test_trap_46_jpeg_by_its_other_names(tmp_path: Path) -> None:
    content = encoded(RGB, "JPEG", quality=95)
    for suffix in (".jpg", ".jpeg", ".jpe", ".jfif", ".JFIF"):
        (tmp_path / f"a{suffix}").write_bytes(content)
        with Image.open(io.BytesIO(content)) as picture:
            np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}"), np.asarray(picture))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ids.pgm", b"P5\n2 2\n3\n\x00\x01\x02\x03"),  # Pillow makes them 0, 85, 170, 255
        ("ids.ppm", b"P3\n1 1\n15\n1 2 3\n"),
        ("ten bits.pgm", b"P5\n1 1\n1023\n\x03\xff"),
        ("deep.ppm", b"P6\n1 1\n65535\n\x00\x01\x00\x02\x00\x03"),  # Pillow makes them 0
        ("deep.jp2", imagecodecs.jpeg2k_encode(RGB.astype(np.uint16) * 256, level=0)),
        (
            "twelve.jp2",
            imagecodecs.jpeg2k_encode(GREY.astype(np.uint16) * 16, level=0, bitspersample=12),
        ),
    ],
)
@pytest.mark.parametrize(
    "reader", [read_image, lambda path: read_mask(path, 128)], ids=["image", "mask"]
)
def test_values_that_pillow_would_change_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    reader: Callable[[Path], np.ndarray],
    name: str,
    content: bytes,
) -> None:
    monkeypatch.setattr("segkit.io.rasters.has_rasterio", lambda: False)
    (tmp_path / name).write_bytes(content)
    with fails(DataError, "depth", tmp_path / name):
        reader(tmp_path / name)


def test_a_picture_in_memory_is_opened_as_one_in_a_file() -> None:
    with open_picture(io.BytesIO(encoded(GREY, "JPEG2000", irreversible=False))) as picture:
        np.testing.assert_array_equal(np.asarray(picture), GREY)
    with pytest.raises(DataError):
        open_picture(io.BytesIO(b"P5\n2 2\n3\n\x00\x01\x02\x03"))


def test_a_list_of_pages_may_not_be_endless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(GREY).save(path, save_all=True, append_images=[Image.fromarray(GREY)] * 3)
    with pixel_limit():
        assert read_image(path, "channels").shape == (*GREY.shape, 4)
        monkeypatch.setattr(pages, "MOST_PAGES", 3)
        with fails(DataError, "unreadable", path, 3):
            read_image(path)


def test_reading_goes_on_in_other_threads_beside_a_pipe(tmp_path: Path) -> None:
    """A thread that waits for a pipe cannot be ended, so no reader may begin to wait."""
    os.mkfifo(tmp_path / "b.png")
    outcome: list[str] = []

    def attempt() -> None:
        try:
            read_image(tmp_path / "b.png")
        except DataError as problem:
            outcome.append(problem.code)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(10)
    assert outcome == ["not-a-file"]


OME = """<?xml version="1.0"?>
<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">
<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8"
SizeX="5" SizeY="4" SizeZ="2" SizeC="1" SizeT="1"><Channel ID="Channel:0" SamplesPerPixel="1"/>
<TiffData IFD="0" FirstZ="0" PlaneCount="1"><UUID FileName="a.tif">urn:uuid:1</UUID></TiffData>
<TiffData IFD="0" FirstZ="1" PlaneCount="1"><UUID FileName="{name}">urn:uuid:2</UUID></TiffData>
</Pixels></Image></OME>"""


@pytest.mark.parametrize("name", ["../secret.tif", "pipe.tif", "b.tif"])
def test_pixels_that_a_tiff_names_in_other_files_are_not_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    for other in (tmp_path / "secret.tif", tmp_path / "in" / "b.tif"):
        tifffile.imwrite(
            other, np.full((4, 5), 77, np.uint8), metadata=None, photometric="minisblack"
        )
    os.mkfifo(tmp_path / "in" / "pipe.tif")
    path = tmp_path / "in" / "a.tif"
    pixels = np.arange(20, dtype=np.uint8).reshape(4, 5)
    tifffile.imwrite(
        path, pixels, description=OME.format(name=name), metadata=None, photometric="minisblack"
    )
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome
    with in_time():
        for reader in READERS[:3]:
            np.testing.assert_array_equal(reader(path).reshape(4, 5), pixels)
        with LargeImage(path) as image:
            assert image.channels == 1


def test_only_one_module_opens_pictures() -> None:
    """Another would wait for a pipe, start other programs, or follow a TIFF to other files."""
    package = Path(__file__).parents[3] / "segkit"
    opening = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"\b(Image\.open|TiffFile)\(", path.read_text(encoding="utf-8"))
    ]
    assert opening == ["io/pictures.py"]
