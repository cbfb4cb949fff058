"""A large TIFF has the same mask as in memory, also after kills; no partial mask is visible."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from segkit import DataError, Task
from segkit.config import Config
from segkit.data.sources.folder import in_folders
from segkit.inference.large import masks
from segkit.inference.large.memory_budget import MemoryBudget
from segkit.inference.large.predict import predict_large
from segkit.inference.large.work_folder import work_folder
from segkit.inference.tiles import Predict, predict_tiled
from segkit.io.images import read_image, write_picture
from segkit.io.masks import mask_paths, read_mask
from tests.helpers.draws import KINDS, task_of
from tests.helpers.errors import fails
from tests.helpers.large_cases import ROOM, config_of, network, noise, write_tiled

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[3]


def in_memory(config: Config, image: np.ndarray) -> np.ndarray:
    settings = config.predict
    predict = network(config.task.channels)
    return config.task.decode(
        predict_tiled(image, predict, settings.tile, settings.overlap, 3, config.model.stride)
    )


def predicted(
    config: Config,
    path: Path,
    folder: Path,
    predict: Predict | None = None,
    room: MemoryBudget = ROOM,
) -> list[Path]:
    return predict_large(
        predict or network(config.task.channels), config, path, folder, "a", room, "weights"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_mask_is_that_of_the_image_in_memory_and_the_folder_source_reads_it(
    tmp_path: Path, kind: str
) -> None:
    config, image = config_of(task_of(kind)), noise(600, 531)
    path = write_tiled(tmp_path / "images" / "a.tif", image)
    written = predicted(config, path, tmp_path / "masks")
    assert written == mask_paths(config.task, tmp_path / "masks", "a", ".tif")
    expected = in_memory(config, image)
    assert len(np.unique(expected)) > 1
    sample = in_folders(tmp_path / "images", tmp_path / "masks", config.task).read("a")
    np.testing.assert_array_equal(sample.mask, expected)
    assert sorted(path for path in (tmp_path / "masks").rglob("*") if path.is_file()) == sorted(
        written
    )
    assert not list((tmp_path / "masks").rglob(".*"))


@pytest.mark.parametrize("kind", KINDS)
def test_mask_files_are_compressed_tiles_with_the_palette_or_0_and_255(
    tmp_path: Path, kind: str
) -> None:
    config = config_of(task_of(kind))
    for path in predicted(
        config, write_tiled(tmp_path / "a.tif", noise(100, 130)), tmp_path / "masks"
    ):
        with tifffile.TiffFile(path) as tiff:
            page, colormap = tiff.pages[0], tiff.pages[0].colormap
            assert (page.is_tiled, page.tile, page.compression.name) == (
                True,
                (512, 512),
                "ADOBE_DEFLATE",
            )
        if config.task.exclusive:
            colours = [tuple(c) for c in (colormap[:, : config.task.channels].T >> 8).tolist()]
            assert colours == list(config.task.palette)
            shown = read_image(path)  # the palette as a viewer shows it
            np.testing.assert_array_equal(
                shown, np.array(config.task.palette, np.uint8)[read_mask(path)]
            )
        else:
            assert np.unique(read_mask(path)).tolist() == [0, 255]


@given(
    st.integers(1, 140),
    st.integers(1, 140),
    st.floats(0, 0.75),
    st.sampled_from([1, 2, 4]),
    st.integers(5_000, 60_000),
)
@settings(max_examples=25)
def test_neither_batches_nor_pieces_nor_sizes_change_the_mask(
    height: int, width: int, overlap: float, batch_size: int, read_bytes: int
) -> None:
    config, image = (
        config_of(Task.multiclass(["a", "b", "c"]), 32, overlap, depth=2),
        noise(height, width),
    )
    with tempfile.TemporaryDirectory() as folder:
        path = write_tiled(Path(folder, "a.tif"), image)
        (mask,) = predicted(
            config, path, Path(folder, "masks"), room=MemoryBudget(batch_size, read_bytes)
        )
        found = read_mask(mask)
    expected = in_memory(config, image)
    assert found.shape == expected.shape
    # a single window is blended here and not there: a tie may be decided by the last bit
    assert (found != expected).sum() <= (0 if max(height, width) > 32 else 1)


class Killed(BaseException):
    """Stands for a kill: nothing may catch it."""


def counting(config: Config, most: float = float("inf")) -> tuple[Predict, list[int]]:
    """Return the network, which dies after `most` windows, and the sizes of its batches."""
    seen: list[int] = []

    def predict(images: np.ndarray) -> np.ndarray:
        if sum(seen) + len(images) > most:
            raise Killed
        seen.append(len(images))
        return network(config.task.channels)(images)

    return predict, seen


@pytest.mark.long
@given(st.lists(st.integers(0, 40), max_size=4))
@settings(max_examples=12)
def test_after_a_kill_only_unfinished_rows_of_windows_are_computed(kills: list[int]) -> None:
    config, image = config_of(Task.multiclass(["a", "b", "c"])), noise(200, 300)
    windows_a_row, rows = 6, 4
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path, mask, finished = write_tiled(folder / "a.tif", image), folder / "masks" / "a.tif", 0
        for most in kills:
            predict, seen = counting(config, most)
            try:
                predicted(config, path, folder / "masks", predict)
            except Killed:
                assert not mask.exists()
                bands = len(list(work_folder(mask).glob("*.band")))
                assert (
                    0
                    <= sum(seen) - windows_a_row * (bands - finished)
                    < windows_a_row + ROOM.batch_size
                )
                finished = bands
            else:
                mask.unlink()
                finished = 0
        predict, seen = counting(config)
        predicted(config, path, folder / "masks", predict)
        assert sum(seen) == windows_a_row * (rows - finished)
        np.testing.assert_array_equal(read_mask(mask), in_memory(config, image))


def test_other_settings_weights_or_images_start_again(tmp_path: Path) -> None:
    config, path = config_of(Task.binary("a")), write_tiled(tmp_path / "a.tif", noise(400, 200))

    def stopped(config: Config, model: str = "weights") -> int:
        """Return how many windows were done when the prediction went on."""
        reports: list[int] = []
        predict, _ = counting(config, 9)
        progress = lambda done, total: reports.append(done)  # noqa: E731
        with pytest.raises(Killed):
            predict_large(predict, config, path, tmp_path / "masks", "a", ROOM, model, progress)
        return reports[0]

    row = 4
    assert stopped(config) == 0
    assert stopped(config) == 2 * row
    assert stopped(config, "others") == 0
    assert stopped(config_of(Task.binary("a"), overlap=0.3), "others") == 0
    assert stopped(config_of(Task.binary("a", threshold=0.4), overlap=0.3), "others") == 0
    write_tiled(path, noise(400, 200, seed=1))
    assert stopped(config_of(Task.binary("a", threshold=0.4), overlap=0.3), "others") == 0


def test_a_kill_while_the_file_is_written_loses_no_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, image = config_of(task_of("multilabel")), noise(150, 150)
    path = write_tiled(tmp_path / "a.tif", image)

    def dying(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(masks, "tiles", dying)
    with pytest.raises(Killed):
        predicted(config, path, tmp_path / "masks")
    assert not list((tmp_path / "masks").rglob("*.tif")) or not any(
        p.exists() for p in mask_paths(config.task, tmp_path / "masks", "a", ".tif")
    )
    monkeypatch.undo()
    predict, seen = counting(config)
    predicted(config, path, tmp_path / "masks", predict)
    assert seen == []
    found = [read_mask(p) // 255 for p in mask_paths(config.task, tmp_path / "masks", "a", ".tif")]
    np.testing.assert_array_equal(np.stack(found, axis=-1), in_memory(config, image))


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from segkit import Task
from segkit.inference.large.predict import predict_large
from tests.helpers.large_cases import ROOM, config_of, network
answer = network(2)
def slowly(images):
    time.sleep(0.02)
    return answer(images)
folder = Path(sys.argv[2])
config = config_of(Task.multiclass(["a", "b"]))
predict_large(slowly, config, folder / "a.tif", folder / "masks", "a", ROOM, "weights")
"""


