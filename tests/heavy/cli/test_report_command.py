"""`segkit report`, and the report that a training writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import segkit
from segkit.cli import main
from segkit.config import read
from segkit.config.comments import read_comments
from segkit.errors import ConfigError
from segkit.run import Run
from tests.helpers.errors import fails
from tests.helpers.tiny_runs import tiny_config

pytestmark = pytest.mark.one_backend


def test_a_training_writes_a_report_with_its_scores(trained: Run) -> None:
    html = trained.report_page.read_text(encoding="utf-8")
    dice = trained.scored()["mean"]["dice_foreground"]
    assert f"{dice:.3f}" in html
    assert "Learning rate" in html
    assert 'class="view errors"' in html
    assert len(html) < 2_000_000
    facts = json.loads(trained.data.read_text(encoding="utf-8"))
    assert sum(facts["samples"].values()) == 24
    assert 'id="data"' in html


def test_the_command_scores_the_test_part_as_the_training_did(trained: Run, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert main(["report", str(trained.path), "--out", str(page), "--pictures", "2"]) == 0
    html = page.read_text(encoding="utf-8")
    scores = trained.scored()
    assert f"{scores['mean']['dice_foreground']:.3f}" in html
    assert f"of the {scores['part']} part" in html
    assert html.count('class="view image"') == 2


def test_other_images_are_scored_and_named(trained: Run, tmp_path: Path) -> None:
    test = trained.path.parent / "test"
    page = segkit.report(
        trained.path, test / "images", test / "masks", out=tmp_path / "page.html", pictures=0
    )
    html = page.read_text(encoding="utf-8")
    assert f"{trained.scored()['mean']['dice_foreground']:.3f}" in html
    assert f"--images {test / 'images'}" in html
    assert 'class="view image"' not in html


def test_a_report_has_the_boundary_scores_of_evaluate(trained: Run, tmp_path: Path) -> None:
    test = trained.path.parent / "test"
    folders = (test / "images", test / "masks")
    page = segkit.report(
        trained.path, *folders, out=tmp_path / "page.html", pictures=0, tolerance=3
    )
    html = page.read_text(encoding="utf-8")
    scores = segkit.evaluate(trained.path, *folders, boundary=True, tolerance=3)
    assert scores["boundary"]["tolerance"] == 3
    means = scores["per_image"]["classes"].values()
    shown = [values["hd95"]["value"] for values in means if "hd95" in values]
    assert len(shown) == len(trained.config().task.foreground)
    for value in shown:
        assert f'<td class="number">{value:.3f}</td>' in html
    assert "--tolerance 3" in html


def test_wrong_options_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with fails(ConfigError, "missing-setting", setting="--masks"):
        segkit.report(tmp_path, images=tmp_path)
    with fails(ConfigError, "wrong-value", "501", setting="--pictures"):
        segkit.report(tmp_path, pictures=501)
    with fails(ConfigError, "wrong-value", -1, setting="--tolerance"):
        segkit.report(tmp_path, tolerance=-1)
    with fails(segkit.RunError, "not-a-run", str(tmp_path)):
        segkit.report(tmp_path)


def test_a_run_without_a_test_part_has_a_report_and_keeps_the_comments(tmp_path: Path) -> None:
    config = tiny_config(tmp_path, "binary", epochs=1)
    text = config.read_text()
    text = text.replace("  batch_size:", "  # The plan says why.\n  batch_size:")
    config.write_text(text)
    run = tmp_path / "run"
    settings = ["--set", "data.validation=0", "--set", "data.test=0"]
    assert main(["train", str(config), "--run", str(run), *settings]) == 0
    assert read_comments(Run(run).config_file.read_text()) == {
        "train.batch_size": "The plan says why."
    }
    assert read(Run(run).config_file).train.batch_size == 4
    page = tmp_path / "page.html"
    assert main(["report", str(run), "--out", str(page)]) == 0
    html = page.read_text(encoding="utf-8")
    assert "not known" in html
    assert "The plan says why." in html
