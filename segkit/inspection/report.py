"""The report of an inspection for people: on the screen, and as an HTML page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from segkit.html.page import (
    Histogram,
    PagePicture,
    as_picture,
    make_histogram,
    render_fragment,
    render_page,
)
from segkit.inspection.agreement import agreement_line
from segkit.inspection.data_sets import set_lines
from segkit.inspection.examples import choose_examples, example_pair, has_strokes, side_by_side
from segkit.inspection.fingerprint import SampleFingerprint
from segkit.inspection.inspect import Inspection
from segkit.inspection.intensities import PERCENTILES
from segkit.inspection.pixel_size import pixel_size_line
from segkit.inspection.summary import DataSummary, SideLengths
from segkit.io.overlay import legend_of
from segkit.system.terminal import shown
from segkit.task import Task

CLASS_TITLE = "classes, and the sizes of their connected pieces in pixels"
CLASS_HEADINGS = ("class", "pixels", "images", "pieces", "10 %", "median", "90 %")
PERCENTILE_HEADINGS = ("band", *(f"{percent:g} %" for percent in PERCENTILES))
SIZE_HEADINGS = ("width x height, pixels", "images")
NO_VERDICT = "none, because no sample could be read"
MOST_ROWS = 10
"""Largest number of rows for bands and for sizes."""
MOST_HISTOGRAMS = 12
"""Largest number of classes that get a histogram."""
PICTURE_WIDTH = 320
"""Width of an image on the page, pixels."""
Rows = Sequence[tuple[str, ...]]
LEVEL_STYLES = {"error": "red", "warning": "yellow"}


def on_screen(inspection: Inspection) -> RenderableType:
    """Return the report for a terminal: facts, tables, problems, verdict."""
    summary = inspection.summary()
    lines = [shown(f"{name}: {text}") for name, text in summary_lines(summary)]
    parts: list[RenderableType] = [Text("\n".join(lines))]
    percentiles = percentile_rows(summary)
    if percentiles:
        title = "pixel values per band (percentiles of an image, median over all images)"
        parts.append(_screen_table(title, PERCENTILE_HEADINGS, percentiles))
    if summary.classes:
        parts.append(_screen_table(CLASS_TITLE, CLASS_HEADINGS, class_rows(summary)))
    for problem in inspection.problems:
        line = shown(f"{problem.level} {problem}", lines=True)
        parts.append(Text(line, style=LEVEL_STYLES[problem.level]))
    if not inspection.problems:
        parts.append(Text("problems: none found", style="green"))
    parts.append(Text(f"verdict: {inspection.verdict or NO_VERDICT}", style="bold"))
    return Group(*parts)


def _screen_table(title: str, headings: Sequence[str], rows: Rows) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(headings[0])
    for heading in headings[1:]:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*map(Text, row))  # rich would read a string such as [so] as markup
    return table


def summary_lines(summary: DataSummary) -> list[tuple[str, str]]:
    """Return the facts of the data set, each a name and a text."""
    counts = [f"{count} {part}" for part, count in summary.samples.items() if count]
    lines = [
        ("masks read as", summary.read_as),
        ("samples", ", ".join(counts) or "none"),
    ]
    if summary.groups is not None:
        lines.append(("groups", str(summary.groups)))
    images = summary.images
    if images is None:
        return lines
    bands = " or ".join(map(str, images.bands))
    size = f"{_range(images.width)} wide, {_range(images.height)} high"
    lines.append(("images", f"{size}; {', '.join(images.dtype)}, {bands} band(s)"))
    if summary.pixel_size is not None:
        lines.append(("pixel size", pixel_size_line(summary.pixel_size)))
    return [
        *lines,
        ("values", f"{images.low:g} to {images.high:g}"),
        ("empty masks", str(summary.empty_masks)),
        ("unlabelled (void)", f"{100 * summary.void_share:.3g} % of the pixels"),
        ("pixels of several classes", f"{summary.overlap_pixels:,}"),
        *_partly_known(summary),
        *_agreement(summary),
        *set_lines(summary.sets),
    ]


def _partly_known(summary: DataSummary) -> list[tuple[str, str]]:
    """Return a line about the classes of which labelled pixels say nothing; none without one."""
    images = sum(summary.samples.values()) - summary.unreadable
    texts = []
    for name, facts in summary.classes.items():
        if facts.known_share < 1:
            share = f"{100 * facts.known_share:.3g} % of the labelled pixels"
            texts.append(f"{name} is known in {facts.known_images} of {images} images ({share})")
    return [("partly labelled", "; ".join(texts))] if texts else []


def _agreement(summary: DataSummary) -> list[tuple[str, str]]:
    """Return a line about the agreement of annotators; none without them."""
    if summary.agreement is None:
        return []
    return [("annotators", agreement_line(summary.agreement))]


def _range(lengths: SideLengths) -> str:
    if lengths.smallest == lengths.largest:
        return str(lengths.smallest)
    return f"{lengths.smallest} to {lengths.largest} (median {lengths.median:g})"


def percentile_rows(summary: DataSummary) -> Rows:
    """Return the rows below `PERCENTILE_HEADINGS`, one per band."""
    if summary.images is None:
        return []
    columns = list(summary.images.percentiles.values())
    bands = len(columns[0])
    rows = []
    for band in range(min(bands, MOST_ROWS)):
        cells = [_short_number(column[band]) for column in columns]
        rows.append((str(band + 1), *cells))
    if bands > MOST_ROWS:
        rows.append((f"{bands - MOST_ROWS} more", *[""] * len(columns)))
    return rows


def _short_number(value: float) -> str:
    """Return a number with four digits, or with all digits before the point."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def class_rows(summary: DataSummary) -> Rows:
    """Return the rows below `CLASS_HEADINGS`, one per class."""
    rows = []
    for name, facts in summary.classes.items():
        pieces = ""
        sizes = ["", "", ""]
        if facts.piece_area_10_50_90:
            pieces = str(facts.pieces)
            sizes = [f"{size:,}" for size in facts.piece_area_10_50_90]
        share = f"{100 * facts.share:.3g} %"
        rows.append((name, share, str(facts.images), pieces, *sizes))
    return rows


