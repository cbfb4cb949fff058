"""The report of a run folder: which of its files are shown, and what happens without them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from segkit.data.sources.source import Subset
from segkit.errors import RunError, SegkitWarning
from segkit.inspection.fingerprint import survey
from segkit.inspection.problem import problem_of
from segkit.inspection.summary import read_data_summary, summarize
from segkit.reporting.album import Album
from segkit.reporting.content import page_values
from segkit.reporting.report import collect, write_report
from segkit.run import Run
from segkit.system.progress import Progress
from tests.helpers.draws import task_of
from tests.helpers.errors import fails
from tests.helpers.problem_data import Memory
from tests.helpers.reported import report_of, samples_of

TASK = task_of("multiclass")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run folder with a config, a history, and the facts of its data."""
    reported = report_of(TASK, samples_of(TASK, 2), Album(TASK, pictures=0))
    found = Run(tmp_path / "run")
    found.create(reported.config, {"train.epochs": "The plan says why."})
    found.history.write_text("epoch,loss,seconds\n0,2.5,60\n1,1.5,60\n", encoding="utf-8")
    samples = samples_of(TASK, 4)
    parts = {"train": Subset(Memory(samples), list(samples))}
    problem = problem_of("warning", "few-images", "4 images", ["a.png"])
    summary = summarize(
        "shapes", TASK, {"train": 4}, 2, survey(TASK, parts), [problem], verdict=None
    )
    found.data.write_text(json.dumps(summary.as_json()), encoding="utf-8")
    assert read_data_summary(found.data) == summary
    return found


def test_the_files_of_the_run_are_shown(run: Run) -> None:
    config = run.config_made_with()
    values = page_values(collect([run.path], config, "the test part", None))
    assert "  # The plan says why." in values["config_lines"]
    assert values["data"]["facts"][1] == ("samples", "4 train")
    assert values["learning"][0].title == "Loss"
    assert "2.5 to 1.5" in values["learning"][0].note
    assert ("training", "2 epochs in 2.0 minutes") in values["environment"]
    assert any(name == "numpy" for name, _ in values["environment"])
    assert any(str(run.path) in command for _, command in values["commands"])


def test_a_run_of_an_older_version_has_a_report(run: Run) -> None:
    for path in (run.data, run.history, run.environment):
        path.unlink()
    values = page_values(collect([run.path], run.config_made_with(), "the test part", None))
    assert values["data"] is None
    assert values["learning"] == []
    assert values["config_lines"]


@pytest.mark.parametrize("text", ["{", "[]", '{"samples": 1, "classes": {}, "images": {}}'])
def test_damaged_facts_are_named(run: Run, text: str) -> None:
    run.data.write_text(text, encoding="utf-8")
    with fails(RunError, "damaged-file", run.data):
        collect([run.path], run.config_made_with(), "the test part", None)


def test_a_report_that_cannot_be_written_does_not_fail_the_training(run: Run) -> None:
    reported = report_of(TASK, samples_of(TASK, 2), Album(TASK, pictures=0))
    scores = dict(reported.scores or {})
    album = Album(TASK, pictures=0)
    write_report(run, reported.config, "test", scores, album, Progress())
    assert run.report_page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    run.report_page.unlink()
    run.report_page.mkdir()
    with pytest.warns(SegkitWarning, match="segkit report"):
        write_report(run, reported.config, "test", scores, album, Progress())
