"""The memory that large images need, which images are large, and their progress."""

from __future__ import annotations

import argparse
import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from rich.console import Console

from segkit import ConfigError, Task
from segkit.cli import main
from segkit.cli.console import ConsoleProgress
from segkit.cli.predict import add_memory
from segkit.inference.large import masks
from segkit.inference.large.files import fit_batch, separate_large
from segkit.inference.large.memory_budget import budget_within, is_large, memory_limit
from segkit.inference.large.work_folder import work_folder
from segkit.inference.load import LoadedRun
from segkit.inference.outputs.summary import read_summary, row_of
from segkit.inference.outputs.writer import Outputs
from segkit.inference.predict import predict_large_files
from segkit.io.images import write_picture
from segkit.io.masks import read_mask
from segkit.system import memory
from tests.helpers.command_line import assert_fails, numbers
from tests.helpers.errors import fails, holds
from tests.helpers.large_cases import config_of, network, noise, write_tiled

ROOT = Path(__file__).parents[3]
SIDE, MOST = 4096, 300_000_000
PEAK = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
import numpy as np
from segkit import Task
from segkit.system import memory
from segkit.inference.large.predict import predict_large
from segkit.inference.large.memory_budget import budget_within
from tests.helpers.large_cases import config_of
def predict(images):
    return np.eye(3, dtype=np.float32)[images[..., 0] // 86]
config = config_of(Task.multiclass(["a", "b", "c"]), 512)
room = budget_within(predict, config, {MOST})
predict_large(predict, config, Path(sys.argv[1]), Path(sys.argv[2]), "a", room)
print(memory.peak())
"""


@pytest.mark.long
def test_a_large_image_takes_little_memory(tmp_path: Path) -> None:
    """The sums and probabilities of its three classes alone would need 24 bytes per pixel."""
    assert SIDE * SIDE * 24 > MOST
    block, times = noise(512, 512), SIDE // 512
    how = {
        "shape": (SIDE, SIDE, 3),
        "dtype": np.uint8,
        "photometric": "rgb",
        "compression": "zlib",
        "tile": (512, 512),
    }
    tifffile.imwrite(tmp_path / "a.tif", (block for _ in range(times**2)), **how)
    arguments = [sys.executable, "-c", PEAK, tmp_path / "a.tif", tmp_path / "masks"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    assert int(done.stdout) < MOST
    mask = read_mask(tmp_path / "masks" / "a.tif")
    np.testing.assert_array_equal(mask, np.tile(block[..., 0] // 86, (times, times)))


def test_tiffs_are_large_if_they_do_not_fit_or_exceed_the_limit_of_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(Task.binary("a"))
    path = write_tiled(tmp_path / "a.tif", noise(100, 200))
    small = write_tiled(tmp_path / "b.tif", noise(60, 64))  # one window
    write_picture(tmp_path / "c.png", noise(100, 200))
    # 20,000 pixels of 39 bytes: five images of 3 bytes, and 24 bytes of probabilities and sums
    taken = 780_000
    monkeypatch.setattr(memory, "peak", lambda: 1000)
    assert is_large(config, path, 1000 + taken - 1)
    assert not is_large(config, path, 1000 + taken)
    assert not is_large(config, small, 0)
    assert not is_large(config, tmp_path / "c.png", 0)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9_999)
    assert is_large(config, path, 10**12)


def test_the_memory_limit_is_the_option_or_half_of_the_free_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "resident", lambda: 1000)
    monkeypatch.setattr(memory, "free_memory", lambda: 500)
    assert (memory_limit(None), memory_limit(7)) == (1250, 7)


def test_memory_limits_the_batch_size_up_to_that_of_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = config_of(Task.binary("a"), 100)
    monkeypatch.setattr(memory, "resident", lambda: 4 * 10**6)
    monkeypatch.setattr(
        memory, "peak", lambda: 5 * 10**6
    )  # with the one window that shows what the network takes
    needed = 5_440_000  # the peak, 320 kB of sums and four pieces of 30 kB
    seen: list[tuple[int, ...]] = []

    def batch(most: int) -> int:
        predict = network(1)
        return budget_within(
            lambda images: (seen.append(images.shape), predict(images))[1], config, most
        ).batch_size

    assert seen == []
    assert batch(needed) == 1
    assert seen == [(1, 24, 24, 3), (1, 100, 100, 3)]
    with fails(ConfigError, "no-space", "100 x 100", "predict.tile", "5 MB", setting="--memory"):
        batch(needed - 1)
    batches = {6_600_000: 1, 6_700_000: 2, 7_900_000: 2, 8_000_000: 3, 10**12: 3}
    assert {most: batch(most) for most in batches} == batches
    assert config.predict.batch_size == 3
    assert budget_within(network(1), config, 10**12).read_bytes == 2**26


@pytest.mark.parametrize(
    ("once", "whole", "shown", "tried"),
    [(0, 373_678_336, "374 MB", [128, 512]), (50 * 10**6, 423_678_336, "424 MB", [128, 256, 512])],
)
def test_a_window_that_does_not_fit_is_refused_before_it_is_tried(
    monkeypatch: pytest.MonkeyPatch, once: int, whole: int, shown: str, tried: list[int]
) -> None:
    """The network takes `once` bytes at its first call, and 1000 per pixel at each call.

    The process has 100 MB before. A window of 512 x 512 needs 262,144,000 bytes, the sums need
    8,388,608 and the pieces 3,145,728.
    """
    config = config_of(Task.binary("a"), 512)

    def sizes(most: int) -> list[int]:
        taken, seen = {"now": 10**8, "top": 10**8, "peak": 10**8}, list[int]()

        def predict(images: np.ndarray) -> np.ndarray:
            seen.append(images.shape[1])
            taken["now"] = 10**8 + once
            taken["top"] = taken["now"] + 1000 * images.shape[1] * images.shape[2]
            taken["peak"] = max(taken["peak"], taken["top"])
            return np.zeros((*images.shape[:3], 1), np.float32)

        monkeypatch.setattr(memory, "resident", lambda: taken["now"])
        monkeypatch.setattr(memory, "peak", lambda: taken["peak"])
        monkeypatch.setattr(memory, "most_resident", lambda call: (call(), taken["top"])[1])
        try:
            budget_within(predict, config, most)
        except ConfigError as problem:
            assert shown in str(problem) or not seen  # noqa: PT017
        assert taken["peak"] <= most or not seen
        return seen

    assert sizes(whole) == tried
    assert sizes(whole - 1) == [128, 256]
    assert sizes(10**8 + 10**6) == []
    assert sizes(10**12) == [128, 512]


def test_memory_that_the_runtime_keeps_counts_for_every_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """ONNX Runtime takes 1000 bytes per pixel once, and keeps them for later calls."""
    config = config_of(Task.binary("a"), 512)
    start = 10**8
    window = 1000 * 512 * 512
    resident = start

    def predict(images: np.ndarray) -> np.ndarray:
        nonlocal resident
        count, height, width = images.shape[:3]
        resident = max(resident, start + 1000 * count * height * width)
        return np.zeros((*images.shape[:3], 1), np.float32)

    monkeypatch.setattr(memory, "resident", lambda: resident)
    monkeypatch.setattr(memory, "peak", lambda: resident)
    monkeypatch.setattr(memory, "most_resident", lambda call: (call(), resident)[1])
    sums = 8_388_608
    for remaining, expected in ((0.97, 1), (1.03, 2), (1.97, 2), (2.03, 3)):
        resident = start
        # a quarter of what is left after the first window is for the pieces of the image
        limit = start + window + sums + int(remaining * window / 0.75)
        assert budget_within(predict, config, limit).batch_size == expected, remaining


@pytest.mark.long
def test_memory_that_is_used_for_a_moment_is_measured() -> None:
    before = memory.resident()
    numbers = memory.peak() // 8  # once as many bytes as ever before
    assert memory.most_resident(lambda: np.ones(numbers).sum()) >= before + 8 * numbers - 2**22
    assert memory.most_resident(lambda: None) < before + 4 * numbers


def test_batches_of_small_images_fit_into_memory_too(monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(Task.binary("a"), 100)
    monkeypatch.setattr(memory, "resident", lambda: 4 * 10**6)
    monkeypatch.setattr(memory, "peak", lambda: 5 * 10**6)
    sizes = {
        most: fit_batch(network(1), config, most).predict.batch_size for most in (1, 10**7, 10**12)
    }
    assert sizes == {1: 1, 10**7: 3, 10**12: 3}
    assert fit_batch(network(1), config, 6_900_000).predict.batch_size == 2
    assert fit_batch(network(1), config, None) is config


@pytest.mark.long
def test_the_peak_is_at_least_the_resident_memory() -> None:
    before, slack = memory.peak(), 2**22  # the kernel counts pages in lots
    block = np.ones(before // 8 + 10**6)  # more than ever before
    assert memory.peak() + slack >= memory.resident() >= block.nbytes
    del block
    assert memory.resident() < before + slack < memory.peak()


@pytest.mark.parametrize("text", ["1.5", "2 GiB", "800mb"])
def test_sizes_of_memory_are_read(text: str) -> None:
    sizes = {"1.5": 1, "2 GiB": 2 * 2**30, "800mb": 800 * 10**6}
    parser = argparse.ArgumentParser()
    add_memory(parser)
    assert parser.parse_args(["--memory", text]).memory == sizes[text]


@pytest.mark.parametrize("text", ["much", "-1GB", "1.5XB", "1i", "GB", ""])
def test_other_words_for_memory_are_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_memory(parser)
    with pytest.raises(SystemExit) as end:
        parser.parse_args([f"--memory={text}"])
    assert end.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert holds(last, "--memory")
    assert holds(last, repr(text))


def quiet() -> Console:
    return Console(file=io.StringIO(), width=200)


def test_large_images_are_separated_and_a_broken_one_does_not_stop_the_others(
    tmp_path: Path,
) -> None:
    config = config_of(Task.binary("a"))
    paths = {
        name: write_tiled(tmp_path / f"{name}.tif", noise(90, 200, seed=i))
        for i, name in enumerate("abc")
    }
    paths["small"] = write_tiled(tmp_path / "small.tif", noise(20, 20))
    paths["b"].write_bytes(paths["b"].read_bytes()[:30_000])
    outputs = Outputs(tmp_path / "masks")
    usual, large = separate_large(config, paths, outputs, memory=1)
    assert (set(usual), set(large)) == ({"small"}, {"a", "b", "c"})
    assert separate_large(config, paths, outputs, memory=10**12) == (paths, {})
    work_folder(outputs.masks / "a.tif").mkdir(parents=True)  # begun when less memory was free
    assert set(separate_large(config, paths, outputs, memory=10**12)[1]) == {"a"}
    with fails(ConfigError, "contradiction", paths["a"], "--overlay"):
        separate_large(config, paths, Outputs(tmp_path / "masks", overlays=True), memory=1)
    with fails(ConfigError, "contradiction", work_folder(outputs.masks / "a.tif")):
        separate_large(config, paths, Outputs(tmp_path / "masks", overlays=True), memory=10**12)
    for skipping, found in ((False, (2, 0, 1)), (True, (0, 2, 1))):
        room = budget_within(network(1), config, 10**12)
        summary = predict_large_files(network(1), config, large, outputs, "weights", room, skipping)
        assert (summary.written, summary.skipped, len(summary.failed)) == found
        assert summary.failed[0][0] == paths["b"]
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == ["a.tif", "c.tif"]
    rows = read_summary(config.task, tmp_path / "masks-summary.csv")
    masks = {name: read_mask(tmp_path / "masks" / f"{name}.tif") // 255 for name in "ac"}
    assert rows == {name: row_of(config.task, name, mask) for name, mask in masks.items()}
    assert set(separate_large(config, paths, outputs, memory=10**12)[1]) == {
        "a",
        "c",
    }  # a.png would be a second mask of a


def test_a_full_disk_stops_the_call_and_no_finished_window_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, outputs, seen = config_of(Task.binary("a")), Outputs(tmp_path / "masks"), list[int]()
    paths = {name: write_tiled(tmp_path / f"{name}.tif", noise(90, 200)) for name in "ab"}
    room, answer = budget_within(network(1), config, 10**12), network(1)

    def counting(images: np.ndarray) -> np.ndarray:
        seen.append(len(images))
        return answer(images)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(masks, "tiles", full)
        summary = predict_large_files(
            counting, config, paths, outputs, "weights", room, skip_existing=True
        )
    assert (summary.written, summary.failed) == (0, [])
    assert os.strerror(errno.ENOSPC) in str(summary.stopped)
    assert "--skip-existing" in str(summary.stopped)
    assert [path.name for path in outputs.masks.iterdir()] == [
        ".a.part"
    ]  # the finished rows; b was not begun
    begun = sum(seen)
    assert (
        predict_large_files(
            counting, config, paths, outputs, "weights", room, skip_existing=True
        ).written
        == 2
    )
    assert sum(seen) == 2 * begun  # those of b


def test_too_little_memory_for_a_window_is_an_error_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = config_of(Task.binary("a"))
    write_tiled(tmp_path / "in" / "large.tif", noise(300, 200))
    write_tiled(tmp_path / "in" / "small.tif", noise(20, 20))
    opened = LoadedRun(network(1), config, "a stand-in", "weights")
    monkeypatch.setattr("segkit.inference.predict.open_together", lambda *asked: opened)
    flags = ["predict", "run", str(tmp_path / "in"), "--out", str(tmp_path / "masks"), "--memory"]
    assert_fails([*flags, "1MB"], ConfigError, "no-space", setting="--memory")
    assert not (tmp_path / "masks").exists()
    capsys.readouterr()
    assert main([*flags, "900GB"]) == 0
    assert numbers(capsys.readouterr().out.splitlines()[-1]) == [
        2,
        0,
    ]  # masks written, images failed


def test_progress_shows_earlier_windows_and_the_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr("segkit.cli.console.time.monotonic", lambda: now[0])
    console = quiet()
    with ConsoleProgress(console).windows("slide") as progress:
        progress(40, 100)
        for done in range(41, 61):
            now[0] += 5
            progress(done, 100)
        progress(100, 100)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines == [
        "slide: 100 windows, 40 of them done before",
        "slide: 52 of 100 windows, 0:04:00 left",
        "slide: 100 of 100 windows, writing the mask",
    ]
