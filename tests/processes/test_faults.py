"""Training, tuning and exporting with faults at file-changing calls: no traceback, no partial file.

SEGKIT_FAULTS=all tries every call, and compares settings, too: an hour or so. Otherwise two calls
of each command are tried.
"""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from segkit.run.exports import Exported, export_folders
from tests.helpers.faults import faults, run
from tests.helpers.tiny_runs import tiny_config
from tests.helpers.visible_files import visible

__all__ = ["faults"]
ALL = os.environ.get("SEGKIT_FAULTS") == "all"
WAYS = (("crash", 0), ("errfrom", errno.ENOSPC), ("torn", 0), ("err", errno.EIO))
TRAIN = ["train", "binary.yaml", "--run", "out/run"]
TUNE = ["tune", "out/run"]
EXPORT = ["export", "out/run", "--format", "onnx"]
COMPARE = [
    "compare",
    "binary.yaml",
    "--vary",
    "train.batch_size=2,4",
    "--minutes",
    "0.05",
    "--seeds",
    "1",
]


def segkit(
    library: Path, folder: Path, command: list[str], **fault: object
) -> subprocess.CompletedProcess[str]:
    return run(
        [sys.executable, "-m", "segkit", *command], library, folder, prefix=folder / "out", **fault
    )


def chosen(calls: int) -> list[tuple[int, str, int]]:
    """Return the faults: (call, mode, errno)."""
    places = range(1, calls + 1) if ALL else (calls // 3, calls - calls // 4)
    return [(at, *WAYS[number % len(WAYS)]) for number, at in enumerate(places)]


def check_whole(folder: Path) -> None:
    """Every file under a final name is whole."""
    for name in visible(folder):
        path = folder / name
        if path.suffix in (".keras", ".npz"):
            with zipfile.ZipFile(path) as archive:
                assert archive.testzip() is None
        elif path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.suffix == ".yaml":
            assert isinstance(yaml.safe_load(path.read_bytes()), dict)
    for export in export_folders(folder / "run"):
        Exported.read(export).check()


def counted(log: Path) -> int:
    return len(log.read_text().splitlines())


@pytest.fixture(scope="module")
def trained(faults: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A folder with a finished run in out/run, and how many calls its training made."""
    folder = tmp_path_factory.mktemp("trained")
    tiny_config(folder, "binary", epochs=2)
    done = segkit(faults, folder, TRAIN, mode="count", log=folder / "log")
    assert done.returncode == 0, done.stderr
    return folder, counted(folder / "log")


def check_ended(done: subprocess.CompletedProcess[str], mode: str) -> None:
    assert "Traceback" not in done.stderr, done.stderr
    if mode in ("crash", "torn"):
        assert done.returncode in (-9, 0), done.stderr
    else:
        assert done.returncode in (0, 2), done.stderr
        assert done.returncode == 0 or "error: " in done.stderr


def test_a_training_with_a_fault_is_complete_and_goes_on(
    faults: Path, trained: tuple[Path, int], tmp_path: Path
) -> None:
    for at, mode, number in chosen(trained[1]):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        tiny_config(tmp_path, "binary", epochs=2)
        done = segkit(faults, tmp_path, TRAIN, mode=mode, at=at, errno=number)
        check_ended(done, mode)
        check_whole(tmp_path / "out")
        begun = (tmp_path / "out" / "run" / "config.yaml").is_file()
        again = segkit(faults, tmp_path, [*TRAIN, *(["--resume"] if begun else [])], mode="off")
        assert again.returncode == 0, again.stderr
        with (tmp_path / "out" / "run" / "history.csv").open() as stream:
            assert [row["epoch"] for row in csv.DictReader(stream)] == ["0", "1"]
        assert (tmp_path / "out" / "run" / "scores.json").is_file()


@pytest.mark.parametrize("command", [TUNE, EXPORT], ids=["tune", "export"])
def test_tuning_and_exporting_with_a_fault_leave_the_old_state_or_the_new_one(
    faults: Path, trained: tuple[Path, int], tmp_path: Path, command: list[str]
) -> None:
    before = Path(shutil.copytree(trained[0] / "out", tmp_path / "before" / "out"))
    old = visible(before)
    done = segkit(faults, tmp_path / "before", command, mode="count", log=tmp_path / "log")
    assert done.returncode == 0, done.stderr
    new = set(visible(before))
    assert new > set(old)
    for at, mode, number in chosen(counted(tmp_path / "log")):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        shutil.copytree(trained[0] / "out", tmp_path / "out")
        check_ended(segkit(faults, tmp_path, command, mode=mode, at=at, errno=number), mode)
        check_whole(tmp_path / "out")
        found = visible(tmp_path / "out")
        assert set(found) in (set(old), new)
        assert {path: found[path] for path in old} == old


@pytest.mark.skipif(not ALL, reason="takes long: SEGKIT_FAULTS=all")
def test_a_comparison_with_a_fault_goes_on(faults: Path, tmp_path: Path) -> None:
    for at, mode, number in chosen(60)[::5]:
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        tiny_config(tmp_path, "binary")
        command = [*COMPARE, "--out", "out/compared"]
        done = segkit(faults, tmp_path, command, mode=mode, at=at, errno=number)
        assert "Traceback" not in done.stderr, done.stderr
        check_whole(tmp_path / "out")
        again = segkit(faults, tmp_path, command, mode="off")
        assert again.returncode == 0, again.stderr
        assert (tmp_path / "out" / "compared" / "table.md").is_file()
