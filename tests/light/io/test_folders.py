"""Folders are written complete or not at all, and run folders are locked."""

from __future__ import annotations

import errno
import multiprocessing
import os
from pathlib import Path

import pytest

from segkit import RunError
from segkit.io.folders import put_back, whole_folder
from segkit.run import Run
from tests.helpers.errors import fails
from tests.helpers.exports_made import CONFIG


def fill(folder: Path, text: str) -> None:
    for name in ("a", "sub/b"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


WHOLE = {"a": "new", "sub/b": "new"}


@pytest.mark.parametrize("before", ["nothing", "an empty folder"])
def test_a_folder_is_there_once_it_is_whole(tmp_path: Path, before: str) -> None:
    out = tmp_path / "sub" / "out"
    if before != "nothing":
        out.mkdir(parents=True)
    with whole_folder(out) as folder:
        fill(folder, "new")
        assert not out.exists() or not list(out.iterdir())
    assert content(out) == WHOLE
    assert list(out.parent.iterdir()) == [out]


def test_an_older_folder_is_replaced_only_on_request(tmp_path: Path) -> None:
    out = tmp_path / "out"
    fill_in(out)
    with fails(RunError, "exists-already", out), whole_folder(out) as folder:
        fill(folder, "new")
    assert content(out) == {"old": "old"}
    with whole_folder(out, replace=True) as folder:
        fill(folder, "new")
    assert content(out) == WHOLE
    assert list(tmp_path.iterdir()) == [out]


def fill_in(out: Path) -> None:
    out.mkdir()
    (out / "old").write_text("old")


def test_after_an_error_only_the_older_folder_is_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    fill_in(out)

    def fail() -> None:
        with whole_folder(out, replace=True) as folder:
            fill(folder, "new")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "a"))

    with pytest.raises(OSError, match="out/a") as problem:
        fail()
    assert problem.value.filename == str(out / "a")
    assert content(out) == {"old": "old"}
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("fails_at", [1, 2])
def test_an_older_folder_that_cannot_be_replaced_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    out, replace, calls = tmp_path / "out", os.replace, []
    fill_in(out)

    def refused(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == fails_at:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(source))
        replace(source, target)

    monkeypatch.setattr(os, "replace", refused)
    with (
        pytest.raises(OSError, match=os.strerror(errno.EIO)),
        whole_folder(out, replace=True) as folder,
    ):
        fill(folder, "new")
    assert content(out) == {"old": "old"}
    assert list(tmp_path.iterdir()) == [out]


def killed_while(out: Path, step: str) -> None:
    """Write a folder, and be killed while it is filled or between the two renames."""
    replace = os.replace

    def die(source: Path, target: Path) -> None:
        replace(source, target)
        os.kill(os.getpid(), 9)

    if step == "renaming":
        os.replace = die
    with whole_folder(out, replace=True) as folder:
        fill(folder, "half")
        if step == "filling":
            os.kill(os.getpid(), 9)


@pytest.mark.parametrize("step", ["filling", "renaming"])
def test_the_files_of_a_killed_process_are_removed_and_the_older_folder_is_restored(
    tmp_path: Path, step: str
) -> None:
    out = tmp_path / "out"
    fill_in(out)
    process = multiprocessing.get_context("forkserver").Process(
        target=killed_while, args=(out, step)
    )
    process.start()
    process.join()
    assert process.exitcode == -9
    put_back(tmp_path)
    assert content(out) == {"old": "old"}
    with whole_folder(out, replace=True) as folder:
        fill(folder, "new")
    assert content(out) == WHOLE
    assert list(tmp_path.iterdir()) == [out]


def test_two_processes_do_not_write_one_folder(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "out") as folder:
        fill(folder, "new")
        with fails(RunError, "busy", tmp_path / "out"), whole_folder(tmp_path / "out"):
            pass
        put_back(tmp_path)
    assert content(tmp_path / "out") == WHOLE


def test_two_trainings_into_one_folder(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    with run.training():
        run.require_empty()  # the lock alone is no run
        run.create(CONFIG)
        with fails(RunError, "busy", run.path), Run(run.path).training():
            pass
    assert not run.lock.exists()
    with fails(RunError, "exists-already", run.path):
        run.require_empty()


def test_a_training_that_began_nothing_leaves_no_folder(tmp_path: Path) -> None:
    run = Run(tmp_path / "new" / "run")
    with pytest.raises(RuntimeError), run.training():
        raise RuntimeError
    assert not run.path.parent.exists()  # it was made for the run
    run.path.mkdir(parents=True)
    with run.training():
        pass
    assert run.path.exists()


def test_a_run_folder_that_was_removed_is_noticed(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.create(CONFIG)
    run.check_not_removed()
    run.config_file.unlink()
    with fails(RunError, "missing-file", run.config_file):
        run.check_not_removed()
