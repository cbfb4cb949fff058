"""The command line without a network: help, mistakes, and `convert`. None of them imports Keras."""

from __future__ import annotations

import errno
import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml
from PIL import Image

from segkit.cli import main
from segkit.config import read
from segkit.data.sources.folder import in_folders
from segkit.data.sources.source import open_source
from segkit.errors import ConfigError, DataError, RunError, SegkitError
from tests.helpers.errors import assert_is, holds

ROOT = Path(__file__).parents[3]
TASKS: dict[str, dict[str, Any]] = {
    "binary": {"kind": "binary", "classes": ["disc"]},
    "multilabel": {"kind": "multilabel", "classes": ["disc", "square"]},
    "multiclass": {"kind": "multiclass", "classes": ["background", "disc", "square"]},
}
SHAPES = {"source": "shapes", "count": 8, "size": [24, 32]}
# Runs every command of argv[1] (JSON). Pickles the results and the slow packages that were imported
# into argv[2].
WATCHED = """
import contextlib, io, json, pickle, sys
from pathlib import Path
from tests.helpers.command_line import run
ended = {}
for name, arguments in json.loads(sys.argv[1]).items():
    out, err = io.StringIO(), io.StringIO()
    problem = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status, problem = run(arguments)
        except SystemExit as end:
            status = end.code
        except Exception as other:
            status = repr(other)
    ended[name] = (status, problem, out.getvalue(), err.getvalue())
slow = [name for name in ("keras", "tensorflow", "jax", "albumentations") if name in sys.modules]
Path(sys.argv[2]).write_bytes(pickle.dumps((ended, slow)))
"""
COMPARE = ["compare", "shapes.yaml", "--vary", "train.batch_size=1,2"]


class Mistake(NamedTuple):
    """A command and its error: class, code, values in the message, and the wrong setting."""

    command: list[str]
    kind: type[SegkitError]
    code: str
    values: tuple[object, ...]
    setting: str | None = None


