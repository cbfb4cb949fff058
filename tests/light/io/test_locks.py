"""Two processes never hold one lock, and the lock of a dead process is taken over."""

from __future__ import annotations

import errno
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TextIO

import pytest

from segkit import DataError, RunError
from segkit.errors import SegkitError
from segkit.io import atomic, locks
from segkit.io.locks import STALE, lock_or_fail, renewable_lock, wait_for_lock
from tests.helpers.errors import fails

Lock = Callable[[Path], AbstractContextManager[Any]]
PROCESSES = multiprocessing.get_context("forkserver")


def lock_of_sleeper(path: Path) -> AbstractContextManager[None]:
    return lock_or_fail(path, "sleeps")


def hold(lock: Lock, path: Path) -> None:
    with lock(path):
        path.with_name("held").touch()
        time.sleep(600)


@pytest.mark.parametrize(
    ("lock", "error", "holder_in_message"),
    [(lock_of_sleeper, RunError, "sleeps"), (renewable_lock, DataError, "{pid}@")],
    ids=["operating system", "renewable"],
)
def test_the_lock_of_a_killed_process_is_taken_over_at_once(
    tmp_path: Path, lock: Lock, error: type[SegkitError], holder_in_message: str
) -> None:
    path = tmp_path / ".lock"
    path.touch()  # an empty file is no lock
    holder = PROCESSES.Process(target=hold, args=(lock, path), daemon=True)
    holder.start()
    while not (tmp_path / "held").exists():
        time.sleep(0.005)
    with fails(error, "busy", path, holder_in_message.format(pid=holder.pid)), lock(path):
        pass
    assert path.exists()
    holder.kill()
    holder.join()
    with lock(path):
        assert path.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["held"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
@pytest.mark.parametrize("lock", [lock_of_sleeper, wait_for_lock, renewable_lock])
def test_on_a_disk_without_locks_the_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lock: Lock, number: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(fcntl, "flock", refuse)
    entered = False
    with lock(tmp_path / ".lock"):
        entered = True
    assert entered
    assert not list(tmp_path.iterdir())


def test_on_a_disk_without_locks_two_processes_never_hold_a_renewable_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", refuse)
    path = tmp_path / ".lock"
    with renewable_lock(path), fails(DataError, "busy", path), renewable_lock(path):
        pass


def wait_and_hold(folder: Path, name: str) -> None:
    """Hold the lock in its own process, from the file "NAME is in" to "NAME may end"."""
    (folder / f"{name} comes").touch()
    with wait_for_lock(folder / ".lock"):
        (folder / f"{name} is in").touch()
        while not (folder / f"{name} may end").exists():
            time.sleep(0.005)


@pytest.mark.long
@pytest.mark.parametrize("killed", [False, True])
def test_a_process_waits_for_the_one_before_even_if_that_is_killed(
    tmp_path: Path, killed: bool
) -> None:
    def wait_for(file: str) -> None:
        while not (tmp_path / file).exists():
            time.sleep(0.005)

    names = ("one", "two", "three")
    queue = [PROCESSES.Process(target=wait_and_hold, args=(tmp_path, name)) for name in names]
    for name, process, before in zip(names, queue, (None, *names), strict=False):
        process.start()
        wait_for(f"{name} comes")
        if before:
            process.join(0.3)
            assert not (tmp_path / f"{name} is in").exists()
            holder = queue[names.index(before)]
            if killed:
                holder.kill()
            else:
                (tmp_path / f"{before} may end").touch()
            holder.join()
        wait_for(f"{name} is in")
    (tmp_path / "three may end").touch()
    queue[-1].join()
    assert queue[-1].exitcode == 0
    assert not (tmp_path / ".lock").exists()


def test_the_removal_of_the_lock_file_lets_only_one_in(tmp_path: Path) -> None:
    """A thread that waits has opened a file that the holder removes; the next creates another."""
    inside: list[int] = []
    most = []

    def take_turns() -> None:
        for _ in range(6):
            with wait_for_lock(tmp_path / ".lock"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()

    threads = [threading.Thread(target=take_turns) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 24


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no /dev/full")
def test_a_lock_that_cannot_be_signed_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ".a.lock"
    sign = locks._sign

    def on_a_full_disk(path: Path, stream: TextIO) -> None:
        with Path("/dev/full").open("w") as full:
            sign(path, full)

    monkeypatch.setattr(locks, "_sign", on_a_full_disk)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)), renewable_lock(path):
        pass
    assert not path.exists()


def test_the_lock_of_another_machine_is_taken_over_when_it_is_no_longer_renewed(
    tmp_path: Path,
) -> None:
    path = tmp_path / ".a.lock"
    elsewhere = "17@elsewhere-1"
    path.write_text(elsewhere)
    with fails(DataError, "busy", path, f"({elsewhere})"), renewable_lock(path):
        pass
    assert path.read_text() == elsewhere
    long_ago = time.time() - STALE - 1
    os.utime(path, (long_ago, long_ago))
    with renewable_lock(path) as renew:
        assert path.read_text() == atomic.owner()
        os.utime(path, (1, 1))
        renew()
        assert path.stat().st_mtime > time.time() - 60


def test_a_lock_that_another_process_took_over_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / ".a.lock"
    with renewable_lock(path) as renew:
        path.write_text("17@elsewhere-1")
    assert path.exists()
    path.unlink()
    renew()  # does nothing
