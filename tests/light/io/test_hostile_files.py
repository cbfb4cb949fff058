"""Broken and hostile files: one clear line with the file."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segkit import DataError, Task
from segkit.config import DataConfig
from segkit.data.sources.folder import in_folders
from segkit.data.sources.source import open_source
from segkit.io.images import list_images, read_image, write_picture
from segkit.io.masks import read_mask
from tests.helpers.errors import fails, holds
from tests.helpers.file_bytes import (
    BROKEN,
    GREY,
    READERS,
    RGB,
    deep_png,
    encoded,
    every_reader,
    pixel_limit,
    png,
    tiff,
)


@every_reader
@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.filterwarnings("ignore:Truncated File Read")
def test_a_broken_file_is_named(
    tmp_path: Path, read: Callable[[Path], np.ndarray], name: str
) -> None:
    (tmp_path / name).write_bytes(BROKEN[name])
    with pytest.raises(DataError) as problem:
        read(tmp_path / name)
    assert problem.value.code in (
        "unreadable",
        "channels",
        "mask-channels",
        "mask-colours",
        "mask-values",
    )
    assert holds(str(problem.value), tmp_path / name)
    assert "NoneType" not in str(problem.value)
    assert "\n" not in str(problem.value)


def test_a_broken_file_is_named_by_the_source_that_reads_it(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        for name in ("a b/ü.png", "c.png"):
            write_picture(tmp_path / folder / name, np.zeros((2, 2, 1), np.uint8))
    source = in_folders(tmp_path / "images", tmp_path / "masks", Task.binary("crack"))
    assert source.read("a b/ü").mask.tolist() == [[0, 0], [0, 0]]
    for broken in (tmp_path / "masks" / "a b" / "ü.png", tmp_path / "images" / "a b" / "ü.png"):
        broken.write_bytes(b"")
        with fails(DataError, "unreadable", broken):
            source.read("a b/ü")
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
    with fails(DataError, "too-large", tmp_path / name, "178,956,970", "data.max_pixels"):
        read(tmp_path / name)


def test_a_chunk_that_claims_4_gb_is_refused_without_that_memory(tmp_path: Path) -> None:
    content = bytearray(deep_png())
    place = content.index(b"IDAT") - 4
    content[place : place + 4] = b"\xff\xff\xf0\x00"
    (tmp_path / "a.png").write_bytes(content)
    code = f"""
from pathlib import Path
from segkit import DataError
from segkit.io.images import read_image
from segkit.system.memory import peak
try:
    read_image(Path({str(tmp_path / "a.png")!r}))
except DataError as problem:
    print(problem.code, peak() < 2**30)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "unreadable True\n", done.stderr


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_the_limit_is_raised_by_a_setting(tmp_path: Path, suffix: str) -> None:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / name / f"a{suffix}")
    data = DataConfig(images=tmp_path / "images", masks=tmp_path / "masks")
    with pixel_limit():
        small = open_source(data.model_copy(update={"max_pixels": 598}), Task.binary("crack"))
        with fails(DataError, "too-large", f"a{suffix}", 598, "data.max_pixels"):
            small.read("a")
        enough = open_source(data.model_copy(update={"max_pixels": 600}), Task.binary("crack"))
        assert enough.read("a").image.shape == (20, 30, 1)


