"""A report of other images opens their labels as `segkit.evaluate` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from segkit.config import RunConfig
from segkit.evaluation.evaluate import evaluate
from segkit.inference.load import LoadedRun
from segkit.reporting.report import report
from tests.helpers.every_source import Made, folder_of_ids, vector
from tests.helpers.stand_in import config_of, network


def run_of(made: Made) -> LoadedRun:
    """Return a run that was trained on a data set, with a stand-in for its network."""
    update: dict[str, Any] = {"data": made.data}
    config = RunConfig.model_validate(config_of(made.task).model_dump(mode="json"))
    config = config.model_copy(update=update)
    return LoadedRun(lambda batch: network(batch, made.task), config, "a stand-in", "weights")


@pytest.mark.parametrize("make", [folder_of_ids, vector], ids=lambda make: make.__name__)
def test_the_scores_are_those_of_evaluate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    made = make(tmp_path)
    opened = run_of(made)
    for module in ("segkit.evaluation.evaluate", "segkit.reporting.report"):
        monkeypatch.setattr(f"{module}.open_together", lambda *asked: opened)
    monkeypatch.setattr("segkit.reporting.report.config_of", lambda path: opened.config)
    labels = made.data.annotations or made.data.masks
    scores = evaluate("run", made.data.images, labels)
    page = report("run", made.data.images, labels, out=tmp_path / "page.html", pictures=0)
    html = page.read_text(encoding="utf-8")
    assert f"{scores['mean']['dice_foreground']:.3f}" in html
