"""Runs the code of a tutorial page, block after block in one folder, as a reader does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

from segkit.cli import main

BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
TEST_MINUTES = 0.05
"""Trainings of minutes become trainings of seconds in a test."""
SHORTER = (
    f"train.minutes={TEST_MINUTES}",
    "train.pictures=0",
    "model.width=4",
    "model.depth=2",
)
"""Settings of the trainings in a test."""


class Block(NamedTuple):
    """A block of code of a page: its language, the name of the file that it is, and its text."""

    language: str
    title: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    """Return the blocks of code of a page that have a language."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [Block(language, title, text) for language, title, text in found]


def run_tutorial(page: Path, shorter: bool = True) -> dict[str, Any]:
    """Run a page in the current folder and return the names that its Python defines.

    Blocks with a title are written as files. Python runs in one namespace. Lines of `sh` that begin
    with segkit are run by its command line and must end with status 0. Other languages are passed
    over.
    """
    names: dict[str, Any] = {}
    for block in blocks_of(page):
        text = _shorten(block.text) if shorter and block.language == "python" else block.text
        if block.title:
            path = Path(block.title)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        if block.language == "python":
            exec(compile(text, f"{page.name}: {block.title or 'python'}", "exec"), names)
        elif block.language == "sh":
            _run_commands(text, shorter)
    return names


def _shorten(text: str) -> str:
    return re.sub(r"(\"minutes\": )[\d.]+", rf"\g<1>{TEST_MINUTES}", text)


def _run_commands(text: str, shorter: bool) -> None:
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["segkit"]:
            if shorter and words[1] == "train":
                for setting in SHORTER:
                    words += ["--set", setting]
            status = main(words[1:])
            assert status == 0, f"exit status {status}: {line}"
