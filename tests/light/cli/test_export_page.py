"""docs/how-to/export.md: its commands are commands, and its table is what the code offers."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from segkit.cli.commands import make_parser
from segkit.exporting.formats import PRECISIONS, check_precision

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "export.md").read_text(encoding="utf-8")
LINES = [
    line
    for block in re.findall(r"^```\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]
COMMANDS = [line for line in LINES if not line.startswith("pip install")]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_page_is_understood(line: str) -> None:
    words = shlex.split(line)
    options = make_parser(None).parse_args(words[1:])
    assert callable(options.run_command)
    if words[:2] == ["segkit", "export"]:
        check_precision(options.format, options.precision)


def test_the_table_of_the_page_names_every_format_and_precision() -> None:
    rows = {
        row[0]: row[1] for row in re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|", PAGE, re.MULTILINE)
    }
    assert {form: tuple(words.strip().split(", ")) for form, words in rows.items()} == PRECISIONS
    assert len(COMMANDS) >= 6
