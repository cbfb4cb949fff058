"""Faults at each file-changing call of every command that writes.

Each leaves the old state or the new one, and no traceback.

SEGKIT_FAULTS=all has every call fail in every way; otherwise each call fails in one way, in turn.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.helpers.fault_driver import TASK
from tests.helpers.faults import faults, run
from tests.helpers.stand_in import config_of, picture

__all__ = ["faults"]
ALL = os.environ.get("SEGKIT_FAULTS") == "all"
WAYS = (
    ("crash", 0),
    ("torn", 0),
    ("err", errno.ENOSPC),
    ("err", errno.EIO),
    ("errfrom", errno.ENOSPC),
)
COMMANDS = {
    "inspect": [
        "inspect",
        "images",
        "masks",
        "--json",
        "a.json",
        "--html",
        "a.html",
        "--pictures",
        "a.png",
    ],
    "plan": ["plan", "images", "masks", "--out", "a.yaml"],
    "convert": ["convert", "images", "masks", "--out", "out/data"],
    "evaluate": ["evaluate", "run", "--images", "images", "--masks", "masks", "--out", "a.json"],
    "predict": ["predict", "run", "images", "--out", "out/masks"],
    "predict everything": [
        "predict",
        "run",
        "images",
        "--out",
        "out/masks",
        "--overlay",
        "--probabilities",
        "npy",
    ],
}
COMMANDS["predict everything"] += [
    "--uncertainty",
    "--format",
    "coco",
    "--format",
    "geojson",
    "--format",
    "instances",
]
WHOLE = ("convert",)
"""Commands whose result is one folder: it is there whole or not at all."""
NOT_AGAIN = ("convert", "plan")
"""Commands that refuse to replace what a call before has finished."""
TABLES = ("out/masks-summary.csv", "out/masks-instances.csv", "out/masks-coco/annotations.json")
"""Tables of all images that are there: without an image that failed they are others."""


def fill(folder: Path) -> None:
    """Write images, masks and a run, and older results where inspect and evaluate write."""
    for name in ("images", "masks", "run"):
        (folder / name).mkdir(parents=True)
    for number in range(2):
        Image.fromarray(picture(number, 16, 16 + number)).save(folder / "images" / f"{number}.png")
        mask = np.zeros((16, 16 + number), np.uint8)
        mask[4:12, 3 : 8 + number] = 1
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
    (folder / "run" / "config.yaml").write_text(config_of(TASK).as_yaml())
    (folder / "run" / "model.keras").touch()
    for name in ("a.json", "a.html", "a.png"):
        (folder / name).write_text('"older"')


def outcomes(
    library: Path, folder: Path, command: str, ways: list[tuple[str, int, int]]
) -> list[dict[str, Any]]:
    request = {
        "arguments": COMMANDS.get(command, ["--help"]),
        "before": str(folder / "before"),
        "work": str(folder / "work"),
        "faults": ways,
    }
    command = [sys.executable, "-m", "tests.helpers.fault_driver", json.dumps(request)]
    done = run(command, library, folder, timeout=3600)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def chosen(calls: int) -> list[tuple[str, int, int]]:
    """Return the faults: each call in every way, or in one way, in turn."""
    places = range(1, calls + 1)
    if ALL:
        return [(mode, at, number) for at in places for mode, number in WAYS]
    return [(WAYS[at % len(WAYS)][0], at, WAYS[at % len(WAYS)][1]) for at in places]


@pytest.mark.long
@pytest.mark.parametrize("command", COMMANDS)
def test_a_fault_at_any_call_leaves_the_old_state_or_the_new_one(
    faults: Path, tmp_path: Path, command: str
) -> None:
    fill(tmp_path / "before")
    (undisturbed,) = outcomes(faults, tmp_path, command, [("count", 0, 0)])
    assert undisturbed["status"] in (0, 1), undisturbed["stderr"]
    assert undisturbed["hidden"] == []
    assert undisturbed["calls"] >= 4
    (old,) = outcomes(faults, tmp_path, "nothing", [("count", 0, 0)])
    ways = chosen(undisturbed["calls"])
    problems = []
    for way, found in zip(ways, outcomes(faults, tmp_path, command, ways), strict=True):
        try:
            check(command, way, found, old["files"], undisturbed)
        except AssertionError as problem:
            problems.append(str(problem))
    assert problems == []


def check(
    command: str,
    way: tuple[str, int, int],
    found: dict[str, Any],
    old: dict[str, str],
    new: dict[str, Any],
) -> None:
    told = f"{command} {way}: {found['stderr']}"
    assert "Traceback" not in found["stderr"], told
    assert found["broken"] == [], told
    for path, digest in found["files"].items():
        if path not in TABLES:
            assert digest in (old.get(path), new["files"].get(path)), (
                f"{told} {path} is half-written"
            )
    if command in WHOLE:
        assert found["files"] in (old, new["files"]), told
    if way[0] in ("crash", "torn"):
        assert found["status"] in (-9, new["status"]), told
        if found["files"] == new["files"] and command in NOT_AGAIN:
            return
        assert found["again"]["status"] == new["status"], told + found["again"]["stderr"]
        assert found["again"]["files"] == new["files"], told
        assert found["again"]["hidden"] == [], told
    elif found["status"] == new["status"]:
        assert found["files"] == new["files"], told
    else:
        assert found["status"] in (1, 2), told
        assert found["stderr"].strip(), told