def test_a_mask_of_nan_or_infinity_is_refused_and_whole_floats_are_not(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for value in (np.nan, np.inf, -np.inf, 0.5):
        tifffile.imwrite(path, np.array([[0, value]], np.float32))
        for threshold in (None, 1):
            with fails(DataError, "mask-values", path):
                read_mask(path, threshold)
    for value in (np.nan, np.inf):
        tifffile.imwrite(path, np.array([[0, value]], np.float32))
        with fails(DataError, "not-finite", path):
            read_image(path)


def test_links_in_circles_end(tmp_path: Path) -> None:
    images = tmp_path / "images"
    write_picture(images / "sub" / "a.png", np.zeros((2, 2, 1), np.uint8))
    (images / "sub" / "round").symlink_to(images)
    (images / "x.png").symlink_to(images / "y.png")
    (images / "y.png").symlink_to(images / "x.png")
    (images / "gone.png").symlink_to(images / "nowhere.png")
    assert list(list_images(images)) == ["gone", "sub/a", "x", "y"]
    for name, code in (("gone", "missing-file"), ("x", "unreadable"), ("y", "unreadable")):
        for read in READERS:
            with fails(DataError, code, images / f"{name}.png"):
                read(images / f"{name}.png")


@every_reader
@pytest.mark.parametrize("to", [0, 1, 119, 149])
def test_a_list_of_pages_that_runs_in_a_circle_ends(
    tmp_path: Path, read: Callable[[Path], np.ndarray], to: int
) -> None:
    path = tmp_path / "round.tif"
    tifffile.imwrite(path, np.zeros((150, 2, 2), np.uint8), photometric="minisblack", metadata=None)
    with tifffile.TiffFile(path) as tiff:
        last, target = tiff.pages[149], tiff.pages[to]
        content = bytearray(path.read_bytes())
        at = last.offset + 2 + 12 * len(last.tags)
    assert content[at : at + 4] == bytes(4)
    content[at : at + 4] = target.offset.to_bytes(4, "little")
    path.write_bytes(content)
    with fails(DataError, "unreadable", path):
        read(path)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("")
    (tmp_path / "there").mkdir()
    write_picture(tmp_path / "there" / "a.png", np.zeros((2, 2, 1), np.uint8))
    with fails(DataError, "missing-file", tmp_path / "images"):
        in_folders(tmp_path / "images", tmp_path / "there", Task.binary("crack"))
    with fails(DataError, "unpaired", tmp_path / "images"):
        in_folders(tmp_path / "there", tmp_path / "images", Task.binary("crack"))


def test_a_folder_that_is_called_like_an_image_is_a_folder(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.png" / "b.png", np.zeros((2, 2, 1), np.uint8))
    assert list(list_images(tmp_path)) == ["a.png/b"]
    with fails(DataError, "unreadable", tmp_path / "a.png"):
        read_image(tmp_path / "a.png")


@contextmanager
def without_rights() -> Iterator[Path]:
    """Yield a folder that everybody may enter, as a user who is not root."""
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
            write_picture(root / folder / "a.png", np.zeros((2, 2, 1), np.uint8))
        (root / "images/sub/a.png").chmod(0)
        for read in READERS:
            with fails(
                DataError, "unreadable", root / "images/sub/a.png", os.strerror(errno.EACCES)
            ):
                read(root / "images/sub/a.png")
        for folder in ("images/sub", "images", "masks/sub", "masks"):
            before = (root / folder).stat().st_mode
            (root / folder).chmod(0)
            with fails(DataError, "unreadable", root / folder, os.strerror(errno.EACCES)):
                in_folders(root / "images", root / "masks", Task.binary("crack"))
            (root / folder).chmod(before)


def written(array: np.ndarray, **how: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **how)
    return stream.getvalue()


def white_first(kind: str) -> bytes:
    picture = Image.fromarray(GREY % 2)
    picture.putpalette([255, 255, 255, 0, 0, 0])
    stream = io.BytesIO()
    picture.save(stream, kind)
    return stream.getvalue()


VALID = {
    ".png": [
        encoded(RGB, "PNG"),
        encoded(GREY, "PNG"),
        encoded(GREY.astype(np.uint16), "PNG"),
        deep_png(6),
    ],
    ".tif": [
        *[tiff(RGB), tiff(GREY, compressed=True), tiff(RGB, compressed=True, orientation=6)],
        written(GREY, extratags=[(42113, "s", 0, "7", True)]),
        written(GREY, photometric="miniswhite"),
        written(np.dstack([RGB, GREY]), photometric="rgb", extrasamples=["unassalpha"]),
        written(np.dstack([RGB, GREY]), photometric="separated"),
        written(np.stack([GREY] * 3), imagej=True, metadata={"axes": "ZYX"}),
    ],
    ".jpg": [encoded(RGB, "JPEG"), encoded(GREY, "JPEG")],
    ".gif": [encoded(GREY, "GIF")],
    ".webp": [encoded(RGB, "WEBP", lossless=True)],
    ".bmp": [encoded(RGB, "BMP"), white_first("BMP")],
}


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draw a suffix and bytes: anything, or a valid file that is cut, changed or misnamed."""
    suffix = draw(st.sampled_from(sorted(VALID)))
    if draw(st.integers(0, 4)) == 0:
        return suffix, draw(st.binary(max_size=100))
    content = bytearray(draw(st.sampled_from(VALID[draw(st.sampled_from([suffix, *VALID]))])))
    for place in draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = draw(st.sampled_from([0, 1, 2, 127, 255]) | st.integers(0, 255))
    return suffix, bytes(content[: draw(st.just(len(content)) | st.integers(0, len(content)))])


@pytest.mark.long
@given(damaged())
@settings(max_examples=300)
@pytest.mark.filterwarnings("ignore")
def test_any_bytes_give_an_array_or_a_data_error_that_names_the_file(
    drawn: tuple[str, bytes],
) -> None:
    suffix, content = drawn
    with tempfile.TemporaryDirectory() as folder, pixel_limit(100_000):
        path = Path(folder, f"a b{suffix}")
        path.write_bytes(content)
        for read in [*READERS, lambda path: read_mask(path, 128)]:
            try:
                array = read(path)
            except DataError as problem:
                assert str(path) in str(problem)  # noqa: PT017
            else:
                assert array.ndim in (2, 3)
                assert array.size > 0
                assert array.dtype != object


@pytest.mark.long
def test_a_folder_of_100_000_images_opens_and_reads_one(tmp_path: Path) -> None:
    """Only what is asked for is read: the other files are empty."""
    task = Task.binary("a")
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
        for number in range(100_000):
            os.close(os.open(f"{tmp_path}/{part}/{number}.png", os.O_CREAT))
    Image.fromarray(np.full((3, 4), 7, np.uint8)).save(tmp_path / "images" / "70000.png")
    Image.fromarray(np.full((3, 4), 255, np.uint8)).save(tmp_path / "masks" / "70000.png")
    source = in_folders(tmp_path / "images", tmp_path / "masks", task)
    assert len(set(source.names)) == 100_000
    assert source.read("70000").image.max() == 7
    with fails(DataError, "unreadable", tmp_path / "images" / "99999.png"):
        source.read("99999")