@pytest.mark.long
def test_killed_processes_lose_at_most_a_row(tmp_path: Path) -> None:
    """Each is killed by SIGKILL when it has finished one row more, wherever it is by then."""
    config, image = config_of(Task.multiclass(["a", "b"])), noise(700, 250)
    path, mask = write_tiled(tmp_path / "a.tif", image), tmp_path / "masks" / "a.tif"
    work = work_folder(mask)
    finished = 0
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(ROOT), str(tmp_path)])
        while len(list(work.glob("*.band"))) <= finished and process.poll() is None:
            time.sleep(0.005)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert not mask.exists()
        assert len(list(work.glob("*.band"))) > finished
        finished = len(list(work.glob("*.band")))
    predict, seen = counting(config)
    predicted(config, path, tmp_path / "masks", predict)
    assert sum(seen) == 5 * (15 - finished)
    np.testing.assert_array_equal(read_mask(mask), in_memory(config, image))
    assert not work.exists()


def test_an_image_that_does_not_fit_leaves_no_mask_and_says_why(tmp_path: Path) -> None:
    config = config_of(Task.binary("a"))
    tifffile.imwrite(tmp_path / "deep.tif", noise(80, 80).astype(np.uint16), photometric="rgb")
    with fails(DataError, "depth", tmp_path / "deep.tif", "uint16", "uint8"):
        predicted(config, tmp_path / "deep.tif", tmp_path / "masks")
    tifffile.imwrite(
        tmp_path / "five.tif", noise(80, 80, 5), photometric="minisblack", planarconfig="contig"
    )
    with fails(DataError, "channels", tmp_path / "five.tif", 3, 5):
        predicted(config, tmp_path / "five.tif", tmp_path / "masks")
    assert not (tmp_path / "masks").exists()
    write_picture(tmp_path / "masks" / "a.png", noise(5, 5))
    with fails(DataError, "duplicate-name", tmp_path / "masks" / "a.png", "a.tif"):
        predicted(config, write_tiled(tmp_path / "a.tif", noise(80, 80)), tmp_path / "masks")


