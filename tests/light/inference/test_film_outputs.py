"""Frames of films are predicted like images, and their overlays come back as a film."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from segkit import ConfigError, DataError, Task
from segkit.config import DataConfig
from segkit.data.sources.source import open_source
from segkit.inference import predict as predict_module
from segkit.inference.files import Summary
from segkit.inference.inputs import find_images
from segkit.inference.load import LoadedRun
from segkit.inference.outputs.overlay_films import write_overlay_films
from segkit.inference.predict import predict
from segkit.io.films.frames import frame_path
from segkit.io.films.packets import read_packets
from segkit.io.images import read_image, write_picture
from tests.helpers.errors import fails
from tests.helpers.films import REASON, SIZE, save_film, still
from tests.helpers.stand_in import config_of, network

pytest.importorskip("imageio_ffmpeg", reason=REASON)

TASK = Task.binary("red")


@pytest.fixture(autouse=True)
def _opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the network by one that sees red."""
    opened = LoadedRun(lambda batch: network(batch, TASK), config_of(TASK), "stand-in")
    monkeypatch.setattr(predict_module, "open_together", lambda *asked: opened)


def run(images: Path, out: Path, **more: Any) -> Summary:
    return predict("run", images, out, **more)


def masks_in(folder: Path) -> dict[str, np.ndarray]:
    paths = sorted(folder.rglob("*.png"))
    return {path.relative_to(folder).as_posix(): read_image(path)[..., 0] for path in paths}


@pytest.mark.parametrize("every", [1, 3])
def test_every_nth_frame_has_a_mask(tmp_path: Path, every: int) -> None:
    save_film(tmp_path / "in" / "film.mkv", count=7)
    write_picture(tmp_path / "in" / "b.png", still(50))
    summary = run(tmp_path / "in", tmp_path / "out", every_frame=every)
    assert summary.failed == []
    expected = {"b.png": still(50)}
    for number in range(0, 7, every):
        expected[f"film/frame_{number + 1:06d}.png"] = still(number)
    found = masks_in(tmp_path / "out")
    assert list(found) == sorted(expected)
    for name, image in expected.items():
        np.testing.assert_array_equal(found[name] > 0, image[..., 0] >= 128, err_msg=name)


def test_written_masks_are_read_back_by_the_source(tmp_path: Path) -> None:
    save_film(tmp_path / "in" / "sub" / "film.mkv", count=5)
    run(tmp_path / "in", tmp_path / "out", every_frame=2)
    data = DataConfig(source="video", images=tmp_path / "in", masks=tmp_path / "out")
    source = open_source(data, TASK)
    assert list(source.names) == [f"sub/film/frame_{number:06d}" for number in (1, 3, 5)]
    for name in source.names:
        sample = source.read(name)
        np.testing.assert_array_equal(sample.mask, sample.image[..., 0] >= 128)


def test_a_single_film_is_predicted(tmp_path: Path) -> None:
    save_film(tmp_path / "film.MKV", count=3)
    assert run(tmp_path / "film.MKV", tmp_path / "out").written == 3
    assert len(masks_in(tmp_path / "out" / "film")) == 3


@pytest.mark.parametrize("every", [1, 2])
def test_overlays_come_back_as_a_film(tmp_path: Path, every: int) -> None:
    save_film(tmp_path / "in" / "sub" / "film.mkv", count=7, rate=12)
    run(tmp_path / "in", tmp_path / "out", every_frame=every, overlay=True)
    folder = tmp_path / "out-overlays" / "sub"
    assert sorted(path.name for path in folder.iterdir()) == ["film", "film.mp4"]
    overlays = [read_image(path) for path in sorted((folder / "film").iterdir())]
    packets = read_packets(folder / "film.mp4")
    assert (packets.frames, packets.rate) == (len(overlays), Fraction(12, every))
    capture = cv2.VideoCapture(str(folder / "film.mp4"))
    for overlay in overlays:
        _, frame = capture.read()
        blurred = [cv2.blur(picture, (9, 9)).astype(int) for picture in (frame[..., ::-1], overlay)]
        assert np.abs(blurred[0] - blurred[1]).mean() < 8


