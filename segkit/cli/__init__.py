"""The command line: one file per command, which parses arguments, calls a function and prints the result.

commands.py   the table of commands, and `main`
options.py    arguments that several commands share
child.py      the command line in a process that ends with its parent
"""

from segkit.cli.commands import main

__all__ = ["main"]
