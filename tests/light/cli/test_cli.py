"""The command line where no network is needed: help, mistakes, and `convert`. Mistakes are answered without Keras."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from segkit.cli import main
from segkit.config import read
from segkit.data.sources.folder import in_folders
from segkit.data.sources.source import open_source

ROOT = Path(__file__).parents[3]
TASKS: dict[str, dict[str, Any]] = {
    "binary": {"kind": "binary", "classes": ["disc"]},
    "multilabel": {"kind": "multilabel", "classes": ["disc", "square"]},
    "multiclass": {"kind": "multiclass", "classes": ["background", "disc", "square"]},
}
SHAPES = {"source": "shapes", "count": 8, "size": [24, 32]}
# Runs every command of argv[1] (JSON) and prints what came of each, and which of the slow packages was imported.
WATCHED = """
import contextlib, io, json, sys
from segkit.cli import main
told = {}
for name, arguments in json.loads(sys.argv[1]).items():
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(arguments)
        except SystemExit as end:
            status = end.code
        except Exception as problem:
            status = repr(problem)
    told[name] = [status, out.getvalue(), err.getvalue()]
slow = [name for name in ("keras", "tensorflow", "jax", "albumentations") if name in sys.modules]
print(json.dumps({"told": told, "slow": slow}))
"""
COMPARE = ["compare", "shapes.yaml", "--vary", "train.batch_size=1,2"]
MISTAKES = {
    "no such config": (["train", "gone.yaml"], "gone.yaml: cannot be read"),
    "unknown setting": (["train", "shapes.yaml", "--set", "train.epohcs=1"], "did you mean 'epochs'?"),
    "folder without images": (["train", "folder.yaml"], "there is no such folder"),
    "masks that do not fit": (["train", "folder.yaml", "--set", "data.images=images"], "allowed values are 0 to 1"),
    "masks without images": (
        ["train", "folder.yaml", "--set", "data.images=images", "--set", "data.masks=empty"],
        "without a mask of the same name",
    ),
    "a run that is there": (["train", "shapes.yaml", "--run", "images"], "is never overwritten"),
    "nothing to resume": (["train", "shapes.yaml", "--run", "new", "--resume"], "holds no run to resume"),
    "no run": (["predict", "images", "images", "--out", "out"], "images: not a run folder"),
    "no model": (["evaluate", "begun", "--images", "images", "--masks", "masks"], "has no model.keras yet"),
    "no image to predict": (["predict", "run", "empty", "--out", "out"], "empty: no image; segkit reads .png"),
    "runs without images": (
        ["predict", "run", "run", "--out", "out"],
        "run: is a run folder; after the runs name images",
    ),
    "runs that differ": (["predict", "run", "other", "images", "--out", "out"], "task.kind: binary and multilabel"),
    "scoring runs that differ": (
        ["evaluate", "run", "other", "--images", "images", "--masks", "masks"],
        "run and other: runs that answer together",
    ),
    "views that confuse sides": (
        ["predict", "sided", "images", "--out", "out", "--tta", "flips"],
        "a mirrored view makes left right",
    ),
    "no run to tune": (["tune", "images"], "images: not a run folder"),
    "no such goal": (["tune", "run", "--for", "iou"], "--for: is dice, precision=P or recall=R"),
    "no threshold to tune": (["tune", "exclusive", "--for", "recall=0.9"], "an exclusive task has none"),
    "nothing to tune on": (["tune", "untested"], "data.validation is empty"),
    "broken tuning": (["predict", "broken", "images", "--out", "out"], "tuned.yaml: cannot be read"),
    "nothing to compare": (["compare", "shapes.yaml", "--minutes", "1", "--out", "out"], "one setting alone"),
    "no time to compare": ([*COMPARE, "--minutes", "0", "--out", "out"], "train.minutes"),
    "comparing in a full folder": ([*COMPARE, "--minutes", "1", "--out", "images"], "holds no comparison"),
    "no command": ([], "COMMAND"),
    "no place for masks": (["predict", "run", "images"], "--out"),
    "convert into a full folder": (["convert", "shapes.yaml", "--out", "images"], "is not empty"),
    "convert into a file": (["convert", "shapes.yaml", "--out", "shapes.yaml"], "shapes.yaml"),
}


def fill(folder: Path) -> None:
    for name in ("images", "masks", "empty", "run", "begun"):
        (folder / name).mkdir()
    measured = {"channels": 3, "dtype": "uint8", "mean": [0, 0, 0], "std": [1, 1, 1], "low": 0, "high": 255}
    config = {"task": TASKS["binary"], "data": SHAPES, "input": measured}
    for name in ("shapes.yaml", "run/config.yaml", "begun/config.yaml"):
        (folder / name).write_text(yaml.safe_dump(config))
    (folder / "run" / "model.keras").touch()
    others: dict[str, dict[str, Any]] = {
        "other": {"task": TASKS["multilabel"]},
        "exclusive": {"task": TASKS["multiclass"]},
        "sided": {"task": {"kind": "binary", "classes": ["left eye"]}, "augment": {"flip_horizontal": False}},
        "untested": {"data": {**SHAPES, "validation": 0}},
        "broken": {},
    }
    for name, sections in others.items():
        (folder / name).mkdir()
        (folder / name / "config.yaml").write_text(yaml.safe_dump({**config, **sections}))
        (folder / name / "model.keras").touch()
    (folder / "broken" / "tuned.yaml").write_text("made: {")
    ids = {"kind": "multiclass", "classes": ["background", "a"]}
    (folder / "folder.yaml").write_text(yaml.safe_dump({"task": ids, "data": {"images": "gone", "masks": "masks"}}))
    for i in range(4):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(folder / "images" / f"{i}.png")
        Image.new("L", (8, 8), 7).save(folder / "masks" / f"{i}.png")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("cli")
    fill(folder)
    asked = json.dumps(
        {name: arguments for name, (arguments, _) in MISTAKES.items()}
        | {"help": ["--help"], "compare help": ["compare", "--help"]}
    )
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})" + WATCHED
    done = subprocess.run([sys.executable, "-c", code, asked], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_ends_with_status_2_and_a_message(answers: dict[str, Any], name: str) -> None:
    status, _, error = answers["told"][name]
    assert status == 2
    assert MISTAKES[name][1] in error


def test_mistakes_and_help_are_answered_before_keras_is_imported(answers: dict[str, Any]) -> None:
    assert answers["slow"] == []


def test_help_names_every_command(answers: dict[str, Any]) -> None:
    status, out, _ = answers["told"]["help"]
    assert status == 0
    assert all(name in out for name in ("train", "predict", "evaluate", "tune", "compare", "convert"))


@pytest.mark.parametrize(("door", "word"), [("train.py", "--resume"), ("predict.py", "--overlay")])
def test_the_doors_explain_themselves(door: str, word: str) -> None:
    done = subprocess.run([sys.executable, ROOT / door, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert word in done.stdout
    assert f"usage: {door}" in done.stdout


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Change to an empty folder; `main` changes how the process takes SIGTERM, which is put back."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("kind", TASKS)
def test_convert_writes_folders_that_read_back_as_the_same_samples(in_folder: Path, kind: str) -> None:
    path = in_folder / "a.yaml"
    path.write_text(yaml.safe_dump({"task": TASKS[kind], "data": SHAPES}))
    assert main(["convert", "a.yaml", "--out", "out"]) == 0
    config = read(path)
    source = open_source(config.data, config.task)
    folder = in_folders(in_folder / "out" / "images", in_folder / "out" / "masks", config.task)
    assert sorted(folder.names) == sorted(source.names)
    for name in source.names:
        np.testing.assert_array_equal(folder.read(name).image, source.read(name).image)
        np.testing.assert_array_equal(folder.read(name).mask, source.read(name).mask)


def test_convert_takes_one_part_alone(in_folder: Path) -> None:
    data = {**SHAPES, "validation": 0.4, "test": 0.2}
    (in_folder / "a.yaml").write_text(yaml.safe_dump({"task": TASKS["binary"], "data": data}))
    written = []
    for part in ("train", "validation", "test"):
        assert main(["convert", "a.yaml", "--part", part, "--out", part]) == 0
        written.append({path.name for path in (in_folder / part / "masks").iterdir()})
    assert sum(map(len, written)) == len(set().union(*written)) == 8
    assert all(written)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_convert_keeps_images_of_any_depth(in_folder: Path, dtype: type) -> None:
    import tifffile

    array = np.arange(64, dtype=dtype).reshape(8, 8) * 500
    for folder in ("images", "masks"):
        (in_folder / folder).mkdir()
    for name in "abc":
        tifffile.imwrite(in_folder / "images" / f"{name}.tif", np.stack([array] * 3, axis=-1), photometric="rgb")
        Image.new("L", (8, 8), 1).save(in_folder / "masks" / f"{name}.png")
    data = {"images": "images", "masks": "masks"}
    (in_folder / "a.yaml").write_text(yaml.safe_dump({"task": TASKS["binary"], "data": data}))
    assert main(["convert", "a.yaml", "--out", "out"]) == 0
    sample = in_folders(in_folder / "out" / "images", in_folder / "out" / "masks", read(Path("a.yaml")).task).read("a")
    np.testing.assert_array_equal(sample.image[..., 1], array)