def test_a_model_of_three_channels_predicts_a_grey_image(tmp_path: Path) -> None:
    config, grey = config_of(Task.binary("a")), noise(100, 100, 1)
    tifffile.imwrite(tmp_path / "a.tif", grey[..., 0], tile=(16, 16))
    (mask,) = predicted(config, tmp_path / "a.tif", tmp_path / "masks")
    np.testing.assert_array_equal(
        read_mask(mask) // 255, in_memory(config, np.repeat(grey, 3, axis=-1))
    )


def test_the_mask_of_a_large_geotiff_has_its_location(tmp_path: Path) -> None:
    place = [
        (33550, 12, 3, (0.5, 0.5, 0.0), True),
        (33922, 12, 6, (0.0, 0.0, 0.0, 600000.0, 5000000.0, 0.0), True),
        (34735, 3, 8, (1, 1, 0, 1, 3072, 0, 1, 32632), True),
        (34737, 2, 0, "UTM 32|", True),
    ]
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(80, 80), tile=(16, 16), photometric="rgb", extratags=place)
    with tifffile.TiffFile(
        predicted(config_of(Task.binary("a")), path, tmp_path / "masks")[0]
    ) as tiff:
        tags = tiff.pages[0].tags
        assert [tags[code].value for code, *_ in place] == [value for *_, value, _ in place]


def test_bands_of_another_length_are_computed_again(tmp_path: Path) -> None:
    """A machine that lost its power may have lost the end of a file."""
    config, image = config_of(Task.binary("a")), noise(200, 200)
    path, mask = write_tiled(tmp_path / "a.tif", image), tmp_path / "masks" / "a.tif"
    with pytest.raises(Killed):
        predicted(config, path, tmp_path / "masks", counting(config, 9)[0])
    band = sorted(work_folder(mask).glob("*.band"))[-1]
    assert band.name == "mask-00001.band"  # the sums that it began with are gone
    band.write_bytes(band.read_bytes()[:-1])
    predicted(config, path, tmp_path / "masks")
    np.testing.assert_array_equal(read_mask(mask) // 255, in_memory(config, image))
    shutil.rmtree(tmp_path / "masks")
