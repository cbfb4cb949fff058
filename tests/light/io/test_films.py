"""Frames of films: equal to those that were written, in every order, and clear errors."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from segkit import ConfigError, DataError
from segkit.io.films import film as film_module
from segkit.io.films.film import Film
from segkit.io.films.frames import FrameAddress, frames_apart, open_film, read_frame, split_frame
from segkit.io.films.packets import read_packets
from segkit.io.films.writing import write_film
from tests.helpers.errors import fails
from tests.helpers.films import REASON, save_film, still

library = pytest.importorskip("imageio_ffmpeg", reason=REASON)

LOSSY = [
    ("a.mp4", "libx264", ("-bf", "3", "-g", "8")),
    ("a.mkv", "libx264", ("-bf", "3", "-g", "8")),
    ("b.mp4", "libx264", ("-x264-params", "open-gop=1:bframes=3:keyint=8")),
    ("a.avi", "mpeg4", ("-g", "8")),
    ("a.mpg", "mpeg2video", ("-bf", "2", "-g", "8")),
]


def decoded_by_opencv(path: Path) -> list[np.ndarray]:
    """Return all frames of a film in RGB."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        is_read, frame = capture.read()
        if not is_read:
            return frames
        frames.append(frame[..., ::-1])


@pytest.mark.parametrize("name", ["a.mkv", "a.avi"])
@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5, 6], [6, 0, 3, 5, 1, 2, 4], [2, 1, 4, 3, 6]])
def test_frames_of_a_lossless_film_are_the_pixels_that_were_written(
    tmp_path: Path, name: str, order: list[int]
) -> None:
    written = save_film(tmp_path / name)
    film = Film(tmp_path / name)
    assert (film.count, film.rate) == (7, 12)
    for index in order:
        np.testing.assert_array_equal(film.frame(index), written[index])
    film.close()


@pytest.mark.parametrize("step", [2, 3])
def test_every_nth_frame_is_the_right_one(tmp_path: Path, step: int) -> None:
    written = save_film(tmp_path / "a.mkv", count=11)
    film = Film(tmp_path / "a.mkv")
    for index in [*range(0, 11, step), step, 0]:
        np.testing.assert_array_equal(film.frame(index, step), written[index])
    film.close()


@pytest.mark.parametrize(("name", "codec", "options"), LOSSY)
def test_frames_are_those_that_opencv_decodes_also_after_a_seek(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    codec: str,
    options: tuple[str, ...],
) -> None:
    monkeypatch.setattr(film_module, "KEPT", 1)
    monkeypatch.setattr(film_module, "FAR", 3)
    path = tmp_path / name
    save_film(path, count=30, size=(48, 64), codec=codec, options=options)
    oracle = decoded_by_opencv(path)
    film = Film(path)
    assert film.count == len(oracle) == 30
    for index in (0, 1, 2, 29, 7, 8, 20, 3, 17, 16, 28):
        difference = np.abs(film.frame(index).astype(int) - oracle[index])
        assert difference.mean() < 4, index  # the conversions from YUV differ
        others = [np.abs(film.frame(index).astype(int) - other).mean() for other in oracle]
        assert int(np.argmin(others)) == index
    film.close()


def test_frames_with_uneven_times_are_neither_dropped_nor_repeated(tmp_path: Path) -> None:
    written = save_film(tmp_path / "even.mkv")
    uneven = tmp_path / "uneven.mkv"
    command = [library.get_ffmpeg_exe(), "-v", "error", "-i", str(tmp_path / "even.mkv")]
    command += ["-vf", "setpts=PTS*(1+N)", "-fps_mode", "passthrough", "-c:v", "ffv1", str(uneven)]
    subprocess.run(command, check=True)
    film = Film(uneven)
    assert film.count == 7
    for index in (0, 1, 2, 3, 4, 5, 6, 2):
        np.testing.assert_array_equal(film.frame(index), written[index])
    film.close()


