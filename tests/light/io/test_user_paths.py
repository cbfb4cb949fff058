"""Files that a user names: a link is followed, and a device or a pipe is written to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segkit.io.atomic import named_by_user, write_text_for_user
from segkit.io.files import make_folder
from segkit.io.images import write_picture, write_picture_for_user

WRITE = (
    "import sys; from pathlib import Path; "
    "from segkit.io.atomic import write_text_for_user as write; "
)


def run(code: str, **settings: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WRITE + code], check=True, text=True, **settings)  # type: ignore[call-overload, no-any-return]


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    for name, before in (("there", "old"), ("not yet", None)):
        target, link = tmp_path / "store" / name, tmp_path / f"link to {name}"
        if before is not None:
            target.write_text(before)
        link.symlink_to(target)
        write_text_for_user(link, "new")
        assert link.is_symlink()
        assert target.read_text() == "new"
    write_picture_for_user(tmp_path / "link to there", np.zeros((2, 2, 1), np.uint8))
    with Image.open(tmp_path / "store" / "there") as picture:
        assert (picture.format, picture.size) == ("PNG", (2, 2))
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == ["not yet", "there"]


def test_after_an_error_the_file_behind_a_link_is_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("old")
    (tmp_path / "link").symlink_to("there")

    def fail_half_way(temporary: Path) -> None:
        temporary.write_text("new")
        raise ValueError("half")

    with pytest.raises(ValueError, match="half"), named_by_user(tmp_path / "link") as temporary:
        fail_half_way(temporary)
    assert (tmp_path / "link").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes that have names")
def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    received: list[str] = []
    reader = threading.Thread(
        target=lambda: received.append((tmp_path / "pipe").read_text()), daemon=True
    )
    reader.start()
    write_text_for_user(tmp_path / "pipe", "x" * 200_000)
    reader.join(10)
    assert received == ["x" * 200_000]
    assert (tmp_path / "pipe").is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.skipif(not Path("/dev/null").is_char_device(), reason="a system without devices")
def test_a_device_stays_one() -> None:
    write_text_for_user(Path("/dev/null"), "x")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(OSError, match="space"):
        write_text_for_user(Path("/dev/full"), "x")
    assert Path("/dev/full").is_char_device()


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="a system without /dev/stdout")
def test_standard_output_gets_what_is_meant_for_it(tmp_path: Path) -> None:
    code = "print('before'); write(Path('/dev/stdout'), 'text\\n'); print('after')"
    assert run(code, stdout=subprocess.PIPE).stdout == "before\ntext\nafter\n"
    with (tmp_path / "out").open("w") as stream:
        run(code, stdout=stream)
    assert (tmp_path / "out").read_text() == "before\ntext\nafter\n"
    with (tmp_path / "same").open("w") as stream:
        run(
            f"print('before'); write(Path({str(tmp_path / 'same')!r}), 'text\\n'); print('after')",
            stdout=stream,
        )
    assert (tmp_path / "same").read_text() == "before\ntext\nafter\n"


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="a system without /dev/stdout")
def test_inspect_writes_its_json_to_standard_output(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        for number in range(2):
            value = 255 if folder == "masks" else 100 + number
            write_picture(
                tmp_path / folder / f"{number}.png", np.eye(8, dtype=np.uint8)[..., None] * value
            )
    command = [
        sys.executable,
        "-m",
        "segkit",
        "inspect",
        "images",
        "masks",
        "--json",
        "/dev/stdout",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    report, _ = json.JSONDecoder().raw_decode(done.stdout[done.stdout.index("{") :])
    assert report["samples"]["train"] == 2
    assert done.stderr == ""


def test_a_folder_is_made_where_a_link_leads(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "store" / "runs")
    make_folder(tmp_path / "link")
    make_folder(tmp_path / "link")
    assert (tmp_path / "store" / "runs").is_dir()
    assert (tmp_path / "link").is_symlink()
