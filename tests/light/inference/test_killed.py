"""A prediction killed at any moment leaves complete files, and a rerun completes the folder.

SEGKIT_KILLS sets how often each is killed: 4 here, 50 for the long form.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from pathlib import Path

import numpy as np
import pytest

from segkit.inference.outputs.summary import read_summary, row_of
from segkit.inference.outputs.writer import Outputs, Results
from segkit.io.atomic import atomic, remove_leftovers, together
from segkit.io.masks import mask_paths
from tests.helpers.disks import leave_over
from tests.helpers.draws import task_of
from tests.helpers.masks_read import read_back
from tests.helpers.predicting import FORMATS, predict
from tests.helpers.stand_in import config_of, write_pictures
from tests.helpers.visible_files import visible

KILLS = int(os.environ.get("SEGKIT_KILLS", "4"))
SIZES = {("" if i % 3 else "sub/") + f"i{i:02}": (24 + i, 30) for i in range(12)}


def check_whole(root: Path, results: Results, whole: list[dict[str, bytes]]) -> None:
    """Each file is that of an undisturbed run; with the mask all files of an image exist."""
    found = visible(root)
    for name in SIZES:
        paths = [path.relative_to(root).as_posix() for path in results.paths(name)]
        for path in paths:
            assert found.get(path) in (None, whole[0][path], whole[1][path]), (
                f"{path} is half-written"
            )
        if paths[-1] in found:
            models = [[found.get(path) == run[path] for path in paths] for run in whole]
            assert any(map(all, models)), f"{name} is not whole"


@pytest.mark.long
@pytest.mark.parametrize("kind", ["binary", "multilabel", "multiclass"])
def test_after_kills_at_random_moments_no_file_is_partial_and_reruns_complete(
    tmp_path: Path, kind: str
) -> None:
    write_pictures(tmp_path / "in", SIZES)
    processes, moments, whole = multiprocessing.get_context("forkserver"), random.Random(0), []
    processes.set_forkserver_preload(["tests.helpers.predicting"])
    for model in (0, 1):
        began = (
            time.monotonic()
        )  # with the start of the process, which is long where another test has begun the server
        out = tmp_path / f"whole{model}" / "out"
        process = processes.Process(
            target=predict, args=(tmp_path / "in", out, kind, model, False, 0.002)
        )
        process.start()
        process.join()
        seconds = time.monotonic() - began
        whole.append(visible(out.parent))
    root = tmp_path / "killed"
    results = Results(
        config_of(task_of(kind)),
        Outputs(root / "out", overlays=True, probabilities="npy", formats=FORMATS),
    )
    for turn in range(KILLS):
        process = processes.Process(
            target=predict,
            args=(tmp_path / "in", root / "out", kind, turn % 2, turn % 4 == 2, 0.002),
        )
        process.start()
        process.join(moments.uniform(0.05, 1.1) * seconds)
        process.kill()
        process.join()
        assert process.exitcode in (0, -9)
        check_whole(root, results, whole)
    assert process.pid
    leave_over(root / "out-summary.csv", process.pid)
    predict(tmp_path / "in", root / "out", kind, skip_existing=True)
    check_whole(root, results, whole)
    assert all(results.is_done(name) for name in SIZES)
    check_summary(root, kind)
    assert not list(root.rglob(".*"))
    predict(tmp_path / "in", root / "out", kind)
    assert visible(root) == whole[0]


def check_summary(root: Path, kind: str) -> None:
    """The table tells what the masks hold, whichever model's they are."""
    task = task_of(kind)
    rows = read_summary(task, root / "out-summary.csv")
    assert set(rows) == set(SIZES)
    for name, row in rows.items():
        assert row == row_of(task, name, read_back(task, mask_paths(task, root / "out", name)))


class Killed(BaseException):
    """Ends a write at a given step, as a kill does."""


@pytest.mark.parametrize("steps", range(8))
def test_files_written_together_are_never_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    """After any number of renames, the last file exists only if all files belong together."""
    paths = [tmp_path / name for name in ("a", "b", "c")]
    left = [100]

    def count_down(function: object) -> object:
        def counted(*arguments: object, **named: object) -> object:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return function(*arguments, **named)  # type: ignore[operator]

        return counted

    def write(text: str) -> None:
        with together(paths) as temporaries:
            for path in temporaries:
                path.write_text(text)

    write("old")
    monkeypatch.setattr(os, "replace", count_down(os.replace))
    monkeypatch.setattr(Path, "unlink", count_down(Path.unlink))
    left[0] = steps
    try:
        write("new")
    except Killed:
        assert steps < 7  # one removal, three renames, three temporary files to remove
    else:
        assert steps >= 7
    found = {path.read_text() for path in paths if path.exists()}
    assert not paths[-1].exists() or (len(found) == 1 and all(path.exists() for path in paths))


def test_leftovers_are_removed_and_files_in_use_stay(tmp_path: Path) -> None:
    gone = multiprocessing.get_context("forkserver").Process(target=int)
    gone.start()
    gone.join()
    own = leave_over(tmp_path / "a.png", os.getpid()).name
    names = {
        own: True,
        own.replace(f".{os.getpid()}.", f".{gone.pid}."): False,  # this machine's, dead
        f".00112233.elsewhere-1.{gone.pid}.part.png": True,  # another machine's, young
        "a.part.png": True,
        ".0011223.part.png": True,
    }
    (tmp_path / "sub").mkdir()
    for folder in (tmp_path, tmp_path / "sub"):
        for name in names:
            (folder / name).touch()
    remove_leftovers(tmp_path)
    remaining = {name for name, stays in names.items() if stays}
    for folder in (tmp_path, tmp_path / "sub"):
        assert {path.name for path in folder.iterdir() if path.is_file()} == remaining
    old = tmp_path / f".00112233.elsewhere-1.{gone.pid}.part.png"
    os.utime(old, (1, 1))
    remove_leftovers(tmp_path)
    assert not old.exists()


def test_a_temporary_name_fits_beside_the_longest_name(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".png")
    with atomic(path) as temporary:
        np.savetxt(temporary, [1])
    assert path.is_file()
