"""What an evaluation shows below the scores: intervals, worst images, losses. In 80 columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from segkit.data.pixel_size import PIXELS
from segkit.evaluation.error_causes import CONFUSED
from segkit.evaluation.intervals import PROMISED
from segkit.evaluation.summary import DISTANCES
from segkit.evaluation.surfaces import BoundaryScores
from segkit.evaluation.tables import (
    add_label_column,
    add_number_column,
    as_cell,
    plain_table,
    scores_table,
)
from segkit.system.terminal import shown

_OVERLAPS = {"dice": "Dice", "iou": "IoU"}
_BOUNDARY = ("HD95", "surface dist.", "surface Dice", "boundary IoU")
_CAUSES = ("boundary", "missed", "invented")
_PAIRS = 3
"""Number of pairs of classes that are named with the losses."""


def evaluation_tables(report: Mapping[str, Any]) -> Group:
    """Return the tables of an evaluation.

    Args:
        report: What `segkit.evaluate` returns, or the content of scores.json. A report of an older
            version has the scores alone; that of folds has neither losses nor boundary scores.
    """
    parts: list[RenderableType] = [scores_table(dict(report))]
    if "intervals" in report:
        parts += [Text(""), intervals_table(report)]
    if "boundary" in report:
        parts += [Text(""), boundary_table(report)]
    if "lost" in report:
        parts += [Text(""), losses_table(report)]
    if "worst" in report:
        parts += [Text(""), worst_table(report)]
    if "stands_out" in report:
        parts.append(Text(report["stands_out"]))
    return Group(*parts)


def intervals_table(report: Mapping[str, Any]) -> Table:
    """Return Dice and IoU of both aggregations, with intervals, one row per class and score.

    With too few groups for intervals, the lowest and the highest score of a group is shown instead.
    """
    promised = _number_of_groups(report) >= PROMISED
    header = "95 %" if promised else "spread"
    table = plain_table()
    add_label_column(table, "class")
    table.add_column("score", no_wrap=True)
    for name in ("data set", header, "per image", header):
        add_number_column(table, name)
    for score, name in _OVERLAPS.items():
        of_mean = f"{score}_foreground"
        pooled = {"value": report["mean"][of_mean], **report["intervals"]["mean"][of_mean]}
        single = report["per_image"]["mean"][score]
        cells = (*_cells(pooled, promised), *_cells(single, promised))
        table.add_row("mean foreground", name, *cells)
    for label, scores in report["per_image"]["classes"].items():
        for score, name in _OVERLAPS.items():
            value = report["classes"][label][score]
            pooled = {"value": value, **report["intervals"]["classes"][label][score]}
            cells = (*_cells(pooled, promised), *_cells(scores[score], promised))
            table.add_row(Text(shown(label)), name, *cells)
    table.caption = Text(interval_caption(report["images"], report["groups"]))
    return table


def boundary_table(report: Mapping[str, Any]) -> Table:
    """Return the means of the images' boundary scores, one row per class."""
    table = plain_table()
    add_label_column(table, "class")
    settings = report["boundary"]
    unit = settings.get("unit")
    for name, header in zip(BoundaryScores._fields, _BOUNDARY, strict=True):
        in_length = name in DISTANCES and unit not in (None, PIXELS)
        add_number_column(table, f"{header}, {unit}" if in_length else header)
    rows = {"mean foreground": report["per_image"]["mean"], **report["per_image"]["classes"]}
    for label, scores in rows.items():
        cells = [as_cell(scores[name]["value"]) for name in BoundaryScores._fields]
        table.add_row(Text(shown(label)), *cells)
    table.caption = Text("means per image; " + boundary_words(settings))
    return table


def boundary_words(settings: Mapping[str, Any]) -> str:
    """Return the pixel size and the tolerance of boundary scores, and their unit.

    Args:
        settings: The entry "boundary" of a report; that of an older version has no unit.

    >>> boundary_words({"spacing": [0.5, 0.5], "tolerance": 1, "unit": "m", "varies": False})
    'a pixel is 0.5 x 0.5 m, the tolerance of surface Dice is 1 m'
    """
    height, width = settings["spacing"]
    unit = settings.get("unit")
    tolerance = f"the tolerance of surface Dice is {settings['tolerance']:.4g}"
    if unit == PIXELS:
        return f"distances are in pixels, {tolerance}"
    of_unit = f" {unit}" if unit else ""
    median = " (median)" if settings.get("varies") else ""
    return f"a pixel is {height:.4g} x {width:.4g}{of_unit}{median}, {tolerance}{of_unit}"


def losses_table(report: Mapping[str, Any]) -> Table:
    """Return the losses of Dice by cause, one row per class, beside the ceiling."""
    ceilings = report["ceiling"]
    table = plain_table()
    add_label_column(table, "class")
    for header in ("1 - Dice", *_CAUSES, "confused", "rest"):
        add_number_column(table, header)
    add_number_column(table, "ceiling")
    for label, losses in report["lost"].items():
        cells = ["-"] * 6
        if losses:
            causes = [losses[cause] for cause in _CAUSES]
            confused = sum(value for cause, value in losses.items() if _is_confusion(cause))
            values = [sum(losses.values()), *causes, confused, losses["rest"]]
            cells = [as_cell(value) for value in values]
        cells.append(as_cell(ceilings["moved"]["classes"][label]["dice"]))
        table.add_row(Text(shown(label)), *cells)
    lines = ["ceiling: Dice of the true masks against themselves moved by one pixel"]
    if "annotators" in ceilings:
        annotators = ceilings["annotators"]
        dice = as_cell(annotators["dice"])
        lines.append(f"two annotators of {annotators['images']} images: mean Dice {dice}")
    table.caption = Text("\n".join([*lines, *_largest_confusions(report)]))
    return table


def worst_table(report: Mapping[str, Any]) -> Table:
    """Return the images with the lowest Dice."""
    table = plain_table()
    add_label_column(table, "images with the lowest Dice")
    add_number_column(table, "Dice")
    for image in report["worst"]:
        table.add_row(Text(shown(image["image"])), as_cell(image["dice"]))
    return table


def _number_of_groups(report: Mapping[str, Any]) -> int:
    groups = report["groups"]
    return report["images"] if groups is None else groups


def _cells(score: Mapping[str, Any], promised: bool) -> tuple[str, str]:
    """Return a score, and the ends of its interval or of the spread."""
    low = score["low"] if promised else score["lowest"]
    high = score["high"] if promised else score["highest"]
    ends = "-" if low is None or high is None else f"{low:.3f}-{high:.3f}"
    return as_cell(score["value"]), ends


def interval_caption(images: int, groups: int | None) -> str:
    """Return what the columns of intervals show.

    Args:
        images: Number of scored images.
        groups: Number of their groups; None if there are no groups.
    """
    number = images if groups is None else groups
    units = "images" if groups is None else "groups"
    if number >= PROMISED:
        return f"95 %: interval over {number} {units}"
    return (
        f"no interval can be promised for fewer than {PROMISED} {units}; found {number}\n"
        f"spread: the lowest and the highest score of the {units}"
    )


def _largest_confusions(report: Mapping[str, Any]) -> list[str]:
    """Return a line for each of the pairs of classes that cost the most Dice."""
    pairs = []
    for label, losses in report["lost"].items():
        for cause, loss in losses.items():
            if _is_confusion(cause) and loss > 0:
                pairs.append((loss, f"{shown(label)} {shown(cause)}: {loss:.4f}"))
    return [line for _, line in sorted(pairs, reverse=True)[:_PAIRS]]


def _is_confusion(cause: str) -> bool:
    return cause.startswith(CONFUSED)
