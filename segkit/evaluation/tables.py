"""Results as a table on the screen."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from segkit.run.tuned import Tuned
from segkit.task import Task


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
    table.add_row(
        "mean, foreground", _shown(mean["iou_foreground"]), _shown(mean["dice_foreground"])
    )
    table.add_row("mean, with background", _shown(mean["iou_with_background"]))
    if report["absent"]:
        table.caption = f"absent, left out of the means: {', '.join(report['absent'])}"
    return table


def tuned_table(task: Task, tuned: Tuned) -> Table:
    """Return what `segkit tune` chose, and the scores before and after it, as a table: a row a class, the means below."""
    temperature = f"temperature {tuned.decode.temperature:g}"
    title = (
        f"tuned for {tuned.goal} on {tuned.images} images of the {tuned.part} part, {temperature}"
    )
    table = Table(title=title, title_justify="left")
    for name in ("class", "threshold", "rules for objects"):
        table.add_column(name)
    for name in ("dice", "precision", "recall", "images"):
        table.add_column(name, justify="right")
    for i, (label, rule) in enumerate(zip(task.classes, tuned.decode.rules(task), strict=True)):
        before, after = tuned.before["classes"][label], tuned.after["classes"][label]
        threshold = "-" if tuned.thresholds is None else f"{tuned.thresholds[i]:.3f}"
        scores = [_change(before[name], after[name]) for name in ("dice", "precision", "recall")]
        words = [f"at least {rule.smallest} pixels"] * (rule.smallest > 1)
        words += ["largest only"] * rule.keep_largest + ["holes filled"] * rule.fill_holes
        images = f"{tuned.before['images'][label]} > {tuned.after['images'][label]}"
        table.add_row(label, threshold, ", ".join(words) or "-", *scores, images)
    table.add_section()
    dice = _change(tuned.before["mean"]["dice_foreground"], tuned.after["mean"]["dice_foreground"])
    table.add_row("mean, foreground", "", "", dice)
    for name, meaning in (
        ("ece", "calibration error"),
        ("brier", "Brier score"),
        ("nll", "log-likelihood, negative"),
    ):
        table.add_row(
            meaning,
            "",
            "",
            _change(tuned.before["reliability"][name], tuned.after["reliability"][name]),
        )
    table.caption = (
        "before > after; images: those in which the class is found; optimistic after tuning, since everything was chosen on "
        "these images"
    )
    return table


def _change(before: float | None, after: float | None) -> str:
    return f"{_shown(before)} > {_shown(after)}"


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
