"""An inspection to read: on the screen, and as a page of HTML with pictures."""

from __future__ import annotations

import base64
import html
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from segkit.inspection.inspect import Inspection, as_json
from segkit.io.images import as_display, write_picture_for_user
from segkit.io.overlay import overlay, panel
from segkit.system.terminal import shown
from segkit.task import VOID

EXAMPLES = 6
Row = tuple[str, ...]


def on_screen(inspection: Inspection) -> RenderableType:
    """Return the inspection for a terminal: facts, classes, problems, verdict."""
    report = as_json(inspection)
    lines = [shown(f"{what}: {told}") for what, told in summary_lines(report)]
    parts: list[RenderableType] = [Text("\n".join(lines))]
    if report["classes"]:
        table = Table(title="classes", title_justify="left")
        for heading in CLASS_HEADINGS:
            table.add_column(heading, justify="left" if heading == "class" else "right")
        for row in class_rows(report):
            table.add_row(
                *map(Text, row)
            )  # a plain string is markup, and a class may be called [so]
        parts.append(table)
    for problem in inspection.problems:
        parts.append(
            Text(
                shown(f"{problem.level} {problem}", lines=True),
                style="red" if problem.level == "error" else "yellow",
            )
        )
    if not inspection.problems:
        parts.append(Text("no problem found", style="green"))
    parts.append(
        Text(
            f"verdict: {inspection.verdict or 'none, because no sample could be read'}",
            style="bold",
        )
    )
    return Group(*parts)


CLASS_HEADINGS = (
    "class",
    "share of pixels",
    "in images",
    "pieces",
    "area of a piece (10 %, median, 90 %)",
)


def summary_lines(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the facts of the data set as (what, words)."""
    images = report["images"]
    told = [
        ("masks read as", report["read_as"]),
        (
            "samples",
            ", ".join(f"{count} {part}" for part, count in report["samples"].items() if count)
            or "none",
        ),
    ]
    if not images:
        return told
    spans = [
        f"{_span(images[side])} {word}" for side, word in (("width", "wide"), ("height", "high"))
    ]
    percentiles = [
        f"{p} %: {', '.join(f'{v:g}' for v in values)}"
        for p, values in images["percentiles"].items()
    ]
    return [
        *told,
        (
            "images",
            f"{', '.join(spans)}; {', '.join(images['dtype'])}, {_joined(images['bands'])} band(s)",
        ),
        (
            "values",
            f"{images['low']:g} to {images['high']:g}; median percentiles a band: {'; '.join(percentiles)}",
        ),
        ("empty masks", str(report["empty_masks"])),
        ("unlabelled (void)", f"{100 * report['void_share']:.3g} % of the pixels"),
        ("pixels of several classes", f"{report['overlap_pixels']:,}"),
    ]


def class_rows(report: dict[str, Any]) -> list[Row]:
    """Return the rows under `CLASS_HEADINGS`."""
    rows: list[Row] = []
    for name, facts in report["classes"].items():
        areas = facts["piece_area_10_50_90"]
        rows.append(
            (
                name,
                f"{100 * facts['share']:.3g} %",
                str(facts["images"]),
                str(facts["pieces"]) if areas else "",
                ", ".join(f"{area:,}" for area in areas) if areas else "",
            )
        )
    return rows


def inspection_html(inspection: Inspection) -> str:
    """Return a page that stands alone, its pictures inside."""
    report, escape = as_json(inspection), html.escape
    facts = "".join(
        f"<tr><th>{escape(what)}</th><td>{escape(told)}</td></tr>"
        for what, told in summary_lines(report)
    )
    head = "".join(f"<th>{heading}</th>" for heading in CLASS_HEADINGS)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in class_rows(report)
    )
    problems = "".join(
        f'<li class="{problem.level}"><b>{problem.level}</b> {escape(str(problem))}</li>'
        for problem in inspection.problems
    )
    pictures = examples(inspection)
    shown = (
        f'<h2>Examples</h2><img alt="images and their masks" src="{_embedded(pictures)}">'
        if pictures is not None
        else ""
    )
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>segkit inspect</title><style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }}
table {{ border-collapse: collapse }} th, td {{ text-align: left; padding: .2em .8em; border-bottom: 1px solid #ddd }}
.error b {{ color: #b00020 }} .warning b {{ color: #9a6700 }} .verdict {{ background: #eef4ff; padding: 1em }}
img {{ max-width: 100% }}
</style></head><body><h1>What the data are</h1>
<p class="verdict">{escape(str(inspection.verdict or "No sample could be read."))}</p>
<h2>Problems</h2><ul>{problems or "<li>none found</li>"}</ul>
<h2>Images and masks</h2><table>{facts}</table>
<h2>Classes</h2><table><tr>{head}</tr>{rows}</table>
{shown}</body></html>
"""


def examples(inspection: Inspection) -> np.ndarray | None:
    """Return a screen of images and overlays, (H, W, 3) uint8, of samples spread over the data set; those with objects."""
    task = inspection.task
    full = [fact for fact in inspection.survey.facts if fact.classes[list(task.foreground)].any()]
    choice = full or inspection.survey.facts
    places = dict.fromkeys(
        np.linspace(0, len(choice) - 1, min(EXAMPLES, len(choice))).round().astype(int).tolist()
    )
    pairs = []
    names: list[str] = []
    for fact in (choice[place] for place in places):
        sample = inspection.parts[fact.part].read(fact.name)
        target = task.encode(sample.mask, fact.name, void=VOID)
        pairs += [
            as_display(sample.image, sample.valid),
            overlay(task, sample.image, target, valid=sample.valid),
        ]
        names += [sample.name, ""]
    if not pairs:
        return None
    pairs += [np.full((8, 8, 3), 255, np.uint8)] * (-len(pairs) % 4)
    rows = [pairs[i : i + 4] for i in range(0, len(pairs), 4)]
    names_of_rows = [names[i : i + 4] for i in range(0, len(names), 4)]
    return panel(task, rows, ("image", "mask", "image", "mask"), names_of_rows)


def write_examples(inspection: Inspection, path: Path) -> bool:
    """Write the `examples` as a picture; return False, and write nothing, if there are none."""
    sheet = examples(inspection)
    if sheet is not None:
        write_picture_for_user(path, sheet)
    return sheet is not None


def _embedded(picture: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _span(facts: dict[str, Any]) -> str:
    low, median, high = facts["smallest"], facts["median"], facts["largest"]
    return f"{low}" if low == high else f"{low} to {high} (median {median:g})"


def _joined(values: list[int]) -> str:
    return " or ".join(map(str, values))