def test_overlays_of_a_film_are_joined_again_only_if_they_changed(tmp_path: Path) -> None:
    save_film(tmp_path / "in" / "film.mkv", count=7)
    settings: dict[str, Any] = {"overlay": True, "skip_existing": True}
    run(tmp_path / "in", tmp_path / "out", **settings)
    film = tmp_path / "out-overlays" / "film.mp4"
    before = film.stat().st_mtime_ns
    summary = run(tmp_path / "in", tmp_path / "out", **settings)
    assert (summary.written, summary.skipped, film.stat().st_mtime_ns) == (0, 7, before)
    run(tmp_path / "in", tmp_path / "out", every_frame=2, **settings)
    assert read_packets(film).frames == 4
    film.unlink()
    run(tmp_path / "in", tmp_path / "out", **settings)
    assert read_packets(film).frames == 7


def test_a_damaged_film_does_not_stop_the_others(tmp_path: Path) -> None:
    save_film(tmp_path / "in" / "a.mkv", count=2)
    (tmp_path / "in" / "b.mp4").write_bytes(b"nonsense")
    summary = run(tmp_path / "in", tmp_path / "out", overlay=True)
    assert summary.written == 2
    [(_, message)] = summary.failed
    assert "b.mp4" in message
    assert [path.name for path in (tmp_path / "out-overlays").glob("*.mp4")] == ["a.mp4"]


def test_results_in_the_folder_of_films_are_not_predicted(tmp_path: Path) -> None:
    save_film(tmp_path / "film.mkv", count=2)
    for _ in range(2):
        summary = run(tmp_path, tmp_path / "out", overlay=True)
        assert (summary.written, summary.failed) == (2, [])


def test_two_films_of_one_name_are_refused(tmp_path: Path) -> None:
    save_film(tmp_path / "in" / "a.mkv", count=1)
    save_film(tmp_path / "in" / "a.avi", count=1)
    found = find_images([tmp_path / "in"])
    assert len(found.clashes) == 2
    assert found.images == {}


def test_an_unwritable_film_of_overlays_is_reported(tmp_path: Path) -> None:
    save_film(tmp_path / "in" / "film.mkv", count=2)
    (tmp_path / "out-overlays" / "film.mp4").mkdir(parents=True)
    summary = run(tmp_path / "in", tmp_path / "out", overlay=True)
    assert summary.written == 2
    [(path, _)] = summary.failed
    assert path.name == "film.mkv"


def test_a_film_with_a_missing_overlay_is_not_joined(tmp_path: Path) -> None:
    images = {"film/frame_000001": frame_path(tmp_path / "film.mkv", 0)}
    assert write_overlay_films(tmp_path / "out", images) == []
    assert not (tmp_path / "out-overlays").exists()


@pytest.mark.parametrize("every", [0, -3])
def test_a_distance_of_frames_below_one_is_refused(tmp_path: Path, every: int) -> None:
    with fails(ConfigError, "wrong-value", str(every), setting="--every-frame"):
        run(tmp_path, tmp_path / "out", every_frame=every)


def test_without_the_extra_films_of_a_folder_are_left_out_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_film(tmp_path / "in" / "film.mkv", count=1)
    write_picture(tmp_path / "in" / "b.png", still(0, SIZE))
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    notes: list[str] = []
    assert list(find_images([tmp_path / "in"], report=notes.append).images) == ["b"]
    [note] = notes
    assert "film.mkv" in note
    assert "keras-segkit[video]" in note
    with fails(ConfigError, "missing-package", "keras-segkit[video]"):
        run(tmp_path / "in" / "film.mkv", tmp_path / "out")
    (tmp_path / "in" / "b.png").unlink()
    with fails(DataError, "empty", "film.mkv", "keras-segkit[video]"):
        run(tmp_path / "in", tmp_path / "out")
