"""Cross-validation: folds are a partition without the test part; the table equals NumPy's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from segkit.config import Config, as_config
from segkit.data.parts import open_parts
from segkit.data.split import fold
from segkit.errors import ConfigError, RunError
from segkit.task import Task
from segkit.training.folds import collect_folds, fold_run, folds_table, parse_folds, summarise_folds
from tests.helpers.errors import fails
from tests.helpers.exports_made import GIVEN

TASK = Task.multilabel(["disc", "square", "triangle"])


@given(st.lists(st.text(min_size=1), min_size=7, max_size=60, unique=True), st.integers(2, 7))
def test_folds_are_a_partition_of_equal_sizes(names: list[str], n: int) -> None:
    folds = [fold(names, f"{k}/{n}") for k in range(1, n + 1)]
    assert sorted(name for each in folds for name in each["validation"]) == sorted(names)
    sizes = [len(each["validation"]) for each in folds]
    assert max(sizes) - min(sizes) <= 1
    for each in folds:
        assert sorted(each["train"] + each["validation"]) == sorted(names)
        assert [name for name in names if name in set(each["train"])] == each[
            "train"
        ]  # the order given


def config_of(**data: object) -> Config:
    return Config.model_validate(
        {"task": TASK, "data": {"source": "shapes", "count": 40, "size": [16, 16], **data}}
    )


def test_the_test_part_is_that_of_a_run_without_folds_and_in_no_fold() -> None:
    whole = open_parts(config_of())
    for k in range(1, 5):
        parts = open_parts(config_of(fold=f"{k}/4"))
        assert parts["test"].names == whole["test"].names
        assert len(parts["validation"]) in (8, 9)
        together = [*parts["train"].names, *parts["validation"].names, *parts["test"].names]
        assert sorted(together) == sorted(whole["train"].source.names)


@pytest.mark.parametrize("text", ["0/5", "6/5", "1/1", "1", "a/5", "all/5", "1/5/5"])
def test_a_fold_that_is_none_is_refused(text: str) -> None:
    settings = config_of().model_dump(mode="json")
    settings["data"]["fold"] = text
    with fails(ConfigError, "wrong-value", "k/n", repr(text), setting="data.fold"):
        as_config(settings)


def test_folds_need_samples_and_one_source(tmp_path: Path) -> None:
    with fails(ConfigError, "too-few-samples", 7, 6):
        fold(list("abcdef"), "1/7")
    with fails(ConfigError, "contradiction", "1/5", "data.validation", setting="data.fold"):
        config_of(fold="1/5", validation={"images": str(tmp_path)})


@pytest.mark.parametrize("text", ["", "2", "0/5", "6/5", "all/1", "all", "x/5", "-1/5"])
def test_other_words_than_folds_are_refused(text: str) -> None:
    with fails(ConfigError, "wrong-value", text, setting="--fold"):
        parse_folds(text)


def report_of(seed: int, absent: bool = False) -> dict:
    draw = np.random.default_rng(seed)

    def row() -> dict:
        return {name: float(draw.random()) for name in ("iou", "dice", "precision", "recall")}

    classes = {name: row() for name in TASK.classes}
    if absent:
        classes["disc"]["iou"] = None
    mean = {
        name: float(draw.random())
        for name in ("iou_foreground", "dice_foreground", "iou_with_background")
    }
    return {"images": 10 + seed, "classes": classes, "mean": mean}


def test_the_summary_is_mean_and_standard_deviation_over_folds() -> None:
    reports = [report_of(0), report_of(1), report_of(2, absent=True)]
    found = summarise_folds(reports)
    dice = [report["classes"]["square"]["dice"] for report in reports]
    assert found["classes"]["square"]["dice"]["mean"] == pytest.approx(np.mean(dice))
    assert found["classes"]["square"]["dice"]["std"] == pytest.approx(np.std(dice, ddof=1))
    assert found["classes"]["square"]["dice"]["each"] == dice
    absent = found["classes"]["disc"]["iou"]
    assert absent["folds"] == 2
    assert absent["mean"] == pytest.approx(
        np.mean([report["classes"]["disc"]["iou"] for report in reports[:2]])
    )
    assert summarise_folds([reports[2]])["classes"]["disc"]["iou"] == {
        "mean": None,
        "std": None,
        "folds": 0,
        "each": [None],
    }
    console = Console(width=120, record=True)
    console.print(folds_table(found))
    assert f"{np.mean(dice):.4f} ± {np.std(dice, ddof=1):.4f}" in console.export_text()


def test_the_table_waits_for_all_folds(tmp_path: Path) -> None:
    for k in (1, 2):
        assert collect_folds(tmp_path, 2) is None
        run = fold_run(tmp_path, k)
        run.create(config_of(fold=f"{k}/2").with_input(GIVEN))
        run.scores.write_text(json.dumps(report_of(k)))
    report = collect_folds(tmp_path, 2)
    assert report is not None
    assert report == json.loads((tmp_path / "folds.json").read_text())


@pytest.mark.parametrize(
    ("changed", "told"),
    [({"fold": "2/3"}, ("data.fold", "2/3", "2/2")), ({"seed": 7}, ("data.seed", 7))],
)
def test_folds_of_other_settings_are_in_no_table(
    changed: dict, told: tuple[object, ...], tmp_path: Path
) -> None:
    for k, settings in ((1, {"fold": "1/2"}), (2, {"fold": "2/2", **changed})):
        run = fold_run(tmp_path, k)
        run.create(config_of(**settings).with_input(GIVEN))
        run.scores.write_text(json.dumps(report_of(k)))
    with fails(RunError, "mismatch", *told):
        collect_folds(tmp_path, 2)
    assert not (tmp_path / "folds.json").exists()
