"""What the template of a report shows: tables as text, and figures as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from segkit import __version__
from segkit.config import RunConfig
from segkit.evaluation.image_scores import ImageScores, as_rows, worst_first
from segkit.evaluation.open_pixels import is_sparse
from segkit.evaluation.surfaces import BoundaryScores
from segkit.inspection.report import CLASS_HEADINGS, class_rows, summary_lines
from segkit.inspection.summary import DataSummary
from segkit.io.overlay import legend_of
from segkit.reporting.album import Chapter
from segkit.reporting.drawings import CONFUSED, INVENTED, MISSED
from segkit.reporting.figures import learning_figures, reliability_figure, threshold_figure
from segkit.reporting.loss_bars import loss_bars
from segkit.reporting.sentences import reproduction, verdict_sentences
from segkit.run.folder import Row
from segkit.task import Task

MOST_CLASSES = 12
"""Largest number of classes with a figure of their own."""
MOST_ROWS = 1000
"""Largest number of images in the table."""
SECTIONS = {
    "scores": ("Scores", "intervals"),
    "training": ("Training", "learning"),
    "classes": ("Classes", "classes"),
    "pictures": ("Pictures", "chapters"),
    "images": ("All images", "images"),
    "loss": ("Lost Dice", "losses"),
    "confusion": ("Confusion", "confusion"),
    "reliability": ("Reliability", "reliability"),
    "thresholds": ("Thresholds", "thresholds"),
    "data": ("Data", "data"),
    "config": ("Config", "config_lines"),
    "environment": ("Environment", "environment"),
    "again": ("Reproduce", "commands"),
}
"""Anchor of each section, with its title and the variable that it shows."""
VIEWS = ("image", "truth", "prediction", "errors")
"""The pictures of an image."""
Rows = list[tuple[str, ...]]
CLASS_SCORES = ("dice", "iou", "precision", "recall")
OBJECTS = ("true", "found", "missed", "invented")


@dataclass(frozen=True)
class Reported:
    """Everything that a report is made of."""

    config: RunConfig
    runs: Sequence[Path]
    """The run folders whose predictions were averaged, at least one."""
    where: str
    """The images that were scored, such as "the test part"."""
    scores: Mapping[str, Any] | None = None
    """The report of an evaluation; None if nothing was scored."""
    images: Sequence[ImageScores] = ()
    """The scores of each image; empty if they are unknown."""
    chapters: Sequence[Chapter] = ()
    histories: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    """The history of each run, by its name."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    """The content of environment.json."""
    data: DataSummary | None = None
    config_text: str = ""
    """The config as a file, with comments."""
    arguments: Sequence[str] = ()
    """The arguments of `segkit report` with which it can be made again."""


class PlottedCurve(NamedTuple):
    """A curve of the page as a figure."""

    title: str
    svg: str
    note: str = ""
    """A sentence that says the same in numbers."""


def page_values(reported: Reported) -> dict[str, Any]:
    """Return the variables of the template report.html.jinja."""
    task = reported.config.task
    scores = reported.scores
    if scores is not None and not scores["images"]:
        scores = None
    first = next(iter(reported.histories.values()), [])
    known = scores or {}
    values: dict[str, Any] = {
        "name": " + ".join(run.resolve().name for run in reported.runs),
        "about": _about(reported),
        "verdict": verdict_sentences(scores, reported.where, first),
        "scores": scores,
        "interval_headings": _interval_headings(known),
        "intervals": interval_rows(known),
        "few_groups": _has_few_groups(known),
        "class_headings": _class_headings(reported),
        "classes": _class_rows(reported),
        "learning": _learning_curves(reported.histories),
        "chapters": reported.chapters,
        "views": VIEWS,
        "legend": legend_of(task, is_sparse(known)),
        "error_legend": _error_legend(task),
        "image_headings": _image_headings(reported),
        "images": _image_rows(reported),
        "more_images": max(0, len(reported.images) - MOST_ROWS),
        "losses": loss_bars(known.get("lost", {}), known.get("ceiling", {})),
        "confusion": _confusion_rows(known.get("confusion")),
        "reliability": _reliability_curves(known.get("reliability", {})),
        "thresholds": _threshold_curves(known.get("thresholds", {})),
        "data": _data_values(reported.data),
        "config_lines": reported.config_text.splitlines(),
        "environment": environment_rows(reported),
        "commands": reproduction(reported.runs, reported.environment, reported.arguments),
    }
    sections = [(name, title) for name, (title, variable) in SECTIONS.items() if values[variable]]
    return {**values, "sections": sections}


def _about(reported: Reported) -> str:
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    if reported.scores is None:
        return f"A report made on {date} UTC with segkit {__version__}."
    count = reported.scores["images"]
    images = f"{count} image{'s' if count != 1 else ''}"
    return f"{images} of {reported.where}, reported on {date} UTC by segkit {__version__}."


def _has_few_groups(scores: Mapping[str, Any]) -> bool:
    """Return whether the table shows the spread, because no interval can be promised."""
    ends = scores.get("intervals", {}).get("mean", {}).get("dice_foreground")
    return ends is not None and ends["low"] is None


def _interval_headings(scores: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the headings of `interval_rows`."""
    ends = "95 % interval"
    if _has_few_groups(scores):
        ends = "lowest to highest"
    return ("class", "score", "data set", ends, "per image", ends)


