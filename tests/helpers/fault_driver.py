"""Runs one command again and again, each time with a fault at another of its file-changing calls.

`python -m tests.helpers.fault_driver REQUEST` with fault.c loaded. REQUEST is JSON: the command's
arguments, the folder to begin with, the folder to work in, and the faults as [mode, n, errno]. Each
run is a fork of this process, so that nothing is imported twice. One line of JSON is printed for
each: exit status (negative: the signal), the calls that were counted, what was written to standard
error, and the files that are visible then.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segkit.cli import main
from segkit.inference.load import LoadedRun
from segkit.planning.choices import Machine
from tests.helpers.draws import task_of
from tests.helpers.stand_in import config_of, network
from tests.helpers.visible_files import visible

TASK = task_of("binary")


def stand_in() -> None:
    """Replace what would start Keras: the network, and the timing of training steps."""
    import segkit.evaluation.evaluate
    import segkit.inference.load
    import segkit.inference.predict
    import segkit.planning.plan

    opened = LoadedRun(lambda batch: network(batch, TASK), config_of(TASK), "a stand-in")
    segkit.inference.load.open_run = lambda *asked: opened
    segkit.planning.plan.free_memory = lambda: 2**34
    segkit.planning.plan.measure_steps = lambda config: Machine(0.1, 1.0, 1e6, 0.05)


def in_a_fork(
    arguments: Sequence[str], work: Path, mode: str, at: int, number: int
) -> dict[str, Any]:
    """Run the command in a fork of this process, with the fault."""
    report = work.with_name("report")
    error = work.with_name("stderr")
    child = os.fork()
    if child == 0:
        _run(arguments, work, mode, at, number, report, error)
    _, status = os.waitpid(child, 0)
    return {
        "status": os.waitstatus_to_exitcode(status),
        "calls": int(report.read_text()) if report.exists() else 0,
        "stderr": error.read_text(),
        "files": digests(work),
        "broken": [path for path, content in visible(work).items() if not is_whole(path, content)],
        "hidden": sorted(path.relative_to(work).as_posix() for path in work.rglob(".*")),
    }


def _run(
    arguments: Sequence[str], work: Path, mode: str, at: int, number: int, report: Path, error: Path
) -> None:
    faults = ctypes.CDLL(None)
    for stream, path in ((1, os.devnull), (2, str(error))):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    os.chdir(work)
    sys.argv = ["segkit", *arguments]
    faults.fault_prefix(str(work).encode())
    faults.fault_set(ctypes.c_long(at), mode.encode(), number)
    status = 99
    try:
        status = main(list(arguments))
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    faults.fault_count.restype = ctypes.c_long
    report.write_text(str(faults.fault_count()))
    sys.stderr.flush()
    os._exit(status)


def digests(folder: Path) -> dict[str, str]:
    """Return a digest of each visible file, by its path."""
    return {
        path: hashlib.sha256(content).hexdigest()[:16] for path, content in visible(folder).items()
    }


def is_whole(path: str, content: bytes) -> bool:
    """Return whether a table or a JSON file has its end."""
    if path.endswith(".csv"):
        return content.endswith(b"\n")
    if path.endswith("json"):
        try:
            json.loads(content)
        except ValueError:
            return False
    return True


def renew(before: Path, work: Path) -> None:
    """Make the working folder what it was."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(before, work)


def serve(request: dict[str, Any]) -> None:
    stand_in()
    before = Path(request["before"])
    work = Path(request["work"])
    for mode, at, number in request["faults"]:
        renew(before, work)
        work.with_name("report").unlink(missing_ok=True)
        outcome = in_a_fork(request["arguments"], work, mode, at, number)
        if mode in ("crash", "torn"):
            outcome["again"] = in_a_fork(request["arguments"], work, "off", 0, 0)
        print(json.dumps(outcome), flush=True)


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
