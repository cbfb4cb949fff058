"""What `segkit tune` chose, and the scores before and after it, as tables on the screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from segkit.config.decode import Rule
from segkit.evaluation.bootstrap import is_more_than_chance
from segkit.evaluation.intervals import PROMISED
from segkit.evaluation.report_tables import interval_caption
from segkit.evaluation.tables import (
    SCORES,
    add_label_column,
    add_number_column,
    as_cell,
    plain_table,
)
from segkit.run.tuned import Tuned
from segkit.system.terminal import shown
from segkit.task import Task

_CALIBRATION = {
    "ece": "calibration error (ECE)",
    "brier": "Brier score",
    "nll": "negative log-likelihood",
}


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
        Text("predicted in: number of images whose mask shows the class"),
        *_dice_parts(tuned),
        Text("Scores after tuning are optimistic: it was chosen on the same images."),
    )


def _dice_parts(tuned: Tuned) -> list[RenderableType]:
    """Return the table of intervals and what it says of the mean; nothing for older files."""
    if not tuned.change:
        return []
    parts: list[RenderableType] = [Text(""), _intervals_table(tuned)]
    change = tuned.change["mean"]["dice_foreground"]
    if change["low"] is not None and not is_more_than_chance((change["low"], change["high"])):
        parts.append(Text("The mean Dice does not change by more than chance."))
    return parts


def _intervals_table(tuned: Tuned) -> Table:
    """Return Dice before and after tuning and its change, with intervals, one row per class."""
    units = tuned.images if tuned.groups is None else tuned.groups
    promised = units >= PROMISED
    header = "95 %" if promised else "spread"
    table = plain_table()
    add_label_column(table, "Dice")
    for name in ("before", header, "after", header, "change", header):
        add_number_column(table, name)
    mean = [_of_mean(each) for each in (tuned.before, tuned.after, tuned.change)]
    table.add_row("mean foreground", *_dice_cells(mean, promised), end_section=True)
    for label in tuned.change["classes"]:
        scores = [_of_class(each, label) for each in (tuned.before, tuned.after, tuned.change)]
        table.add_row(Text(shown(label)), *_dice_cells(scores, promised))
    table.caption = Text(interval_caption(tuned.images, tuned.groups))
    return table


def _of_mean(scores: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the mean Dice and its ends."""
    value: Any = scores["mean"]["dice_foreground"]
    if "intervals" not in scores:  # a change, which has its ends beside its value
        return dict(value)
    return {"value": value, **scores["intervals"]["mean"]["dice_foreground"]}


def _of_class(scores: Mapping[str, Any], label: str) -> Mapping[str, Any]:
    """Return the Dice of a class and its ends."""
    value: Any = scores["classes"][label]["dice"]
    if "intervals" not in scores:
        return dict(value)
    return {"value": value, **scores["intervals"]["classes"][label]["dice"]}


def _dice_cells(scores: Sequence[Mapping[str, Any]], promised: bool) -> list[str]:
    """Return the values and ends of the Dice before, the Dice after, and the change."""
    cells = []
    for score, form in zip(scores, (".3f", ".3f", "+.3f"), strict=True):
        cells += [_rounded(score["value"], form), _ends(score, promised, form)]
    return cells


def _ends(estimate: Mapping[str, Any], promised: bool, form: str) -> str:
    """Return the ends of the interval, or of the spread of the groups."""
    low = estimate["low"] if promised else estimate["lowest"]
    high = estimate["high"] if promised else estimate["highest"]
    if low is None or high is None:
        return "-"
    between = " " if form.startswith("+") else "-"
    return f"{low:{form}}{between}{high:{form}}"


def _rounded(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"


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
            table.add_row(name, SCORES[score], *change)
            name = Text("")
        found = [_images_with(scores, label) for scores in (tuned.before, tuned.after)]
        table.add_row("", "predicted in", *found, end_section=True)
    mean_change = _change(tuned.before["mean"], tuned.after["mean"], "dice_foreground")
    table.add_row("mean foreground", "Dice", *mean_change, end_section=True)
    name = Text("all classes")
    for score, header in _CALIBRATION.items():
        change = _change(tuned.before["reliability"], tuned.after["reliability"], score)
        table.add_row(name, header, *change)
        name = Text("")
    return table


def _images_with(scores: Mapping[str, Any], label: str) -> str:
    """Return the number of images whose mask shows a class."""
    return str(scores["images_with_prediction"][label])


def _change(before: Mapping[str, Any], after: Mapping[str, Any], score: str) -> tuple[str, str]:
    return as_cell(before[score]), as_cell(after[score])