def interval_rows(scores: Mapping[str, Any]) -> Rows:
    """Return Dice and IoU of both aggregations, with intervals or the spread of the groups.

    Args:
        scores: The report of an evaluation; one of an older version has no intervals.
    """
    rows: Rows = []
    if not scores:
        return rows
    intervals = scores.get("intervals", {"mean": {}, "classes": {}})
    per_image = scores.get("per_image", {"mean": {}, "classes": {}})
    for score, label in (("dice", "Dice"), ("iou", "IoU")):
        key = f"{score}_foreground"
        pooled = _with_ends(scores["mean"].get(key), intervals["mean"].get(key))
        single = per_image["mean"].get(score, {})
        rows.append(("mean foreground", label, *pooled, *_with_ends(single.get("value"), single)))
    for name in scores.get("lost", scores["classes"]):
        for score, label in (("dice", "Dice"), ("iou", "IoU")):
            ends = intervals["classes"].get(name, {}).get(score)
            pooled = _with_ends(scores["classes"][name][score], ends)
            single = per_image["classes"].get(name, {}).get(score, {})
            rows.append((name, label, *pooled, *_with_ends(single.get("value"), single)))
    return rows


def _with_ends(value: float | None, ends: Mapping[str, Any] | None) -> tuple[str, str]:
    """Return a score, and its interval or the spread of the groups."""
    if not ends:
        return _number(value), "-"
    low = ends["low"]
    high = ends["high"]
    if low is None:
        low = ends["lowest"]
        high = ends["highest"]
    if low is None or high is None:
        return _number(value), "-"
    return _number(value), f"{low:.3f} to {high:.3f}"


def _number(value: float | str | None) -> str:
    """Return a score with three decimals, and a hyphen for a missing one."""
    if value is None or value == "":
        return "-"
    return f"{float(value):.3f}"


def _class_headings(reported: Reported) -> tuple[str, ...]:
    headings = ["class", "Dice", "IoU", "precision", "recall", "true pixels", "predicted"]
    if reported.images:
        headings += ["objects", "found", "missed", "invented"]
    if _has_boundaries(reported):
        headings += ["HD95", "surface distance", "surface Dice", "boundary IoU"]
    return tuple(headings)


def _has_boundaries(reported: Reported) -> bool:
    return reported.scores is not None and "boundary" in reported.scores


def _class_rows(reported: Reported) -> Rows:
    """Return a row per class; objects and boundary scores are those of foreground classes."""
    if reported.scores is None:
        return []
    task = reported.config.task
    rows: Rows = []
    for label, (name, values) in enumerate(reported.scores["classes"].items()):
        cells = [name, *(_number(values[score]) for score in CLASS_SCORES)]
        cells += [f"{values['pixels_true']:,}", f"{values['pixels_predicted']:,}"]
        if reported.images:
            cells += _object_cells(task, reported.images, label)
        if _has_boundaries(reported):
            means = reported.scores["per_image"]["classes"].get(name, {})
            for score in BoundaryScores._fields:
                cells.append(_number(means.get(score, {}).get("value")))
        rows.append(tuple(cells))
    return rows


def _object_cells(task: Task, images: Sequence[ImageScores], label: int) -> list[str]:
    if label not in task.foreground:
        return ["-"] * len(OBJECTS)
    place = task.foreground.index(label)
    cells = []
    for name in OBJECTS:
        cells.append(f"{sum(getattr(image.objects[place], name) for image in images):,}")
    return cells


def _learning_curves(histories: Mapping[str, Sequence[Row]]) -> list[PlottedCurve]:
    curves: list[PlottedCurve] = []
    for number, (name, rows) in enumerate(histories.items()):
        if not rows:
            continue
        notes = _learning_notes(rows)
        for title, svg in learning_figures(rows, f"run{number}").items():
            if len(histories) > 1:
                title = f"{title}: {name}"
            curves.append(PlottedCurve(title, svg, notes[len(curves) % len(notes)]))
    return curves


