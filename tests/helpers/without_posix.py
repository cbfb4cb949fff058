"""`segkit` in a process that has neither POSIX modules nor /proc: python -m
tests.helpers.without_posix ARGUMENTS.

It stands in for Windows where the tests run on another system. It hides fcntl, resource, pwd and
grp, functions of os that Windows does not have, and the files of /proc and /sys.
"""

from __future__ import annotations

import os
import pathlib
import sys

MODULES = ("fcntl", "resource", "pwd", "grp", "termios")
FUNCTIONS = (
    "sysconf",
    "sched_getaffinity",
    "geteuid",
    "getuid",
    "mkfifo",
    "fork",
    "wait4",
    "getloadavg",
)


NEXT = "+"
"""Separates the commands that one process runs."""


def hide() -> None:
    """Hide what Windows does not have. Processes that Python itself starts still need
    os.posix_spawn and the like.
    """
    import subprocess  # noqa: F401 (imports some of them itself)

    import psutil  # noqa: F401

    for name in MODULES:
        sys.modules[name] = None  # type: ignore[assignment]
    for name in FUNCTIONS:
        if name not in ("fork", "wait4"):
            delattr(os, name)
    found = pathlib.Path.is_file

    def is_file(path: pathlib.Path, **settings: bool) -> bool:
        return not str(path).startswith(("/proc", "/sys")) and found(path, **settings)

    pathlib.Path.is_file = is_file  # type: ignore[method-assign]


if __name__ == "__main__":
    hide()
    from segkit.cli import main
    from segkit.planning import budget

    budget.LADDER = ((4, 32),)  # `plan` times one network instead of several
    commands: list[list[str]] = [[]]
    for word in sys.argv[1:]:
        if word == NEXT:
            commands.append([])
        else:
            commands[-1].append(word)
    for command in commands:
        status = main(command)
        if status:
            sys.exit(status)
