"""HTML pages from templates: one file each, without links to other files.

A folder with a page has its template in its own `templates`. The templates of this folder are for
all pages: base.html.jinja is the frame of a page, and fragment.html.jinja that of a report in a
notebook. style.html.jinja has the styles for light and dark mode, and macros.html.jinja the tables,
histograms and pictures.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jinja2
import numpy as np
from PIL import Image

from segkit.system.terminal import shown

BINS = 24
"""Number of bars of a histogram."""


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram."""

    height: float
    """Share of the highest bar, 0 to 1."""
    label: str
    """Text that a pointer on the bar shows."""


@dataclass(frozen=True)
class Histogram:
    """A histogram for the macro `bars`."""

    title: str
    bars: list[Bar]
    axis: list[str]
    """Values below the axis, at equal distances from left to right."""
    highest: str
    """Description of the highest bar."""


@dataclass(frozen=True)
class PagePicture:
    """A picture for the macro `picture`."""

    caption: str
    address: str
    """The picture itself, as a data URL."""


def render_page(package: str, template: str, values: dict[str, Any]) -> str:
    """Return a page as HTML.

    Args:
        package: The package whose folder `templates` has the template, such as "segkit.inspection".
        template: Name of a template that begins with `{% extends frame %}`.
        values: Its variables. Text is escaped, and control characters are made visible.
    """
    return _environment(package).get_template(template).render(values, frame="base.html.jinja")


def render_fragment(package: str, template: str, values: dict[str, Any]) -> str:
    """Return a page's styles and content without the page around them, for a notebook.

    Args:
        package: The package whose folder `templates` has the template.
        template: Name of a template that begins with `{% extends frame %}`.
        values: Its variables.
    """
    return _environment(package).get_template(template).render(values, frame="fragment.html.jinja")


def _environment(package: str) -> jinja2.Environment:
    loaders = [jinja2.PackageLoader(package), jinja2.PackageLoader("segkit.html")]
    return jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible_text,
    )


def _visible_text(value: object) -> object:
    """Make control characters of text visible; leave the HTML of macros as it is."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return shown(value, lines=True)
    return value


def make_histogram(
    title: str, values: Sequence[float] | np.ndarray, unit: str, logarithmic: bool = False
) -> Histogram | None:
    """Return the histogram of some values; None if there is no value.

    Args:
        title: Title.
        values: The values; above 0 if `logarithmic`.
        unit: Plural of what is counted, such as "images".
        logarithmic: Whether the bars have equal widths on a logarithmic axis.
    """
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    if not known.size:
        return None
    if logarithmic:
        known = np.log10(known)
    bins = BINS
    if known.min() == known.max():
        bins = 1
    counts, edges = np.histogram(known, bins, (known.min(), known.max()))
    if bins == 1:
        edges = np.array([known.min(), known.max()])
    middle = (edges[0] + edges[-1]) / 2
    axis = np.array([edges[0], middle, edges[-1]])
    if logarithmic:
        edges = 10**edges
        axis = 10**axis
    bars = []
    for count, low, high in zip(counts.tolist(), edges[:-1], edges[1:], strict=True):
        label = f"{_short(low)} to {_short(high)}: {count} {unit}"
        bars.append(Bar(round(count / counts.max(), 4), label))
    labels = [_short(value) for value in axis]
    if bins == 1:
        labels = labels[:1]
    return Histogram(title, bars, labels, f"{counts.max()} {unit}")


def _short(value: float) -> str:
    """Return a number with three significant digits.

    >>> _short(12345.6), _short(0.012345)
    ('12,300', '0.0123')
    """
    return f"{float(f'{value:.3g}'):,g}"


def as_picture(caption: str, pixels: np.ndarray) -> PagePicture:
    """Return a picture that is part of the page.

    Args:
        caption: Text below it.
        pixels: (H, W, 3) uint8.
    """
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return PagePicture(caption, data_url(stream.getvalue(), "image/png"))


def data_url(content: bytes, kind: str) -> str:
    """Return the address of content that is part of a page.

    Args:
        content: The content of a file.
        kind: Its media type, such as "image/png".
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
