"""The page of all commands, written from the parsers of the command line."""

from __future__ import annotations

import argparse
from functools import partial

from segkit.cli.commands import make_parser

START = """\
# All commands

`segkit COMMAND --help` prints the same. This page is generated from the parsers, so it lists every
argument. Every command is a [function of Python](python.md), too.

| exit status | meaning |
|---|---|
| 0 | The command has finished. |
| 1 | `predict`: some images failed, and they are listed. `inspect`: training would be wrong. |
| 2 | There is something to repair. The message says what was found, where, and what to do. |
| 130 | The command was interrupted. `train` prints how to continue. |
"""
WIDTH = 88
"""Columns of the usage lines."""


def commands_page() -> str:
    """Return the page as Markdown: a section per command."""
    parts = [START]
    for name, parser in command_parsers().items():
        parts += [
            f"## segkit {name} {{ #{name} }}\n",
            f"{parser.description}\n",
            f"```text\n{usage_of(parser)}\n```\n",
            arguments_table(parser),
        ]
    return "\n".join(parts)


def command_parsers() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each command."""
    for action in make_parser(None)._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise ValueError("the command line has no commands")


def usage_of(parser: argparse.ArgumentParser) -> str:
    """Return the usage lines of a parser, the same on every terminal."""
    parser.formatter_class = partial(argparse.HelpFormatter, width=WIDTH)  # type: ignore[assignment]
    return parser.format_usage().removeprefix("usage: ").strip()


def arguments_table(parser: argparse.ArgumentParser) -> str:
    """Return a table of all arguments with their help."""
    rows = ["| argument | description |", "|---|---|"]
    for action in parser._actions:
        if action.help == argparse.SUPPRESS:
            continue
        rows.append(f"| {argument_name(action)} | {_cell(parser, action)} |")
    return "\n".join([*rows, ""])


def argument_name(action: argparse.Action) -> str:
    """Return an argument as one writes it, in code marks: an option with its value, or a place
    holder.
    """
    if not action.option_strings:
        return f"`{action.metavar or action.dest}`"
    value = ""
    if action.nargs != 0:
        value = action.metavar or "|".join(map(str, action.choices or [])) or action.dest.upper()
        value = f" [{value}]" if action.nargs == "?" else f" {value}"
    return ", ".join(f"`{option}{value}`".replace("|", "\\|") for option in action.option_strings)


def _cell(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Return the help of an argument, with the values that argparse fills in."""
    values = {**vars(action), "prog": parser.prog}
    text = (action.help or "") % values
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