def test_a_film_that_a_phone_turned_is_upright(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save_film(tmp_path / "a.mp4", size=(24, 32), codec="libx264")
    turned = tmp_path / "turned.mp4"
    command = [library.get_ffmpeg_exe(), "-v", "error", "-display_rotation", "90"]
    command += ["-i", str(tmp_path / "a.mp4"), "-c", "copy", str(turned)]
    subprocess.run(command, check=True)
    assert Film(turned).frame(0).shape == (32, 24, 3)
    assert "".join(capfd.readouterr()) == ""


def test_addresses_name_every_nth_frame(tmp_path: Path) -> None:
    written = save_film(tmp_path / "a.mkv")
    image = tmp_path / "b.png"
    apart = frames_apart({"a": tmp_path / "a.mkv", "b": image}, 3)
    assert list(apart) == ["a/frame_000001", "a/frame_000004", "a/frame_000007", "b"]
    assert apart["b"] == image
    address = split_frame(apart["a/frame_000004"])
    assert address == FrameAddress(tmp_path / "a.mkv", 3, 3)
    np.testing.assert_array_equal(read_frame(address), written[3])


def test_a_frame_and_an_image_of_one_name_are_refused(tmp_path: Path) -> None:
    save_film(tmp_path / "a.mkv")
    images = {"a/frame_000001": tmp_path / "a" / "frame_000001.png", "a": tmp_path / "a.mkv"}
    with fails(DataError, "duplicate-name", "a/frame_000001"):
        frames_apart(images, 1)


def test_a_film_that_has_changed_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    save_film(path, count=3)
    assert open_film(path).count == 3
    save_film(path, count=5)
    assert open_film(path).count == 5


def test_a_film_without_a_video_stream_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    command = [library.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", "sine=d=1", str(path)]
    subprocess.run(command, check=True)
    with fails(DataError, "film-stream", "a.mp4"):
        Film(path)


def test_missing_and_damaged_films_are_refused(tmp_path: Path) -> None:
    with fails(DataError, "missing-file", "a.mp4"):
        open_film(tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_bytes(b"no film" * 100)
    with fails(DataError, "unreadable", "b.mp4"):
        open_film(tmp_path / "b.mp4")
    save_film(tmp_path / "c.mp4", codec="libx264")
    content = (tmp_path / "c.mp4").read_bytes()
    (tmp_path / "c.mp4").write_bytes(content[: len(content) // 2])
    with fails(DataError, "unreadable", "c.mp4"):
        open_film(tmp_path / "c.mp4")


@pytest.mark.parametrize("step", [1, 3])
def test_frames_from_a_damaged_one_on_are_refused(tmp_path: Path, step: int) -> None:
    path = tmp_path / "a.mp4"
    save_film(path, count=30, size=(128, 128), codec="libx264", options=("-g", "10"))
    good = decoded_by_opencv(path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(400)
    path.write_bytes(content)
    film = Film(path)
    read = 0
    for index in range(0, 30, step):
        try:
            frame = film.frame(index, step)
        except DataError:
            break
        assert np.abs(frame.astype(int) - good[index]).mean() < 4
        read += 1
    assert 1 <= read < 30 / step
    for index in (read * step, 30 - step):
        with fails(DataError, "film-damaged", "a.mp4", "30"):
            film.frame(index, step)
    np.testing.assert_array_equal(film.frame(0, step), Film(path).frame(0))
    film.close()


def test_a_number_beyond_the_end_is_refused(tmp_path: Path) -> None:
    save_film(tmp_path / "a.mkv")
    with fails(DataError, "pages", "7", "8"):
        Film(tmp_path / "a.mkv").frame(7)


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    (tmp_path / "a.mp4").write_bytes(b"")
    with fails(ConfigError, "missing-package", "keras-segkit[video]"):
        open_film(tmp_path / "a.mp4")


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(12), Fraction(5, 2)])
@pytest.mark.parametrize("size", [(24, 32), (25, 33)])
def test_a_written_film_has_its_frames_and_rate(
    tmp_path: Path, rate: Fraction, size: tuple[int, int]
) -> None:
    path = tmp_path / "out" / "a.mp4"
    frames = [np.full((*size, 3), 20 * number, np.uint8) for number in range(9)]
    write_film(path, frames, rate)
    assert [other.name for other in path.parent.iterdir()] == ["a.mp4"]
    packets = read_packets(path)
    assert (packets.frames, packets.rate) == (9, rate)
    capture = cv2.VideoCapture(str(path))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(float(rate))
    assert int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little") in (b"avc1", b"h264")
    found = decoded_by_opencv(path)
    assert found[0].shape == (size[0] + size[0] % 2, size[1] + size[1] % 2, 3)
    for frame, other in zip(frames, found, strict=True):
        assert np.abs(other[: size[0], : size[1]].astype(int) - frame).mean() < 4


def test_frames_of_different_sizes_write_no_film(tmp_path: Path) -> None:
    with fails(DataError, "film-size"):
        write_film(tmp_path / "a.mp4", [still(0), still(0, (8, 8))], Fraction(5))
    assert list(tmp_path.iterdir()) == []
