"""A task as an HTML table for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from segkit.task.palette import Colour


def swatch(colour: Colour) -> str:
    """Return a small square of a colour as HTML."""
    red, green, blue = colour
    style = (
        f"display:inline-block;width:1em;height:1em;"
        f"background:rgb({red},{green},{blue});border:1px solid #888"
    )
    return f'<span style="{style}"></span>'


def as_html(
    kind: str,
    head: str,
    classes: Sequence[str],
    palette: Sequence[Colour],
    background: str | None,
    explained: str,
) -> str:
    """Return a task as HTML: a row per class with its channel and its colour, and a paragraph.

    Args:
        kind: The kind of the task.
        head: "sigmoid" or "softmax".
        classes: The names of the classes.
        palette: One colour per class.
        background: The class that is the background; None for none.
        explained: The text of the paragraph.
    """
    rows = []
    for channel, (name, colour) in enumerate(zip(classes, palette, strict=True)):
        note = ""
        if name == background:
            note = " (background)"
        rows.append(
            f"<tr><td>{channel}</td><td>{swatch(colour)}</td><td>{escape(name)}{note}</td></tr>"
        )
    return (
        f"<table><caption>{escape(kind)}, {escape(head)}</caption>"
        f"<tr><th>channel</th><th>colour</th><th>class</th></tr>{''.join(rows)}</table>"
        f"<p>{escape(explained)}</p>"
    )
