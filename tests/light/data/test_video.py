"""The source "video": frames of films with masks, which a split never separates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segkit import ConfigError, DataError, Task
from segkit.config import Config, DataConfig, RunConfig
from segkit.data.groups import groups_of
from segkit.data.parts import open_parts
from segkit.data.sources.source import Source, open_source
from segkit.evaluation.evaluate import open_labels
from segkit.inspection.mask_format.detect import detect_format
from segkit.io.images import write_picture
from tests.helpers.errors import fails
from tests.helpers.films import REASON, SIZE, save_film, still
from tests.helpers.stand_in import GIVEN

pytest.importorskip("imageio_ffmpeg", reason=REASON)

CELL = Task.binary("cell")
CELLS = Task.multilabel(["cell", "nucleus"])


def mask_of(number: int) -> np.ndarray:
    """Return a mask (H, W, 1) of 0 and 255 that differs for each number."""
    mask = np.zeros((*SIZE, 1), np.uint8)
    mask[: number + 1] = 255
    return mask


def save_masks(folder: Path, film: str, numbers: tuple[int, ...]) -> None:
    """Write FOLDER/FILM/frame_000001.png for each number, which is counted from 1."""
    for number in numbers:
        write_picture(folder / film / f"frame_{number:06d}.png", mask_of(number))


def opened(root: Path, task: Task = CELL, **more: Any) -> Source:
    data = {"source": "video", "images": root / "films", "masks": root / "masks", **more}
    return open_source(DataConfig.model_validate(data), task)


def test_frames_with_a_mask_are_samples(tmp_path: Path) -> None:
    save_film(tmp_path / "films" / "a.mkv", count=6)
    save_film(tmp_path / "films" / "sub" / "b.avi", count=3)
    save_masks(tmp_path / "masks", "a", (2, 5))
    save_masks(tmp_path / "masks", "sub/b", (3,))
    source = opened(tmp_path)
    assert list(source.names) == ["a/frame_000002", "a/frame_000005", "sub/b/frame_000003"]
    for name in reversed(source.names):
        number = int(name[-6:])
        sample = source.read(name)
        np.testing.assert_array_equal(sample.image, still(number - 1))
        np.testing.assert_array_equal(sample.mask, mask_of(number)[..., 0] // 255)


def test_each_class_may_have_a_folder(tmp_path: Path) -> None:
    save_film(tmp_path / "films" / "a.mkv", count=3)
    for name in CELLS.classes:
        save_masks(tmp_path / "masks" / name, "a", (1, 3))
    source = opened(tmp_path, CELLS)
    assert source.read("a/frame_000003").mask.shape == (*SIZE, 2)
    save_masks(tmp_path / "masks" / "cell", "a", (2,))
    with fails(DataError, "unpaired", "nucleus/a/frame_000002"):
        opened(tmp_path, CELLS)
    source = opened(tmp_path, CELLS, missing_masks="void")
    found = source.read("a/frame_000002").mask
    np.testing.assert_array_equal(found[..., 0], mask_of(2)[..., 0] // 255)
    assert (found[..., 1] == 255).all()


def test_a_suffix_of_masks_is_left_out(tmp_path: Path) -> None:
    save_film(tmp_path / "films" / "a.mkv", count=3)
    path = tmp_path / "masks" / "a" / "frame_000002_mask.png"
    write_picture(path, mask_of(2))
    assert list(opened(tmp_path, mask_suffix="_mask").names) == ["a/frame_000002"]


def test_a_split_never_separates_the_frames_of_a_film(tmp_path: Path) -> None:
    for film in "abcdef":
        save_film(tmp_path / "films" / f"{film}.mkv", count=4)
        save_masks(tmp_path / "masks", film, (1, 2, 4))
    folders = {"images": tmp_path / "films", "masks": tmp_path / "masks"}
    data = {"source": "video", **folders, "validation": 0.3, "test": 0.3}
    config = Config.model_validate({"task": {"kind": "binary", "classes": ["cell"]}, "data": data})
    parts = open_parts(config)
    films = {part: {name[0] for name in subset.names} for part, subset in parts.items()}
    assert sum(len(found) for found in films.values()) == 6
    assert all(films.values())
    assert groups_of(["a/frame_000001", "b/c/frame_000002"], config) == ["a", "b/c"]


def test_a_mask_without_a_frame_is_refused(tmp_path: Path) -> None:
    save_film(tmp_path / "films" / "a.mkv", count=3)
    for name in ("a/frame_000004", "a/frame_000000", "b/frame_000001", "frame_000001", "a/x"):
        write_picture(tmp_path / "masks" / "a" / "frame_000001.png", mask_of(1))
        wrong = tmp_path / "masks" / f"{name}.png"
        write_picture(wrong, mask_of(1))
        with fails(DataError, "unpaired", name):
            opened(tmp_path)
        wrong.unlink()
    assert len(opened(tmp_path).names) == 1


def test_two_masks_of_one_frame_are_refused(tmp_path: Path) -> None:
    save_film(tmp_path / "films" / "a.mkv", count=3)
    save_masks(tmp_path / "masks", "a", (1,))
    write_picture(tmp_path / "masks" / "a" / "frame_1.png", mask_of(1))
    with fails(DataError, "duplicate-name", "frame_1.png"):
        opened(tmp_path)


def test_films_without_masks_are_reported(tmp_path: Path) -> None:
    save_film(tmp_path / "films" / "a.mkv", count=1)
    save_film(tmp_path / "films" / "b.mkv", count=1)
    save_masks(tmp_path / "masks", "a", (1,))
    source: Any = opened(tmp_path)
    assert [entry.path.name for entry in source.left_out] == ["b.mkv"]


def test_a_broken_film_is_an_error_or_left_out(tmp_path: Path) -> None:
    save_film(tmp_path / "films" / "a.mkv", count=1)
    save_masks(tmp_path / "masks", "a", (1,))
    (tmp_path / "films" / "b.mp4").write_bytes(b"nonsense")
    save_masks(tmp_path / "masks", "b", (1,))
    with fails(DataError, "unreadable", "b.mp4"):
        opened(tmp_path)
    source: Any = opened(tmp_path, skip_broken=True)
    assert list(source.names) == ["a/frame_000001"]
    assert "b.mp4" in [entry.path.name for entry in source.left_out]


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    save_film(tmp_path / "films" / "a.mkv", count=1)
    write_picture(tmp_path / "masks" / "a" / "frame_000001.png", mask_of(1)[1:])
    with fails(DataError, "mask-size", "a.mkv", "frame_000001.png"):
        opened(tmp_path).read("a/frame_000001")


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"masks": None}, "missing-setting"),
        ({"image_suffix": "_a"}, "contradiction"),
    ],
)
def test_settings_that_do_not_fit_are_refused(
    tmp_path: Path, settings: dict[str, Any], code: str
) -> None:
    with fails(ConfigError, code):
        opened(tmp_path, **settings)
    (tmp_path / "films").mkdir()
    with fails(DataError, "empty", ".mp4"):
        opened(tmp_path)


@pytest.mark.parametrize("classes", [(), ("cell", "nucleus")])
def test_folders_of_films_and_masks_are_recognised(
    tmp_path: Path, classes: tuple[str, ...]
) -> None:
    save_film(tmp_path / "films" / "a.mkv", count=3)
    for folder in [tmp_path / "masks" / name for name in classes] or [tmp_path / "masks"]:
        save_masks(folder, "a", (1, 3))
    guess = detect_format(tmp_path / "films", tmp_path / "masks")
    assert guess.data.source == "video"
    source = open_source(guess.data, guess.task)
    assert list(source.names) == ["a/frame_000001", "a/frame_000003"]
    assert guess.task.channels == max(1, len(classes))


def test_pictures_beside_films_stay_pictures(tmp_path: Path) -> None:
    save_film(tmp_path / "films" / "a.mkv", count=1)
    write_picture(tmp_path / "films" / "b.png", still(0))
    write_picture(tmp_path / "masks" / "b.png", mask_of(2))
    guess = detect_format(tmp_path / "films", tmp_path / "masks")
    assert guess.data.source == "folder"


def test_the_films_of_one_set_among_others_stay_together(tmp_path: Path) -> None:
    save_film(tmp_path / "films" / "a.mkv", count=4)
    save_masks(tmp_path / "masks", "a", (1, 2, 3, 4))
    write_picture(tmp_path / "images" / "b.png", still(9))
    write_picture(tmp_path / "b" / "b.png", mask_of(9))
    of_films = {"source": "video", "images": tmp_path / "films", "masks": tmp_path / "masks"}
    sets = {"films": of_films, "pictures": {"images": tmp_path / "images", "masks": tmp_path / "b"}}
    task = {"kind": "binary", "classes": ["cell"]}
    config = Config.model_validate({"task": task, "data": {"sets": sets}})
    names = open_source(config.data, CELL).names
    groups = groups_of(names, config)
    assert groups is not None
    assert len(names) == 5
    assert len(set(groups)) == 2


def test_new_films_are_scored_with_their_masks(tmp_path: Path) -> None:
    save_film(tmp_path / "films" / "a.mkv", count=2)
    save_masks(tmp_path / "masks", "a", (2,))
    data = DataConfig(source="video", images=tmp_path / "old", masks=tmp_path / "old")
    run = RunConfig(task=CELL, data=data, input=GIVEN)
    source = open_labels(run, tmp_path / "films", tmp_path / "masks")
    np.testing.assert_array_equal(source.read("a/frame_000002").image, still(1))


def test_blocks_of_frames_are_samples(tmp_path: Path) -> None:
    save_film(tmp_path / "films" / "a.mkv", count=1, size=(64, 96))
    write_picture(tmp_path / "masks" / "a" / "frame_000001.png", np.zeros((64, 96, 1), np.uint8))
    source = opened(tmp_path, blocks=32)
    assert len(source.names) > 1
    whole = still(0, (64, 96))
    for name in source.names:
        image = source.read(name).image
        assert min(image.shape[:2]) >= 24
        places = np.lib.stride_tricks.sliding_window_view(whole, image.shape)[:, :, 0]
        assert (places == image).all(axis=(2, 3, 4)).any()