def size_rows(facts: Sequence[SampleFingerprint]) -> Rows:
    """Return the rows below `SIZE_HEADINGS`: the most common sizes of images."""
    sizes = Counter((fact.size[1], fact.size[0]) for fact in facts)
    rows = []
    for (width, height), count in sizes.most_common(MOST_ROWS):
        rows.append((f"{width} x {height}", str(count)))
    listed = sum(count for _, count in sizes.most_common(MOST_ROWS))
    if len(facts) > listed:
        rows.append((f"{len(sizes) - MOST_ROWS} more sizes", str(len(facts) - listed)))
    return rows


def inspection_html(inspection: Inspection) -> str:
    """Return the report as an HTML page in one file, which contains its pictures."""
    return render_page("segkit.inspection", "inspect.html.jinja", _page_values(inspection))


def inspection_html_fragment(inspection: Inspection) -> str:
    """Return the report as HTML for a notebook."""
    return render_fragment("segkit.inspection", "inspect.html.jinja", _page_values(inspection))


def _count_of_images(summary: DataSummary) -> str:
    count = sum(summary.samples.values())
    return f"{count} image{'s' if count != 1 else ''}"


def _page_values(inspection: Inspection) -> dict[str, Any]:
    """Return the variables of the template inspect.html.jinja."""
    summary = inspection.summary()
    task = inspection.task
    facts = inspection.survey.facts
    return {
        "source": inspection.source or "data set",
        "about": f"{_count_of_images(summary)}, inspected on {date.today()}",
        "verdict": str(inspection.verdict or NO_VERDICT),
        "problems": inspection.problems,
        "examples": _example_pictures(inspection),
        "legend": legend_of(task, has_strokes(inspection)),
        "facts": summary_lines(summary),
        "class_title": CLASS_TITLE.capitalize(),
        "class_headings": CLASS_HEADINGS,
        "classes": class_rows(summary),
        "size_headings": SIZE_HEADINGS,
        "sizes": size_rows(facts),
        "percentile_headings": PERCENTILE_HEADINGS,
        "percentiles": percentile_rows(summary),
        "histograms": _histograms(inspection),
    }


def _example_pictures(inspection: Inspection) -> list[PagePicture]:
    task = inspection.task
    pictures = []
    for fact in choose_examples(task, inspection.survey.facts):
        classes = [task.classes[index] for index in task.foreground if fact.classes[index]]
        caption = f"{fact.name} ({fact.part}): {', '.join(classes) or 'no object'}"
        pair = example_pair(inspection, fact, PICTURE_WIDTH)
        pictures.append(as_picture(caption, side_by_side(pair)))
    return pictures


def _histograms(inspection: Inspection) -> list[Histogram]:
    """Return histograms of brightness, of foreground, and of the pieces of the first classes."""
    task = inspection.task
    facts = inspection.survey.facts
    median = PERCENTILES.index(50.0)
    brightness = [float(fact.percentiles[median].mean()) for fact in facts]
    foreground = [_foreground_percent(task, fact) for fact in facts if fact.labelled]
    found = [
        make_histogram("median value of an image", brightness, "images"),
        make_histogram("foreground of an image, % of its labelled pixels", foreground, "images"),
    ]
    for index in task.foreground[:MOST_HISTOGRAMS]:
        sizes = np.concatenate([np.zeros(0), *(fact.objects[index] for fact in facts)])
        title = f"{task.classes[index]}: size of a connected piece, pixels (logarithmic)"
        found.append(make_histogram(title, sizes, "pieces", logarithmic=True))
    return [histogram for histogram in found if histogram is not None]


def _foreground_percent(task: Task, fact: SampleFingerprint) -> float:
    covered = fact.classes[list(task.foreground)].sum()
    if task.can_overlap:
        covered = fact.labelled - fact.nothing
    return float(100 * covered / fact.labelled)
