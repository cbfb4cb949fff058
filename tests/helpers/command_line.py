"""The command line run in this process: the error that it prints, with class, code and setting, and
numbers of its lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple
from unittest.mock import patch

from segkit.cli.commands import main, print_error
from segkit.errors import SegkitError
from tests.helpers.errors import assert_is


def run(arguments: Sequence[str]) -> tuple[int, SegkitError | None]:
    """Run `main`; return its exit status and the error that it prints, None without one."""
    printed: list[SegkitError] = []

    def record(problem: SegkitError) -> None:
        printed.append(problem)
        print_error(problem)

    with patch("segkit.cli.commands.print_error", record):
        status = main(arguments)
    if not printed:
        return status, None
    [problem] = printed
    return status, problem


def assert_fails(
    arguments: Sequence[str],
    kind: type[SegkitError],
    code: str,
    *values: object,
    setting: str | None = None,
) -> SegkitError:
    """Assert that a command ends with exit status 2 and prints an error of this class, code and
    setting; return the error.

    Its message holds each value.
    """
    status, problem = run(arguments)
    assert_is(problem, kind, code, *values, setting=setting)
    assert problem is not None
    assert status == 2
    return problem


def numbers(line: str) -> list[float]:
    """Return the numbers of a line that are words of their own, so not those within names and
    paths.

    >>> numbers("3 masks written to runs/take_2/masks-1, 0 failed, 0.5 s")
    [3.0, 0.0, 0.5]
    """
    return [
        float(number) for number in re.findall(r"(?<![\w./-])\d+(?:\.\d+)?(?![\w/]|\.\d|-\w)", line)
    ]


class Listed(NamedTuple):
    """A problem as `segkit inspect` and `segkit plan` list it."""

    level: str
    code: str
    message: str


def listed_problems(out: str) -> list[Listed]:
    """Return the problems among the lines of a command, each "LEVEL CODE: MESSAGE"."""
    return [
        Listed(*found)
        for found in re.findall(r"^(error|warning) ([a-z-]+): (.*)$", out, re.MULTILINE)
    ]
