"""What MkDocs calls while it builds the site: generated pages, and pages that stand outside
docs/.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from scripts.pages.commands import commands_page
from scripts.pages.house import floors_table, tree_tables
from scripts.pages.relink import relink
from scripts.pages.settings import settings_page

ROOT = Path(__file__).resolve().parents[2]
LOG = logging.getLogger("mkdocs.hooks.segkit")
"""A warning in it ends a strict build."""
PLACES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "examples/brain_mri/README.md": "examples/brain-mri.md",
    "examples/brain_mri/overlays.png": "examples/overlays.png",
}
"""Files that are not below docs/, and where they are on the site."""
GENERATED = {"reference/settings.md": settings_page, "reference/commands.md": commands_page}
BLOCKS = {"<!-- tree -->": tree_tables, "<!-- floors -->": floors_table}
"""What replaces these lines of a page."""
EXTERNAL = re.compile(
    r"<(?:script|img|iframe)[^>]+src=\"(https?:)?//|<link[^>]+stylesheet[^>]+href=\"(https?:)?//"
)


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Add the generated pages and those that stand elsewhere in the repository."""
    for place, write in GENERATED.items():
        files.append(File.generated(config, place, content=write()))
    for path, place in PLACES.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Fill in generated blocks, and correct links between pages that stand elsewhere."""
    for mark, write in BLOCKS.items():
        if mark in markdown:
            markdown = markdown.replace(mark, write())
    places = {place: path for path, place in PLACES.items()}
    uri = page.file.src_uri
    return relink(markdown, places.get(uri, f"docs/{uri}"), PLACES)


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Warn of scripts, styles and pictures that a reader's browser would fetch from elsewhere."""
    found = EXTERNAL.search(output)
    if found:
        LOG.warning("%s loads from elsewhere: %s", page.file.src_uri, found[0])
    return output
