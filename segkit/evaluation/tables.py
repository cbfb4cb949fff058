"""Results as tables on the screen. They fit into 80 columns unless names of classes are long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from segkit.config.decode import Rule
from segkit.run.tuned import Tuned
from segkit.system.terminal import counted, shown
from segkit.task import Task

_SCORES = {"iou": "IoU", "dice": "Dice", "precision": "precision", "recall": "recall"}
_CALIBRATION = {
    "ece": "calibration error (ECE)",
    "brier": "Brier score",
    "nll": "negative log-likelihood",
}


def scores_table(report: dict[str, Any]) -> Table:
    """Return the scores of `counts.report` as a table.

    It has one row per class, the means below, and the absent classes in the caption.

    Args:
        report: From `counts.report`; "part" and "folds" may be added to it.
    """
    table = plain_table(_title(report))
    add_label_column(table, "class")
    for header in (*_SCORES.values(), "true pixels", "predicted"):
        add_number_column(table, header)
    for label, values in report["classes"].items():
        cells = [as_cell(values[score]) for score in _SCORES]
        cells.append(f"{values['pixels_true']:,}")
        cells.append(f"{values['pixels_predicted']:,}")
        table.add_row(Text(shown(label)), *cells)
    table.add_section()
    mean = report["mean"]
    iou = as_cell(mean["iou_foreground"])
    dice = as_cell(mean["dice_foreground"])
    table.add_row("mean foreground", iou, dice)
    table.add_row("with background", as_cell(mean["iou_with_background"]))
    caption = "the pixels of all images are counted together"
    if report["absent"]:
        names = ", ".join(map(shown, report["absent"]))
        caption += f"\nabsent, left out of the means: {names}"
    table.caption = Text(caption)
    return table


def _title(report: Mapping[str, Any]) -> str:
    """Return which images were scored, and by which model if it is not the run's own."""
    images = counted(report["images"], "image")
    title = f"scores over {images}"
    if report.get("part") == "folds":
        return f"scores of {report['folds']} folds, not of this model: {images}"
    if "folds" in report:
        return f"{title}, each by the fold that did not see it"
    if "part" in report:
        title += f" of the {report['part']} part"
    return title


def tuned_tables(task: Task, tuned: Tuned) -> Group:
    """Return what `segkit tune` chose, and the scores before and after it, as two tables.

    Args:
        task: The run's task.
        tuned: What was chosen.
    """
    images = f"{tuned.images} images of the {tuned.part} part"
    return Group(
        Text(f"tuned for {tuned.goal} on {images}"),
        Text(f"temperature {tuned.decode.temperature:g}"),
        Text(""),
        _choices_table(task, tuned),
        Text(""),
        _changes_table(tuned),
        Text("images: number of images in which the class is predicted"),
        Text("Scores after tuning are optimistic: it was chosen on the same images."),
    )


def _choices_table(task: Task, tuned: Tuned) -> Table:
    """Return thresholds and rules for objects, one row per class."""
    table = plain_table()
    add_label_column(table, "class")
    if tuned.thresholds is not None:
        add_number_column(table, "threshold")
    for header in ("smallest object", "largest only", "holes filled"):
        add_number_column(table, header)
    for i, rule in enumerate(tuned.decode.rules(task)):
        cells = [Text(shown(task.classes[i]))]
        if tuned.thresholds is not None:
            cells.append(Text(f"{tuned.thresholds[i]:.3f}"))
        table.add_row(*cells, *_rule_cells(rule))
    return table


def _rule_cells(rule: Rule) -> list[str]:
    cells = ["-", "-", "-"]
    if rule.smallest > 1:
        cells[0] = f"{rule.smallest} pixels"
    if rule.keep_largest:
        cells[1] = "yes"
    if rule.fill_holes:
        cells[2] = "yes"
    return cells


def _changes_table(tuned: Tuned) -> Table:
    """Return scores before and after tuning, one row per class and score."""
    table = plain_table()
    add_label_column(table, "class")
    table.add_column("score", no_wrap=True)
    add_number_column(table, "before")
    add_number_column(table, "after")
    for label, before in tuned.before["classes"].items():
        name = Text(shown(label))
        for score in ("dice", "precision", "recall"):
            change = _change(before, tuned.after["classes"][label], score)
            table.add_row(name, _SCORES[score], *change)
            name = Text("")
        found = (tuned.before["images"][label], tuned.after["images"][label])
        table.add_row("", "images", *map(str, found), end_section=True)
    mean_change = _change(tuned.before["mean"], tuned.after["mean"], "dice_foreground")
    table.add_row("mean foreground", "Dice", *mean_change, end_section=True)
    name = Text("all classes")
    for score, header in _CALIBRATION.items():
        change = _change(tuned.before["reliability"], tuned.after["reliability"], score)
        table.add_row(name, header, *change)
        name = Text("")
    return table


def plain_table(title: str | None = None) -> Table:
    """Return a table without columns."""
    return Table(
        title=title,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )


def add_label_column(table: Table, header: str) -> None:
    """Add the only column that may wrap: a long name is broken, and no part of it is lost."""
    table.add_column(header, overflow="fold")


def add_number_column(table: Table, header: str) -> None:
    """Add a column of numbers, which never wraps."""
    table.add_column(header, justify="right", no_wrap=True)


def _change(before: Mapping[str, Any], after: Mapping[str, Any], score: str) -> tuple[str, str]:
    return as_cell(before[score]), as_cell(after[score])


def as_cell(value: float | None) -> str:
    """Return a score with four decimals, and "-" for None."""
    if value is None:
        return "-"
    return f"{value:.4f}"
