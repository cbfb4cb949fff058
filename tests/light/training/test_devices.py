"""The preparation of a process, before it builds a network."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FREED = """
import sys
from segkit.system import keras_start, memory
if sys.argv[1] == "keep":
    keras_start.keep_freed_memory()
block = b"1" * 80_000_000
held = memory.resident()
del block
print(held - memory.resident())
"""


def printed(program: str, *arguments: str) -> str:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_keras_is_not_loaded_before_its_start_is_made_quiet() -> None:
    assert (
        printed(
            "import sys, segkit.training.devices; print({'keras', 'tensorflow'} & {*sys.modules})"
        )
        == "set()"
    )


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="other C libraries have no such setting"
)
def test_freed_memory_stays_with_a_training() -> None:
    assert int(printed(FREED, "return")) > 70e6
    assert int(printed(FREED, "keep")) < 10e6
