"""Results as tables on the screen. They fit into 80 columns unless names of classes are long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from segkit.system.terminal import counted, shown

SCORES = {"iou": "IoU", "dice": "Dice", "precision": "precision", "recall": "recall"}
"""Scores of a class, and their names on the screen."""
_MOST_OPEN = 5
"""Number of classes whose open pixels are named."""


def scores_table(report: dict[str, Any]) -> Table:
    """Return the scores of `counts.score_report` as a table.

    It has one row per class and parent, and the means below. The caption names the absent classes,
    and those of which the truth leaves pixels open.

    Args:
        report: From `counts.score_report`; "part" and "folds" may be added to it.
    """
    table = plain_table(_title(report))
    add_label_column(table, "class")
    for header in (*SCORES.values(), "true pixels", "predicted"):
        add_number_column(table, header)
    rows = {**report["classes"], **report.get("parents", {})}
    for label, values in rows.items():
        cells = [as_cell(values[score]) for score in SCORES]
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
    table.caption = Text("\n".join([caption, *_open_classes(report)]))
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


def _open_classes(report: Mapping[str, Any]) -> list[str]:
    """Return a line for each of the classes whose truth is most open, with the bounds of Dice."""
    lines = []
    for label, values in report.get("open", {}).items():
        known = values["known"]
        if known is None or known == 1:
            continue
        low, high = map(as_cell, values["dice_bounds"])
        text = (
            f"{100 * known:.3g} % of the pixels are labelled; Dice would be {low} if all others "
            f"were wrong and {high} if they were right"
        )
        lines.append((known, f"{shown(label)}: {text}"))
    return [line for _, line in sorted(lines)[:_MOST_OPEN]]


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


def as_cell(value: float | None) -> str:
    """Return a score with four decimals, and "-" for None."""
    if value is None:
        return "-"
    return f"{value:.4f}"
