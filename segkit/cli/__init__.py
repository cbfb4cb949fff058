"""The command line: each command parses arguments, calls one function, and prints the result.

commands.py        the table of commands, and `main`, which turns errors into exit statuses
options.py         arguments that several commands share
console.py         progress bars and lines on a terminal
compare_table.py   the table that `segkit compare` prints
streams.py         standard output and standard error that are closed or no longer read
child.py           the command line in a process that ends together with its parent

Every other file is one command: train.py, predict.py, evaluate.py, report.py, tune.py, export.py,
inspect.py, plan.py, compare.py, convert.py, lr.py, demo.py.
"""

from segkit.cli.commands import main

__all__ = ["main"]
