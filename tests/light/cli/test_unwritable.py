"""A file that cannot be read or written ends a command with one sentence and status 2.

Closed standard streams do not stop it.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from segkit.cli import main
from segkit.inference.load import LoadedRun
from segkit.io.failures import sentence
from segkit.run import Run
from tests.helpers.draws import task_of
from tests.helpers.errors import holds
from tests.helpers.stand_in import config_of, network

pytestmark = pytest.mark.long

WRITTEN = {
    "inspect --json": ["inspect", "images", "masks", "--json"],
    "inspect --html": ["inspect", "images", "masks", "--html"],
    "inspect --pictures": ["inspect", "images", "masks", "--pictures"],
    "convert --out": ["convert", "images", "masks", "--out"],
    "train --run": ["train", "a.yaml", "--run"],
    "compare --out": [
        "compare",
        "a.yaml",
        "--vary",
        "train.batch_size=1,2",
        "--minutes",
        "1",
        "--out",
    ],
    "evaluate --out": ["evaluate", "run", "--images", "images", "--masks", "masks", "--out"],
    "evaluate --table": ["evaluate", "run", "--images", "images", "--masks", "masks", "--table"],
    "predict --out": ["predict", "run", "images", "--out"],
}
TASK = task_of("binary")
NOWHERE = {
    "below a file": ("file/sub/x.png", "file"),
    "below /proc": ("/proc/nowhere/x.png", "/proc/nowhere"),
    "below /sys": ("/sys/nowhere/x.png", "/sys/nowhere"),
    "a name that is too long": (f"{'n' * 300}.png", "n" * 300 + ".png"),
}
NUMBERS = (
    "EIO",
    "EROFS",
    "EACCES",
    "EPERM",
    "EFBIG",
    "ENOSPC",
    "EDQUOT",
    "ENAMETOOLONG",
    "EBUSY",
    "ESTALE",
    "ENOLCK",
)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Change to a folder with data, and restore the SIGTERM handler that `main` replaces."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for folder in ("images", "masks", "folder.png"):
        (tmp_path / folder).mkdir()
    for number in range(4):
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).save(f"images/{number}.png")
        Image.fromarray(rng.integers(0, 2, (16, 16), np.uint8)).save(f"masks/{number}.png")
    (tmp_path / "file").write_text("a file")
    task = {"kind": "binary", "classes": ["object"]}
    settings = {"task": task, "data": {"images": "images", "masks": "masks", "validation": 0.5}}
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(settings))
    Run(tmp_path / "run").create(config_of(TASK))
    (tmp_path / "run" / "model.keras").touch()
    opened = LoadedRun(lambda batch: network(batch, TASK), config_of(TASK), "a stand-in")
    monkeypatch.setattr("segkit.inference.load.open_run", lambda *asked: opened)
    yield tmp_path
    signal.signal(signal.SIGTERM, before)


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line of a command that fails with status 2."""
    assert main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0] in ("error", "stopped") for line in lines] == [True], lines
    return lines[0]


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.parent.name not in ("images", "masks"))


@pytest.mark.parametrize("place", NOWHERE)
@pytest.mark.parametrize("command", WRITTEN)
def test_a_path_where_nothing_can_be_written_is_named(
    data: Path, capsys: pytest.CaptureFixture[str], command: str, place: str
) -> None:
    before = files_in(data)
    path, named = NOWHERE[place]
    told = error_of([*WRITTEN[command], path], capsys)
    assert named.split("/")[-1] in told
    assert files_in(data) == before


@pytest.mark.parametrize("command", [name for name in WRITTEN if name.startswith("inspect")])
def test_a_folder_in_the_place_of_a_file_is_named(
    data: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    told = error_of([*WRITTEN[command], "folder.png"], capsys)
    assert holds(told, "folder.png")
    assert holds(told, os.strerror(errno.EISDIR))


@pytest.mark.parametrize("number", NUMBERS)
def test_every_system_error_is_one_sentence_with_the_file_to_be_written(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    code = getattr(errno, number)

    def refuse(source: Path, target: Path) -> None:
        raise OSError(code, os.strerror(code), str(source), None, str(target))

    before = files_in(data)
    monkeypatch.setattr(os, "replace", refuse)
    told = error_of([*WRITTEN["inspect --json"], "out.json"], capsys)
    assert holds(told, "out.json")
    assert holds(told, os.strerror(code))
    assert ".part" not in told
    assert files_in(data) == before


def test_a_read_that_fails_in_the_middle_is_one_sentence(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("segkit.inspection.inspect.inspect", broken)
    assert holds(error_of(["inspect", "images", "masks"], capsys), os.strerror(errno.EIO))


def test_an_error_without_a_number_is_one_line() -> None:
    told = sentence(OSError("encoder error -2\nwhen writing image file"))
    assert "encoder error -2 when writing image file" in told
    assert "\n" not in told


def run(*arguments: str, shell: str, limit: str = "") -> subprocess.CompletedProcess[str]:
    """Run segkit in a shell, with what follows the command in `shell`."""
    command = f'{limit} "$@" {shell}'
    python = [sys.executable, "-m", "segkit", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.run(
        ["bash", "-c", command, "bash", *python],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )


@pytest.mark.long
@pytest.mark.parametrize(
    "shell", [">&-", ">&- 2>&- <&-", "| head -c 1; exit ${PIPESTATUS[0]}", "2>&1 | true"]
)
def test_a_command_works_with_a_closed_standard_output(data: Path, shell: str) -> None:
    done = run("inspect", "images", "masks", "--json", "out.json", shell=shell)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"verdict"' in (data / "out.json").read_text()


@pytest.mark.long
@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no /dev/full")
def test_a_full_disk_below_standard_output_is_an_error(data: Path) -> None:
    done = run("inspect", "images", "masks", shell="> /dev/full")
    assert done.returncode == 2
    assert os.strerror(errno.ENOSPC) in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.long
def test_a_file_that_would_be_larger_than_allowed_is_an_error(data: Path) -> None:
    done = run("inspect", "images", "masks", "--json", "out.json", shell="", limit="ulimit -f 0;")
    assert done.returncode == 2
    assert os.strerror(errno.EFBIG) in done.stderr
    assert "out.json" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (data / "out.json").exists()
