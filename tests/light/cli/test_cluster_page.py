"""docs/how-to/cluster.md: its commands are commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from segkit.cli.commands import make_parser
from segkit.cli.predict import cluster_of

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "cluster.md").read_text(encoding="utf-8")
BLOCKS = "".join(
    text
    for language, text in re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    if not language
)
COMMANDS = re.findall(r"segkit (?:(predict)|(export)) (.*?)(?: \|\|)?$", BLOCKS, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_is_understood(command: tuple[str, str, str]) -> None:
    options = make_parser(command[0] or command[1]).parse_args(shlex.split(command[2]))
    if command[0]:
        assert (cluster_of(options) is None) == (options.engine == "local")


def test_the_page_shows_both_engines() -> None:
    assert sum("--engine ray" in words for *_, words in COMMANDS) >= 2
    assert any(words and "--engine" not in words for door, _, words in COMMANDS if door)
