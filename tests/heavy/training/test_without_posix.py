"""plan, train and predict run where Python has no POSIX modules and no /proc, as on Windows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.stand_in import write_pictures

ROOT = Path(__file__).parents[3]


@pytest.mark.one_backend
def test_plan_train_and_predict_need_no_posix(tmp_path: Path) -> None:
    write_pictures(tmp_path / "in", {f"i{number}": (32, 40) for number in range(12)})

    def segkit(*arguments: object) -> None:
        command = [sys.executable, "-m", "tests.helpers.without_posix", *map(str, arguments)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    tiny = [
        "train.epochs=1",
        "data.count=24",
        "data.size=[32, 32]",
        "train.crop=[32, 32]",
        "model.width=4",
    ]
    changes = [word for setting in tiny for word in ("--set", setting)]
    segkit("demo", "--out", tmp_path / "demo", *changes)
    assert (tmp_path / "demo" / "scores.json").is_file()
    data = tmp_path / "demo" / "test"
    plan = tmp_path / "plan.yaml"
    segkit("plan", data / "images", data / "masks", "--out", plan, "--minutes", 1)
    assert plan.is_file()
    segkit(
        "predict",
        tmp_path / "demo" / "run",
        tmp_path / "in",
        "--out",
        tmp_path / "masks",
        "--memory",
        "4GB",
    )
    assert len(list((tmp_path / "masks").glob("*.png"))) == 12
