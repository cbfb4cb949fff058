"""Samples stored on disk: found again, never stale, always whole; a full disk."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from segkit import DataError, Task
from segkit.data.batches import disk_cache
from segkit.data.batches.cache import Read
from segkit.data.batches.disk_cache import OnDisk
from tests.helpers.counting_source import GIVEN, Counting, on_disk
from tests.helpers.errors import fails
from tests.helpers.every_source import Made, every_source, folder, folder_of_bands, save

in_both_ways = pytest.mark.parametrize("small", [0, 2**20], ids=["mapped", "read whole"])


@in_both_ways
@every_source
def test_stored_samples_equal_those_that_were_read(
    make: Callable[[Path], Made], small: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_cache, "SMALL", small)
    made = make(tmp_path)
    part = Counting(made)
    wanted = [Read(part, made.task, GIVEN)(name) for name in part.names]
    for _ in range(2):
        cached = on_disk(made, part, tmp_path / "cache")
        for name, (image, target) in zip(part.names, wanted, strict=True):
            for array, same in zip(cached(name), (image, target), strict=True):
                np.testing.assert_array_equal(array, same)
                assert (array.dtype, array.shape) == (same.dtype, same.shape)
    assert part.reads == 2 * len(part.names)  # by `wanted`, and once for the cache


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_images_of_more_than_8_bits_are_stored_in_their_depth(dtype: str, tmp_path: Path) -> None:
    made = folder(tmp_path)
    image = np.arange(6 * 8 * 3).reshape(6, 8, 3).astype(dtype) * 100
    (tmp_path / "images" / "a.png").unlink()
    save(tmp_path / "images" / "a.tif", image)
    part = Counting(made)
    for _ in range(2):
        found = on_disk(made, part, tmp_path / "cache")("a")[0]
        np.testing.assert_array_equal(found, image)
        assert found.dtype == dtype
    assert part.reads == 1


@in_both_ways
def test_a_stored_sample_is_read_only(
    small: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_cache, "SMALL", small)
    made = folder(tmp_path)
    cached = on_disk(made, Counting(made), tmp_path / "cache")
    cached("a")
    with pytest.raises(ValueError, match="read-only"):
        cached("a")[0][:] = 0


@pytest.mark.parametrize("changed", ["images/a.png", "masks/a.png"])
def test_a_changed_file_is_read_again(changed: str, tmp_path: Path) -> None:
    made = folder(tmp_path)
    part, file = Counting(made), tmp_path / changed
    cached = on_disk(made, part, tmp_path / "cache")
    for name in part.names:
        cached(name)
    before, size = file.stat().st_mtime_ns, file.stat().st_size
    cached("a")
    assert part.reads == 3
    os.utime(file, ns=(before, before + 10**6))  # only its time
    cached("a")
    assert part.reads == 4
    file.write_bytes(
        file.read_bytes() + b"\0"
    )  # only its size: what follows a PNG's end is not looked at
    assert file.stat().st_size != size
    os.utime(file, ns=(before, before))
    cached("a")
    assert part.reads == 5
    cached("b")
    assert part.reads == 5


def test_other_settings_of_reading_do_not_find_it_and_others_do(tmp_path: Path) -> None:
    made = folder(tmp_path)
    reads = []
    for task, change in (
        (made.task, {}),
        (
            made.task,
            {"validation": 0.3, "fold": "2/3", "cache": "disk", "skip_broken": True},
        ),  # does not matter
        (made.task, {"mask_threshold": 100}),
        (made.task, {"mask_values": {0: "present", 255: "absent"}}),
        (Task.multiclass(["background", "crack"]), {}),  # to which 255 is unlabelled
    ):
        one = made._replace(data=made.data.model_copy(update=change), task=task)
        part = Counting(one)
        found = on_disk(one, part, tmp_path / "cache")("a")
        np.testing.assert_array_equal(found[1], Read(part, task, GIVEN)("a")[1])
        reads.append(part.reads - 1)
    assert reads == [1, 0, 1, 1, 1]


def test_other_channels_are_other_samples(tmp_path: Path) -> None:
    made = folder(tmp_path)
    save(tmp_path / "images" / "a.png", np.full((6, 8), 7, np.uint8))
    grey = GIVEN.model_copy(update={"channels": 1})
    part = Counting(made)
    for given in (GIVEN, grey):
        cached = OnDisk(
            Read(part, made.task, given), part, made.data, made.task, given, tmp_path / "cache"
        )
        assert cached("a")[0].shape == (6, 8, given.channels)


@in_both_ways
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:20],
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: bytes(len(data)),
        lambda data: b"\xff" * len(data),
    ],
)
def test_a_file_that_is_not_whole_counts_as_none(
    damage: Callable[[bytes], bytes], small: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_cache, "SMALL", small)
    made = folder(tmp_path)
    part = Counting(made)
    on_disk(made, part, tmp_path / "cache")("a")
    (file,) = (tmp_path / "cache").rglob("*.sample")
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    on_disk(made, part, tmp_path / "cache")("a")
    assert part.reads == 2
    assert file.read_bytes() == whole


def test_a_missing_file_gives_the_error_of_the_source(tmp_path: Path) -> None:
    made = folder(tmp_path)
    cached = on_disk(made, Counting(made), tmp_path / "cache")
    (tmp_path / "images" / "a.png").unlink()
    with fails(DataError, "missing-file", tmp_path / "images" / "a.png"):
        cached("a")


def test_a_full_disk_only_stops_the_storing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = folder(tmp_path)
    part = Counting(made)
    cached = on_disk(made, part, tmp_path / "cache")
    monkeypatch.setattr(
        disk_cache.shutil, "disk_usage", lambda path: SimpleNamespace(free=disk_cache.SPARE)
    )
    with pytest.warns(UserWarning, match=re.escape(str(tmp_path / "cache"))):
        cached("a")
    for _ in range(2):
        cached("a")
    assert part.reads == 3
    assert not list((tmp_path / "cache").rglob("*.sample"))


def test_a_write_that_is_interrupted_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = folder(tmp_path)
    cached = on_disk(made, Counting(made), tmp_path / "cache")

    def end(array: np.ndarray) -> np.ndarray:
        raise KeyboardInterrupt

    monkeypatch.setattr(disk_cache.np, "ascontiguousarray", end)
    with pytest.raises(KeyboardInterrupt):
        cached("a")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


WRITER = """
import sys
from pathlib import Path
from tests.helpers.counting_source import (Counting, on_disk)
from tests.helpers.every_source import CRACK, Made
from segkit.config.data import DataConfig
root = Path(sys.argv[1])
made = Made(CRACK, DataConfig(images=root / "images", masks=root / "masks"), "a", None)
part = Counting(made)
cached = on_disk(made, part, root / "cache")
while True:
    for name in part.names:
        cached(name)
    for path in (root / "cache").glob("*/[0-9a-f]*.sample"):
        path.unlink(missing_ok=True)
