"""Whole texts that users read, compared with tests/golden.

`SEGKIT_REWRITE_GOLDEN=1 pytest tests/light/test_golden.py` writes the files again.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from segkit import Task
from segkit.comparison.report import verdict
from segkit.evaluation.counts import score_report
from segkit.evaluation.tables import scores_table

GOLDEN = Path(__file__).parents[1] / "golden"
TASKS = {
    "binary": Task.binary("crack", threshold=0.4),
    "multilabel": Task.multilabel(["vessel", "tumour"], thresholds=[0.5, 0.3]),
    "multiclass": Task.multiclass(["background", "liver", "tumour"]),
    "one_against_the_rest": Task.multiclass(["background", "liver", "tumour"], head="sigmoid"),
}


def check(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("SEGKIT_REWRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TASKS)
def test_explanation_of_the_head(name: str) -> None:
    check(f"explain_{name}.txt", TASKS[name].explain() + "\n")


def test_the_table_of_scores() -> None:
    counts = np.array([[90, 10, 0], [2, 3, 0], [3, 2, 0], [5, 85, 100]])
    console = Console(file=io.StringIO(), width=80)
    console.print(scores_table({"part": "test", **score_report(TASKS["multiclass"], counts, 4)}))
    check("scores_table.txt", console.file.getvalue())


def pair(other: str, clear: bool, ahead: int = 3, seeds: int = 3) -> dict[str, Any]:
    """Return a comparison of the setting "a" with another one."""
    low = 0.01 if clear else -0.01
    about = {"difference": 0.03, "low": low, "high": 0.05, "more_than_chance": clear}
    return {"better": "a", "other": other, **about, "ahead": ahead, "of_seeds": seeds}


VERDICTS = {
    "nothing to compare": [],
    "one, clear": [pair("b", True)],
    "one, unclear": [pair("b", False)],
    "several": [pair("b", False), pair("c", True), pair("d", True)],
    "one training each": [pair("b", True, ahead=1, seeds=1)],
    "seeds disagree": [pair("b", True, ahead=2)],
    "no interval": [{**pair("b", False), "low": None, "high": None}],
}


def test_the_verdicts_of_comparisons() -> None:
    settings = [
        {"name": name, "seeds": [0], "dice_foreground": {"value": 0.9 - 0.03 * i}}
        for i, name in enumerate("abcd")
    ]
    lines = []
    for name, pairs in VERDICTS.items():
        results = {"comparisons": pairs, "images": 20, "settings": settings}
        lines.append(f"{name}: {verdict(results)}\n")
    check("verdicts.txt", "".join(lines))