MISTAKES = {
    "no such config": Mistake(
        ["train", "gone.yaml"],
        ConfigError,
        "missing-file",
        ("gone.yaml", os.strerror(errno.ENOENT)),
    ),
    "unknown setting": Mistake(
        ["train", "shapes.yaml", "--set", "train.epohcs=1"],
        ConfigError,
        "unknown-setting",
        ("shapes.yaml", "'epochs'"),
        "train.epohcs",
    ),
    "folder without images": Mistake(
        ["train", "folder.yaml"], DataError, "missing-file", ("gone",)
    ),
    "masks that do not fit": Mistake(
        ["train", "folder.yaml", "--set", "data.images=images"],
        DataError,
        "mask-values",
        ("0 to 1", 7, "data.mask_values"),
    ),
    "masks without images": Mistake(
        ["train", "folder.yaml", "--set", "data.images=images", "--set", "data.masks=empty"],
        DataError,
        "unpaired",
        (4, "empty", "0, 1, 2, 3"),
    ),
    "a run that is there": Mistake(
        ["train", "shapes.yaml", "--run", "images"],
        RunError,
        "exists-already",
        ("images", "--run", "--resume"),
    ),
    "nothing to resume": Mistake(
        ["train", "shapes.yaml", "--run", "new", "--resume"],
        RunError,
        "not-a-run",
        ("new", "--resume"),
    ),
    "no run": Mistake(
        ["predict", "images", "images", "--out", "out"],
        RunError,
        "not-a-run",
        ("images", "config.yaml"),
    ),
    "no model": Mistake(
        ["evaluate", "begun", "--images", "images", "--masks", "masks"],
        RunError,
        "no-model",
        ("begun", "model.keras"),
    ),
    "no image to predict": Mistake(
        ["predict", "run", "empty", "--out", "out"], DataError, "empty", ("empty", ".png")
    ),
    "runs without images": Mistake(
        ["predict", "run", "run", "--out", "out"], ConfigError, "missing-setting", ("run",)
    ),
    "runs that differ": Mistake(
        ["predict", "run", "other", "images", "--out", "out"],
        ConfigError,
        "mismatch",
        ("run", "other", "task.kind", "binary", "multilabel"),
    ),
    "scoring runs that differ": Mistake(
        ["evaluate", "run", "other", "--images", "images", "--masks", "masks"],
        ConfigError,
        "mismatch",
        ("run", "other", "task.kind", "binary", "multilabel"),
    ),
    "views that confuse sides": Mistake(
        ["predict", "sided", "images", "--out", "out", "--tta", "flips"],
        ConfigError,
        "not-for-task",
        ("left eye", "task.flip_pairs"),
        "tta",
    ),
    "images without masks to report": Mistake(
        ["report", "run", "--images", "images"],
        ConfigError,
        "missing-setting",
        ("--masks",),
        "--masks",
    ),
    "too many pictures": Mistake(
        ["report", "run", "--pictures", "1000"],
        ConfigError,
        "wrong-value",
        ("1000", "500"),
        "--pictures",
    ),
    "no run to report": Mistake(["report", "images"], RunError, "not-a-run", ("images",)),
    "no run to tune": Mistake(["tune", "images"], RunError, "not-a-run", ("images", "config.yaml")),
    "no such goal": Mistake(
        ["tune", "run", "--for", "iou"],
        ConfigError,
        "wrong-value",
        ("dice", "precision=P", "recall=R", "'iou'"),
        "--for",
    ),
    "no threshold to tune": Mistake(
        ["tune", "exclusive", "--for", "recall=0.9"],
        ConfigError,
        "not-for-task",
        ("recall=0.9", "dice"),
        "--for",
    ),
    "nothing to tune on": Mistake(
        ["tune", "untested"],
        ConfigError,
        "too-few-samples",
        ("untested/config.yaml", "data.validation"),
    ),
    "broken tuning": Mistake(
        ["predict", "broken", "images", "--out", "out"],
        RunError,
        "damaged-file",
        ("broken/tuned.yaml", "--reset"),
    ),
    "nothing to compare": Mistake(
        ["compare", "shapes.yaml", "--minutes", "1", "--out", "out"],
        ConfigError,
        "missing-setting",
        ("--vary", "--also"),
    ),
    "no time to compare": Mistake(
        [*COMPARE, "--minutes", "0", "--out", "out"],
        ConfigError,
        "wrong-value",
        ("shapes.yaml", "0.0"),
        "train.minutes",
    ),
    "comparing in a full folder": Mistake(
        [*COMPARE, "--minutes", "1", "--out", "images"],
        RunError,
        "exists-already",
        ("images", "--out"),
    ),
    "convert into a full folder": Mistake(
        ["convert", "shapes.yaml", "--out", "images"], RunError, "exists-already", ("images",)
    ),
    "convert into a file": Mistake(
        ["convert", "shapes.yaml", "--out", "shapes.yaml"],
        RunError,
        "exists-already",
        ("shapes.yaml",),
    ),
}
INCOMPLETE = {
    "no command": ([], "COMMAND"),
    "no place for masks": (["predict", "run", "images"], "--out"),
}
"""Commands in which an argument is missing, and its name."""