"""


@pytest.mark.long
def test_processes_share_a_folder_and_a_kill_leaves_only_whole_files(tmp_path: Path) -> None:
    """Three processes write and delete the same samples, and one of them is killed."""
    made = folder(tmp_path)
    part = Counting(made)
    wanted = {name: Read(part, made.task, GIVEN)(name) for name in part.names}
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen(command, cwd=Path(__file__).parents[3]) for _ in range(2)]
    try:
        cached, looked, began = on_disk(made, part, tmp_path / "cache"), 0, time.monotonic()
        while looked < 300 or time.monotonic() - began < 2:
            for name, (image, target) in wanted.items():
                found = cached(name)
                np.testing.assert_array_equal(found[0], image)
                np.testing.assert_array_equal(found[1], target)
                looked += 1
            if looked == 150:
                writers[0].kill()
        assert all(writer.poll() is None for writer in writers[1:])
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    on_disk(made, part, tmp_path / "cache")  # removes what the killed ones left
    assert not list((tmp_path / "cache").rglob("*.part*"))


def test_threads_may_read_at_once(tmp_path: Path) -> None:
    made = folder_of_bands(tmp_path)
    part = Counting(made)
    cached, wrong = on_disk(made, part, tmp_path / "cache"), []
    wanted = {name: Read(part, made.task, GIVEN)(name) for name in part.names}

    def look() -> None:
        for name in [*part.names] * 30:
            wrong.extend(
                name
                for a, b in zip(cached(name), wanted[name], strict=True)
                if not np.array_equal(a, b)
            )

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
