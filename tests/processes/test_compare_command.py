"""segkit compare with real trainings: finished ones are kept, and failures reported."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from segkit.cli import main
from segkit.comparison.scoring import FILE, Scored
from segkit.errors import RunError
from segkit.evaluation import counts
from segkit.run import Run
from tests.helpers.command_line import assert_fails, numbers
from tests.helpers.errors import holds
from tests.helpers.tiny_runs import tiny_config

HEADS = ("1-task.head-softmax", "2-task.head-sigmoid")


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A comparison of both heads, and of a config whose loss soon is no number."""
    folder = tmp_path_factory.mktemp("compare")
    config = tiny_config(folder)
    wild = yaml.safe_load(config.read_text())
    wild["train"] |= {"learning_rate": 1e30, "clip_norm": 0, "warmup": 0}
    (folder / "wild.yaml").write_text(yaml.safe_dump(wild))
    varied = ["--vary", "task.head=softmax,sigmoid", "--also", str(folder / "wild.yaml")]
    return ["compare", str(config), *varied, "--minutes", "0.02", "--seeds", "1"]


@pytest.fixture(scope="module")
def compared(  # in the folder that the command takes by itself
    command: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, dict[str, Any]]]:
    out = tmp_path_factory.mktemp("work") / "runs" / "compare-multiclass"
    with contextlib.chdir(out.parents[1]):
        assert main(command) == 1
        yield out, json.loads((out / "results.json").read_text())


def test_settings_that_train_are_compared_and_failures_reported(
    compared: tuple[Path, dict[str, Any]],
) -> None:
    out, results = compared
    assert [row["name"] for row in results["settings"]] == [
        "task.head=softmax",
        "task.head=sigmoid",
        "wild",
    ]
    assert [row["seeds"] for row in results["settings"]] == [[0], [0], []]
    why = results["settings"][2]["failed"]["0"]
    # the step after the wild one says its rate, what is predicted then is nan
    assert holds(why, "train.learning_rate=1e+29") or holds(why, "nan")
    [pair] = results["comparisons"]
    assert {pair["better"], pair["other"]} == {"task.head=softmax", "task.head=sigmoid"}
    page = (out / "table.md").read_text()
    assert page.startswith(results["verdict"])
    assert f"- wild, seed 0: {why}" in page
    with Image.open(out / "plot.png") as picture:
        assert picture.width > picture.height > 100


def test_scores_are_those_of_each_training_and_come_from_its_files(
    compared: tuple[Path, dict[str, Any]],
) -> None:
    out, results = compared
    for folder, row in zip(HEADS, results["settings"], strict=False):
        run = Run.open(out / folder / "seed-0")
        written = json.loads(run.scores.read_text())
        assert (written["part"], written["images"]) == (results["part"], results["images"])
        assert row["dice_foreground"]["value"] == pytest.approx(
            written["mean"]["dice_foreground"], abs=1e-3
        )
        scored = Scored.read(run.path / FILE)
        assert scored is not None
        means = counts.means(run.config().task, scored.counts.sum(0))
        assert row["dice_foreground"]["value"] == pytest.approx(means["dice_foreground"])
        assert row["steps"] == [sum(history["steps"] for history in run.rows())]
        assert row["steps"][0] > 0
        assert row["parameters"] > 1000


def test_the_same_command_trains_again_only_what_failed(
    compared: tuple[Path, dict[str, Any]], command: list[str]
) -> None:
    out, results = compared
    made = {
        folder: (out / folder / "seed-0" / "model.keras").stat().st_mtime_ns for folder in HEADS
    }
    # a training that was killed has a model, but no scores
    broken = out / HEADS[0] / "seed-0"
    (broken / FILE).unlink()
    of_others = out / HEADS[1] / "seed-0" / FILE  # as if images had come or gone since
    scored = Scored.read(of_others)
    assert scored is not None
    replace(scored, names=scored.names[1:], counts=0 * scored.counts[1:]).write(of_others)
    code = (
        "import sys; from segkit.cli import main; status = main(sys.argv[1:]); "
        "print('keras' in sys.modules, status)"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True)
    assert [3, 0.02, 2] in [
        numbers(line) for line in done.stdout.splitlines()
    ]  # trainings, minutes, those done before
    assert done.stdout.splitlines()[-1] == "True 1"  # the scores that were missing
    assert {
        folder: (out / folder / "seed-0" / "model.keras").stat().st_mtime_ns for folder in HEADS
    } == made
    again = json.loads((out / "results.json").read_text())
    assert again["comparisons"] == results["comparisons"]
    np.testing.assert_equal(
        [row["dice_foreground"] for row in again["settings"][:2]],
        [row["dice_foreground"] for row in results["settings"][:2]],
    )


def test_another_comparison_in_the_same_folder_is_refused(
    compared: tuple[Path, dict[str, Any]], command: list[str]
) -> None:
    folder = compared[0].relative_to(Path.cwd())
    assert_fails([*command, "--set", "train.batch_size=2"], RunError, "mismatch", folder)