def fill(folder: Path) -> None:
    for name in ("images", "masks", "empty", "run", "begun"):
        (folder / name).mkdir()
    measured = {
        "channels": 3,
        "dtype": "uint8",
        "mean": [0, 0, 0],
        "std": [1, 1, 1],
        "low": 0,
        "high": 255,
    }
    config = {"task": TASKS["binary"], "data": SHAPES, "input": measured}
    for name in ("shapes.yaml", "run/config.yaml", "begun/config.yaml"):
        (folder / name).write_text(yaml.safe_dump(config))
    (folder / "run" / "model.keras").touch()
    others: dict[str, dict[str, Any]] = {
        "other": {"task": TASKS["multilabel"]},
        "exclusive": {"task": TASKS["multiclass"]},
        "sided": {
            "task": {"kind": "binary", "classes": ["left eye"]},
            "augment": {"flip_horizontal": False},
        },
        "untested": {"data": {**SHAPES, "validation": 0}},
        "broken": {},
    }
    for name, sections in others.items():
        (folder / name).mkdir()
        (folder / name / "config.yaml").write_text(yaml.safe_dump({**config, **sections}))
        (folder / name / "model.keras").touch()
    (folder / "broken" / "tuned.yaml").write_text("made: {")
    ids = {"kind": "multiclass", "classes": ["background", "a"]}
    (folder / "folder.yaml").write_text(
        yaml.safe_dump({"task": ids, "data": {"images": "gone", "masks": "masks"}})
    )
    for i in range(4):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(folder / "images" / f"{i}.png")
        Image.new("L", (8, 8), 7).save(folder / "masks" / f"{i}.png")


class Ended(NamedTuple):
    """What came of the commands, and the slow packages that they imported."""

    commands: dict[str, tuple[int, SegkitError | None, str, str]]
    slow: list[str]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp("cli")
    fill(folder)
    commands = {"help": ["--help"], "compare help": ["compare", "--help"]}
    for name, mistake in MISTAKES.items():
        commands[name] = mistake.command
    for name, (command, _) in INCOMPLETE.items():
        commands[name] = command
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})" + WATCHED
    program = [sys.executable, "-c", code, json.dumps(commands), "ended.pickle"]
    done = subprocess.run(program, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return Ended(*pickle.loads((folder / "ended.pickle").read_bytes()))


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_ends_with_status_2_and_an_error_with_a_code(ended: Ended, name: str) -> None:
    status, problem, _, printed = ended.commands[name]
    mistake = MISTAKES[name]
    assert_is(problem, mistake.kind, mistake.code, *mistake.values, setting=mistake.setting)
    assert status == 2
    assert printed == f"error: {problem}\n"


@pytest.mark.parametrize("name", INCOMPLETE)
def test_a_missing_argument_ends_with_status_2_and_its_name(ended: Ended, name: str) -> None:
    status, _, _, printed = ended.commands[name]
    assert status == 2
    assert holds(printed.splitlines()[-1], INCOMPLETE[name][1])


def test_mistakes_and_help_do_not_import_keras(ended: Ended) -> None:
    assert ended.slow == []


def test_help_names_every_command(ended: Ended) -> None:
    status, _, out, _ = ended.commands["help"]
    assert status == 0
    assert all(
        name in out for name in ("train", "predict", "evaluate", "tune", "compare", "convert")
    )


@pytest.mark.parametrize(("door", "word"), [("train.py", "--resume"), ("predict.py", "--overlay")])
def test_train_py_and_predict_py_have_help(door: str, word: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / door, "--help"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0
    assert word in done.stdout
    assert f"usage: {door}" in done.stdout


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Change to an empty folder, and restore the SIGTERM handler that `main` replaces."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize("kind", TASKS)
def test_convert_writes_folders_that_read_back_as_the_same_samples(
    in_folder: Path, kind: str
) -> None:
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
        tifffile.imwrite(
            in_folder / "images" / f"{name}.tif", np.stack([array] * 3, axis=-1), photometric="rgb"
        )
        Image.new("L", (8, 8), 1).save(in_folder / "masks" / f"{name}.png")
    data = {"images": "images", "masks": "masks"}
    (in_folder / "a.yaml").write_text(yaml.safe_dump({"task": TASKS["binary"], "data": data}))
    assert main(["convert", "a.yaml", "--out", "out"]) == 0
    sample = in_folders(
        in_folder / "out" / "images", in_folder / "out" / "masks", read(Path("a.yaml")).task
    ).read("a")
    np.testing.assert_array_equal(sample.image[..., 1], array)
