"""Links of pages that stand elsewhere in the site than in the repository."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

LINK = re.compile(r"(\]\()([^)#\s]+)(#[^)\s]*)?(\))")


def relink(text: str, source: str, places: Mapping[str, str]) -> str:
    """Return Markdown with relative links that are right on the site.

    Args:
        text: The page.
        source: The page's path in the repository.
        places: Where the files are on the site, by their path in the repository. Files below docs/
            are there without it.

    >>> relink("[a](docs/a.md#b)", "CHANGELOG.md", {"CHANGELOG.md": "changelog.md"})
    '[a](a.md#b)'
    >>> relink("[log](../CHANGELOG.md)", "docs/a.md", {"CHANGELOG.md": "about/changelog.md"})
    '[log](about/changelog.md)'
    """
    page = _place(source, places)

    def replace(match: re.Match[str]) -> str:
        start, link, anchor, end = match.groups()
        if "://" in link or link.startswith("mailto:"):
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
        place = _place(target, places)
        found = posixpath.relpath(place, posixpath.dirname(page) or ".")
        return f"{start}{found}{anchor or ''}{end}"

    return LINK.sub(replace, text)


def _place(path: str, places: Mapping[str, str]) -> str:
    """Return where a file of the repository is on the site; a file that is not there keeps its
    path.
    """
    if path in places:
        return places[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"../{path}"
