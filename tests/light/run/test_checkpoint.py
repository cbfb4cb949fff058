"""Checkpoints: damaged ones are not used, and the disk must have space for them."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from segkit.errors import RunError
from segkit.io import atomic
from segkit.run import checkpoint
from segkit.run.checkpoint import Checkpoints, Position, check_disk_space
from tests.helpers.disks import on_full_disk
from tests.helpers.errors import fails

GROUPS = {
    "weights": [
        np.arange(12, dtype=np.float32).reshape(3, 4),
        np.array(7, np.int64),
        np.zeros((0, 2), np.float32),
    ],
    "optimizer": [np.full(5, np.nan, np.float32)] * 11,
}


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "checkpoints")


def save(checkpoints: Checkpoints, epoch: int) -> None:
    checkpoints.save(
        Position(epoch, 2, 1.5),
        {kind: [a + epoch for a in group] for kind, group in GROUPS.items()},
    )


def assert_holds(checkpoints: Checkpoints, epoch: int) -> None:
    assert checkpoints.position() == Position(epoch, 2, 1.5)
    loaded = checkpoints.load()
    assert list(loaded) == list(GROUPS)
    for kind, group in GROUPS.items():
        for array, expected in zip(loaded[kind], group, strict=True):
            assert array.dtype == expected.dtype
            np.testing.assert_array_equal(array, expected + epoch)


def test_without_checkpoints_a_training_is_at_its_beginning(checkpoints: Checkpoints) -> None:
    checkpoints.recover()
    assert checkpoints.position() == Position()
    assert checkpoints.load() == {}


def test_a_checkpoint_is_read_back_unchanged_and_the_previous_one_stays(
    checkpoints: Checkpoints,
) -> None:
    save(checkpoints, 1)
    assert not checkpoints.previous.exists()
    save(checkpoints, 2)
    save(checkpoints, 3)
    assert_holds(checkpoints, 3)
    shutil.copy(checkpoints.previous, checkpoints.latest)
    assert_holds(checkpoints, 2)


@pytest.mark.parametrize("length", [0, 10, 700, -1])
def test_a_truncated_checkpoint_is_replaced_by_the_previous_one(
    checkpoints: Checkpoints, length: int
) -> None:
    save(checkpoints, 1)
    save(checkpoints, 2)
    whole = checkpoints.latest.read_bytes()
    checkpoints.latest.write_bytes(whole[:length])
    checkpoints.recover()
    assert_holds(checkpoints, 1)


def test_one_changed_byte_is_detected(checkpoints: Checkpoints) -> None:
    save(checkpoints, 1)
    save(checkpoints, 2)
    data = bytearray(checkpoints.latest.read_bytes())
    at = data.index((GROUPS["weights"][0] + 2).tobytes()) + 9
    data[at] ^= 1
    checkpoints.latest.write_bytes(bytes(data))
    checkpoints.recover()
    assert_holds(checkpoints, 1)


def test_a_kill_between_the_two_renames_loses_nothing(checkpoints: Checkpoints) -> None:
    save(checkpoints, 1)
    os.replace(checkpoints.latest, checkpoints.previous)
    checkpoints.recover()
    assert_holds(checkpoints, 1)


def test_without_a_readable_checkpoint_resuming_is_an_error(checkpoints: Checkpoints) -> None:
    save(checkpoints, 1)
    checkpoints.latest.write_bytes(b"")
    with fails(RunError, "damaged-file", checkpoints.latest):
        checkpoints.recover()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_does_not_damage_the_latest_checkpoint(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(checkpoints, 1)
    monkeypatch.setattr(atomic, "together", on_full_disk())
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        save(checkpoints, 2)
    assert_holds(checkpoints, 1)
    assert [path.name for path in checkpoints.latest.parent.iterdir()] == ["latest.npz"]


def test_disk_space_is_checked_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, model = 40_000_000, 10_000_000
    monkeypatch.setattr(
        checkpoint.shutil, "disk_usage", lambda folder: SimpleNamespace(free=150_000_000)
    )
    check_disk_space(tmp_path, state, model)
    with fails(RunError, "no-space", tmp_path, "0.15 GB", "--resume"):
        check_disk_space(tmp_path, state, model + 1)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "latest.npz").write_bytes(bytes(10))
    check_disk_space(tmp_path, state, model + 1)  # existing files are replaced
