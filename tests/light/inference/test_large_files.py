"""Large images beside others: one process at a time works on each, and the table of all images counts them, too."""

from __future__ import annotations

import errno
import multiprocessing
import os
import time
from pathlib import Path
from typing import TextIO

import numpy as np
import pytest
import tifffile

from segkit import DataError, Task
from segkit.inference.large.predict import predict_large
from segkit.inference.outputs import summary
from segkit.inference.outputs.summary import row_of, row_of_files, write_summary
from segkit.io import atomic, locks
from segkit.io.coding import segkit_coding
from segkit.io.locks import STALE, locked
from tests.helpers.draws import KINDS, task_of
from tests.helpers.errors import fails
from tests.helpers.large_cases import ROOM, config_of, network, noise, write_tiled
from tests.helpers.masks_read import read_back


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_counts_masks_of_large_images_tile_by_tile(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, table, masks = (
        config_of(task_of(kind), 320),
        tmp_path / "masks-summary.csv",
        tmp_path / "masks",
    )
    path = write_tiled(tmp_path / "a.tif", noise(600, 531))  # beyond one tile of the mask both ways
    coding = segkit_coding(config.task)
    written = predict_large(network(config.task.channels), config, path, masks, "a", ROOM)
    expected = row_of(config.task, "a", read_back(config.task, written))
    assert not {"0", str(600 * 531)} & set(expected[3::2])
    assert row_of_files(coding, "a", written) == expected
    write_summary(coding, masks, table, ["a", "missing"], {})
    assert summary.read_summary(config.task, table) == {"a": expected}
    monkeypatch.setattr(summary, "row_of_files", None)  # an unchanged mask is not counted again
    os.utime(table, ns=(time.time_ns(), max(p.stat().st_mtime_ns for p in written) + 1))
    write_summary(coding, masks, table, ["a"], {})
    assert summary.read_summary(config.task, table) == {"a": expected}


def test_the_masks_of_an_image_are_of_one_model_whenever_their_writing_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task.multilabel(["a", "b"])
    config, path = config_of(task), write_tiled(tmp_path / "x.tif", noise(200, 200))
    first, last = predict_large(network(2), config, path, tmp_path / "masks", "x", ROOM)
    older, replace = first.read_bytes(), os.replace

    def killed_at_the_last(source: Path, target: Path) -> None:
        if target == last:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed_at_the_last)
    with pytest.raises(KeyboardInterrupt):
        predict_large(
            lambda images: 1 - network(2)(images),
            config,
            path,
            tmp_path / "masks",
            "x",
            ROOM,
            "other",
        )
    assert first.read_bytes() != older
    assert not last.exists()  # so that --skip-existing predicts it anew


def test_masks_of_one_image_must_be_of_one_size(tmp_path: Path) -> None:
    task = Task.multilabel(["a", "b"])
    paths = segkit_coding(task).paths(tmp_path, "x", tiff=True)
    for path, side in zip(paths, (9, 10), strict=True):
        path.parent.mkdir()
        tifffile.imwrite(path, np.zeros((side, 9), np.uint8))
    with fails(DataError, "mask-size", paths[0]):
        row_of_files(segkit_coding(task), "x", paths)
    paths[1].write_bytes(b"II*\0")
    with fails(DataError, "unreadable", paths[1]):
        row_of_files(segkit_coding(task), "x", paths)


def test_a_second_process_is_told_and_the_first_goes_on(tmp_path: Path) -> None:
    config, path = config_of(Task.binary("a")), write_tiled(tmp_path / "a.tif", noise(200, 200))
    problems: list[DataError] = []

    def second(images: np.ndarray) -> np.ndarray:
        if not problems:
            with fails(DataError, "busy", ".a.lock", f"{os.getpid()}@") as problem:
                predict_large(network(1), config, path, tmp_path / "masks", "a", ROOM)
            problems.append(problem.value)
        return network(1)(images)

    (mask,) = predict_large(second, config, path, tmp_path / "masks", "a", ROOM)
    assert len(problems) == 1
    assert mask.exists()
    assert [p.name for p in (tmp_path / "masks").iterdir()] == ["a.tif"]


def hold(path: Path) -> None:
    with locked(path):
        path.with_name("held").touch()
        time.sleep(600)


def test_the_lock_of_a_killed_process_is_taken_over_at_once(tmp_path: Path) -> None:
    path = tmp_path / ".a.lock"
    holder = multiprocessing.get_context("forkserver").Process(target=hold, args=(path,))
    holder.start()
    while not (tmp_path / "held").exists():
        time.sleep(0.005)
    with fails(DataError, "busy", path, f"{holder.pid}@"), locked(path):
        pass
    assert path.exists()
    holder.kill()
    holder.join()
    with locked(path):
        assert path.read_text() == atomic.owner()
    assert not path.exists()


def test_an_empty_lock_file_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / ".a.lock"
    path.touch()
    with locked(path):
        assert path.read_text() == atomic.owner()
    assert not path.exists()


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no /dev/full")
def test_a_lock_that_cannot_be_signed_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, signed = tmp_path / ".a.lock", locks._sign

    def on_a_full_disk(path: Path, stream: TextIO) -> None:
        with Path("/dev/full").open("w") as full:
            signed(path, full)

    monkeypatch.setattr(locks, "_sign", on_a_full_disk)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)), locked(path):
        pass
    assert not path.exists()


def test_the_lock_of_another_machine_is_taken_over_when_nobody_has_touched_it_for_long(
    tmp_path: Path,
) -> None:
    path, owner = tmp_path / ".a.lock", "17@elsewhere-1"
    path.write_text(owner)
    with fails(DataError, "busy", path, f"({owner})"), locked(path):
        pass
    assert path.read_text() == owner
    os.utime(path, (time.time() - STALE - 1,) * 2)
    with locked(path) as alive:
        assert path.read_text() == atomic.owner()
        os.utime(path, (1, 1))
        alive()
        assert path.stat().st_mtime > time.time() - 60


def test_a_lock_that_another_took_over_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / ".a.lock"
    with locked(path) as alive:
        path.write_text("17@elsewhere-1")
    assert path.exists()
    path.unlink()
    alive()  # of no use, and no harm
