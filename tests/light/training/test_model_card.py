"""The model card: metadata that model hubs read, and text without markup from names."""

from __future__ import annotations

from typing import Any

import pytest
from huggingface_hub import ModelCard

from segkit.config import RunConfig
from segkit.task import Task
from segkit.training.model_card import model_card

HOSTILE = '<script>alert(1)</script> | *x* `y` # "z": [a](b)'
IMAGES = {"train": 40, "validation": 8, "test": 25}
CELL = Task.multiclass(["background", "cell", HOSTILE])


def config_of(task: Task) -> RunConfig:
    sections: dict[str, Any] = {
        "task": task.model_dump(),
        "data": {"source": "shapes"},
        "input": {
            "channels": 3,
            "dtype": "uint8",
            "mean": [1, 2, 3],
            "std": [1, 1, 1],
            "low": 0,
            "high": 255,
        },
    }
    return RunConfig.model_validate(sections)


def report_of(part: str = "test", low: float | None = 0.81) -> dict[str, Any]:
    ends = {"low": low, "high": None if low is None else 0.925}
    return {
        "part": part,
        "images": 25,
        "groups": None,
        "mean": {"dice_foreground": 0.8712345, "iou_foreground": None},
        "classes": {
            "background": {"dice": 0.99},
            "cell": {"dice": 0.75},
            HOSTILE: {"dice": None},
        },
        "intervals": {
            "mean": {"dice_foreground": ends},
            "classes": {"cell": {"dice": ends}},
        },
    }


def test_a_model_hub_reads_the_metadata() -> None:
    card = ModelCard(model_card("my run", config_of(CELL), IMAGES, report_of()))
    assert card.data.library_name == "keras"
    assert card.data.pipeline_tag == "image-segmentation"
    assert card.data.license == "other"
    assert card.data.model_name == "my run"
    (result,) = card.data.eval_results
    assert (result.metric_type, result.metric_value) == ("dice", 0.8712)
    assert result.task_type == "image-segmentation"
    assert "25 images" in result.dataset_name


def test_scores_have_their_intervals() -> None:
    lines = model_card("run", config_of(CELL), IMAGES, report_of()).splitlines()
    assert "| foreground Dice | 0.871 | 0.810 to 0.925 |" in lines
    assert "| foreground IoU | - | - |" in lines
    assert "| Dice of cell | 0.750 | 0.810 to 0.925 |" in lines
    assert "| test | 25 |" in lines
    few = model_card("run", config_of(CELL), IMAGES, report_of(low=None)).splitlines()
    assert "| foreground Dice | 0.871 | - |" in few


def test_reports_of_older_runs_have_no_intervals() -> None:
    report = report_of()
    del report["intervals"]
    del report["groups"]
    assert "| foreground Dice | 0.871 | - |" in model_card("run", config_of(CELL), IMAGES, report)


@pytest.mark.parametrize("report", [report_of("validation"), None])
def test_a_run_without_a_test_part_says_so(report: dict[str, Any] | None) -> None:
    card = model_card("run", config_of(CELL), IMAGES, report)
    assert ("optimistic" in card) == (report is not None)
    assert ("not known" in card) == (report is None)
    assert (ModelCard(card).data.eval_results is None) == (report is None)


def test_names_are_no_markup() -> None:
    card = ModelCard(model_card(HOSTILE, config_of(CELL), IMAGES, report_of()))
    assert card.data.model_name == HOSTILE
    assert "<script>" not in card.text
    assert "[a](b)" not in card.text
    rows = [line for line in card.text.splitlines() if line.startswith("| Dice of")]
    assert [row.replace("\\|", "").count("|") for row in rows] == [4, 4]


def test_the_card_has_no_empty_table_rows_and_one_title() -> None:
    text = ModelCard(model_card("run", config_of(CELL), IMAGES, report_of())).text
    assert sum(line.startswith("# ") for line in text.splitlines()) == 1
    assert "|\n\n|" not in text


def test_scores_of_folds_are_not_called_those_of_the_model() -> None:
    report = {**report_of("folds"), "folds": 3}
    card = ModelCard(model_card("run", on_all(), {"train": 40}, report))
    (result,) = card.data.eval_results
    assert "3 folds" in result.dataset_name
    assert "not of this model" in result.dataset_name
    assert "3 folds, not of this model" in card.text
    assert "| foreground Dice | 0.871 | 0.810 to 0.925 |" in card.text.splitlines()


def test_a_model_that_no_fold_scored_says_so() -> None:
    text = ModelCard(model_card("run", on_all(), {"train": 40}, None)).text
    assert "no score" in text
    assert "| score |" not in text
    assert text != ModelCard(model_card("run", config_of(CELL), {"train": 40}, None)).text


def on_all() -> RunConfig:
    config = config_of(CELL)
    data = config.data.model_copy(update={"on_all": True})
    return config.model_copy(update={"data": data})
