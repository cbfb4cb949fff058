"""A report of other images opens their labels as `segkit.evaluate` does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from segkit import ConfigError, DataError
from segkit.config import RunConfig
from segkit.evaluation.evaluate import evaluate
from segkit.inference.load import LoadedRun
from segkit.reporting.report import report
from tests.helpers.errors import fails
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


def test_masks_stored_in_another_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run was trained on masks of the values 7 and 8, and these have 0 and 1."""
    made = folder_of_ids(tmp_path)
    values = {7 + index: name for index, name in enumerate(made.task.classes)}
    trained = made._replace(data=made.data.model_copy(update={"mask_values": values}))
    opened = run_of(trained)
    for module in ("segkit.evaluation.evaluate", "segkit.reporting.report"):
        monkeypatch.setattr(f"{module}.open_together", lambda *asked: opened)
    monkeypatch.setattr("segkit.reporting.report.config_of", lambda path: opened.config)
    folders = (made.data.images, made.data.masks)
    own = dict(enumerate(made.task.classes)) | {255: "void"}
    setting = f"data.mask_values={json.dumps(own)}"
    scores = evaluate("run", *folders, settings=[setting])
    out = tmp_path / "page.html"
    with fails(DataError, "mask-values") as caught:
        report("run", *folders, out=out, pictures=0)
    assert "--set" in str(caught.value)
    html = report("run", *folders, out=out, pictures=0, settings=[setting]).read_text("utf-8")
    assert f"{scores['mean']['dice_foreground']:.3f}" in html
    assert "--set" in html


def test_set_needs_masks() -> None:
    with fails(ConfigError, "missing-setting", setting="--set"):
        report("run", settings=["data.mask_values={0: background}"])
