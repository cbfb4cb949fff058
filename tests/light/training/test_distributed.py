"""The end of a process that trains with others: error messages, exit status, and no waiting.

`tests/processes/test_devices.py` tests the same with JAX and real processes.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.helpers.errors import holds

pytestmark = pytest.mark.long

PROGRAM = """
import os, sys
from segkit.errors import RunError
from segkit.training import distributed
from segkit.training.process import Process

distributed._has_joined = lambda: sys.argv[1] == "joined"

def work():
    {work}

status = distributed.run_process(Process(2, 3, "127.0.0.1:7000"), work)
print("returned")
sys.exit(status)
"""
DURING_ANOTHER = """
    try:
        raise ValueError('UNAVAILABLE: socket closed')
    except ValueError:
        raise RuntimeError('step failed')
"""


def run(work: str, place: str = "joined") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM.format(work=work), place]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    "work",
    [
        "os.abort()",
        "raise RuntimeError('Gloo all-reduce failed')",
        DURING_ANOTHER,
    ],
)
def test_a_process_that_loses_the_others_names_itself_and_resume(work: str) -> None:
    ended = run(work)
    assert ended.returncode != 0
    [error] = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert holds(error, "process 2 of 3")
    assert holds(error, "--resume")


def test_a_fault_in_the_code_is_not_taken_for_a_lost_connection() -> None:
    ended = run("raise ZeroDivisionError('wrong step')")
    assert ended.returncode == 2
    assert holds(ended.stderr, "ZeroDivisionError")
    assert not holds(ended.stderr, "--resume")


def test_a_process_that_has_joined_ends_without_waiting_for_the_others() -> None:
    ended = run("import atexit; atexit.register(print, 'waited'); return 0")
    assert (ended.returncode, ended.stdout) == (0, "")
    alone = run("return 0", "alone")
    assert (alone.returncode, alone.stdout) == (0, "returned\n")


def test_an_error_before_joining_is_raised_as_usual() -> None:
    ended = run("raise RunError('not met', 'no-cluster')", "alone")
    assert ended.returncode == 1
    assert holds(ended.stderr, "Traceback")
