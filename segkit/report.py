"""Results as a table on the screen."""

from __future__ import annotations

from typing import Any

from rich.table import Table


def scores_table(report: dict[str, Any]) -> Table:
    """Return the scores of `counts.report` as a table: a row a class, the means below, absent classes named."""
    part = f" of the {report['part']} part" if "part" in report else ""
    table = Table(
        title=f"scores over {report['images']} images{part}, pixels of all images counted together",
        title_justify="left",
    )
    table.add_column("class")
    names = ("iou", "dice", "precision", "recall")
    for name in (*names, "true pixels", "predicted"):
        table.add_column(name, justify="right")
    for label, values in report["classes"].items():
        pixels = (f"{values['pixels_true']:,}", f"{values['pixels_predicted']:,}")
        table.add_row(label, *(_shown(values[name]) for name in names), *pixels)
    mean = report["mean"]
    table.add_section()
    table.add_row("mean, foreground", _shown(mean["iou_foreground"]), _shown(mean["dice_foreground"]))
    table.add_row("mean, with background", _shown(mean["iou_with_background"]))
    if report["absent"]:
        table.caption = f"absent, left out of the means: {', '.join(report['absent'])}"
    return table


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
