"""Processes with fault.c loaded into them: file-changing calls that fail, tear or kill, and
connections that are recorded.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = Path(__file__).with_name("fault.c")


@pytest.fixture(scope="session")
def faults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled library. The test is skipped where it cannot be compiled or loaded."""
    if not sys.platform.startswith("linux"):
        pytest.skip("libraries are loaded ahead of others (LD_PRELOAD) on Linux alone")
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no C compiler is installed")
    library = tmp_path_factory.mktemp("faults") / "fault.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"fault.c cannot be compiled here: {done.stderr[-500:]}")
    return library


def run(
    command: Sequence[str], library: Path, folder: Path, timeout: float = 300, **settings: object
) -> subprocess.CompletedProcess[str]:
    """Run a command with the library in it, in a folder. `settings` are those at the head of
    fault.c, as `mode="crash"`.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "LD_PRELOAD": str(library),
        **{f"FAULT_{name.upper()}": str(value) for name, value in settings.items()},
    }
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
