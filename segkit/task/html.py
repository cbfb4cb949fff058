"""A task as a table for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from segkit.task.palette import Colour


def swatch(colour: Colour) -> str:
    """Return a small square of a colour, as HTML."""
    red, green, blue = colour
    style = f"display:inline-block;width:1em;height:1em;background:rgb({red},{green},{blue});border:1px solid #888"
    return f'<span style="{style}"></span>'


def as_html(
    kind: str,
    head: str,
    classes: Sequence[str],
    palette: Sequence[Colour],
    background: str | None,
    explained: str,
) -> str:
    """Return what a pixel can be as HTML: a row per class with its value and its colour, and why this head."""
    rows = []
    for value, (name, colour) in enumerate(zip(classes, palette, strict=True)):
        note = " (background)" if name == background else ""
        rows.append(
            f"<tr><td>{value}</td><td>{swatch(colour)}</td><td>{escape(name)}{note}</td></tr>"
        )
    return (
        f"<table><caption>{escape(kind)}, {escape(head)}</caption>"
        f"<tr><th>channel</th><th>colour</th><th>class</th></tr>{''.join(rows)}</table><p>{escape(explained)}</p>"
    )