def _learning_notes(rows: Sequence[Row]) -> list[str]:
    """Return what the curves of losses, Dice, learning rate and time show."""
    last = rows[-1]
    dice = [row.get("val_dice_foreground", row.get("dice_foreground", math.nan)) for row in rows]
    known = [score for score in dice if not math.isnan(score)] or [0.0]
    rates = [row.get("learning_rate", 0.0) for row in rows]
    minutes = sum(row.get("seconds", 0.0) for row in rows) / 60
    first_loss = rows[0].get("loss", 0.0)
    return [
        f"The training loss goes from {first_loss:.4g} to {last.get('loss', 0.0):.4g}.",
        f"The highest Dice is {max(known):.3f}, and the last one is {known[-1]:.3f}.",
        f"The learning rate is between {min(rates):.2g} and {max(rates):.2g}.",
        f"{len(rows)} epochs took {minutes:.1f} minutes.",
    ]


def _error_legend(task: Task) -> list[tuple[str, tuple[int, int, int]]]:
    legend = [("missed", MISSED), ("invented", INVENTED)]
    if len(task.foreground) > 1:
        legend.append(("confused with another class", CONFUSED))
    return legend


def _image_headings(reported: Reported) -> list[str]:
    headings = ["image"]
    if _has_groups(reported):
        headings.append("group")
    headings += ["Dice", "IoU", "precision", "recall"]
    headings += [f"Dice of {name}" for name in _shown_classes(reported.config.task)]
    return [*headings, "missed", "invented"]


def _has_groups(reported: Reported) -> bool:
    return any(image.group != image.name for image in reported.images)


def _shown_classes(task: Task) -> list[str]:
    """Return the foreground classes with a column; none if there is only one."""
    names = [task.classes[label] for label in task.foreground]
    return names[:MOST_CLASSES] if len(names) > 1 else []


def _image_rows(reported: Reported) -> list[list[str]]:
    """Return the rows of the table of images, worst first."""
    task = reported.config.task
    images = worst_first(task, reported.images)[:MOST_ROWS]
    table = []
    for image, row in zip(images, as_rows(task, images), strict=True):
        cells = [image.name]
        if _has_groups(reported):
            cells.append(image.group)
        cells += [_number(row[f"mean {score}"]) for score in CLASS_SCORES]
        cells += [_number(row[f"{name} dice"]) for name in _shown_classes(task)]
        cells.append(str(sum(counts.missed for counts in image.objects)))
        cells.append(str(sum(counts.invented for counts in image.objects)))
        table.append(cells)
    return table


class ConfusionRow(NamedTuple):
    """A row of the confusion matrix: a true class."""

    name: str
    pixels: list[int]
    """Pixels of each predicted class."""
    shares: list[float]
    """Their share of the row, 0 to 1."""


def _confusion_rows(confusion: Mapping[str, Any] | None) -> list[ConfusionRow]:
    if confusion is None:
        return []
    rows = []
    for name, pixels in zip(confusion["classes"], confusion["pixels"], strict=True):
        total = max(1, sum(pixels))
        rows.append(ConfusionRow(name, pixels, [count / total for count in pixels]))
    return rows


def _reliability_curves(diagrams: Mapping[str, Any]) -> list[PlottedCurve]:
    curves = []
    for number, (name, diagram) in enumerate(list(diagrams.items())[:MOST_CLASSES]):
        if diagram["error"] is None:
            continue
        note = f"calibration error {diagram['error']:.4f}"
        curves.append(PlottedCurve(name, reliability_figure(diagram, f"reliability{number}"), note))
    return curves


def _threshold_curves(thresholds: Mapping[str, Any]) -> list[PlottedCurve]:
    curves = []
    for number, (name, curve) in enumerate(list(thresholds.items())[:MOST_CLASSES]):
        note = f"threshold in use: {curve['chosen']:.3g}"
        known = [each for each in curve["dice"] if each is not None]
        if known:
            best = curve["thresholds"][curve["dice"].index(max(known))]
            note += f"; the highest Dice is {max(known):.3f} at {best:.3g}"
        curves.append(PlottedCurve(name, threshold_figure(curve, f"threshold{number}"), note))
    return curves


def _data_values(data: DataSummary | None) -> dict[str, Any] | None:
    if data is None:
        return None
    return {
        "facts": summary_lines(data),
        "headings": CLASS_HEADINGS,
        "classes": class_rows(data),
        "problems": data.problems,
    }


def environment_rows(reported: Reported) -> list[tuple[str, str]]:
    """Return seed, times, machine and versions, each a name and a text."""
    found = reported.environment
    rows = [("seed", str(reported.config.train.seed))]
    for name, history in reported.histories.items():
        seconds = sum(row.get("seconds", 0.0) for row in history)
        label = "training" if len(reported.histories) == 1 else f"training of {name}"
        rows.append((label, f"{len(history)} epochs in {seconds / 60:.1f} minutes"))
    for key in ("started", "platform", "cores", "python", "backend"):
        if key in found:
            rows.append((key, str(found[key])))
    for package, version in found.get("packages", {}).items():
        rows.append((str(package), str(version)))
    return rows
