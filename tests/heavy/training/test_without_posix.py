"""plan, train and predict run where Python has no POSIX modules and no /proc, as on Windows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.stand_in import write_pictures
from tests.helpers.without_posix import NEXT

ROOT = Path(__file__).parents[3]


@pytest.mark.one_backend
def test_plan_train_and_predict_need_no_posix(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", {f"i{number}": (32, 40) for number in range(12)})

    tiny = [
        "train.epochs=1",
        "data.count=24",
        "data.size=[32, 32]",
        "train.crop=[32, 32]",
        "model.width=4",
    ]
    changes = [word for setting in tiny for word in ("--set", setting)]
    demo = tmp_path / "demo"
    plan = tmp_path / "plan.yaml"
    masks = tmp_path / "masks"
    data = demo / "test"
    commands: list[list[object]] = [
        ["demo", "--out", demo, *changes],
        ["plan", data / "images", data / "masks", "--out", plan, "--minutes", 1],
        ["predict", demo / "run", tmp_path / "in", "--out", masks, "--memory", "4GB"],
    ]
    words = [sys.executable, "-m", "tests.helpers.without_posix"]
    for number, command in enumerate(commands):
        if number:
            words.append(NEXT)
        words += map(str, command)
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (demo / "scores.json").is_file()
    assert plan.is_file()
    assert len(list(masks.glob("*.png"))) == 12
