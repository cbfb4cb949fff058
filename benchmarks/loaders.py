"""Contenders that only load batches: each in a process of its own, by any interpreter, asked in turn. Standard library only.

A contender's script makes its batches and calls `serve`; `Loader` starts it and asks it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Loader:
    """A contender's process, which works ahead only as far as its own queue goes while it is not asked."""

    def __init__(self, name: str, interpreter: str, script: str, *arguments: str) -> None:
        self.name = name
        command = [interpreter, str(HERE / script), *arguments]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()

    def run(self) -> dict[str, float]:
        """Return images a second, CPU seconds an image and peak bytes of one turn."""
        assert self._process.stdin
        self._process.stdin.write("run\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()  # ends the loop of `serve`
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name}: its process ended without an answer")
        return json.loads(line)


def serve(batches: Iterator[Any], size: int, steps: int, children: Callable[[], Sequence[int]]) -> None:
    """Take two epochs or so of `steps` batches untimed, then for each line "run" time as many."""
    for _ in range(2 * steps):
        next(batches)
    _say({})
    for line in sys.stdin:
        assert line.strip() == "run"
        for _ in range(max(4, steps // 2)):  # what was waiting since the last turn, and whoever was cold
            next(batches)
        processes = [os.getpid(), *children()]
        began, cpu = time.perf_counter(), sum(map(_cpu, processes))
        for _ in range(steps):
            next(batches)
        seconds, used = time.perf_counter() - began, sum(map(_cpu, processes)) - cpu
        images = steps * size
        _say({"rate": images / seconds, "cpu": used / images, "bytes": sum(map(_memory, processes))})


def _say(answer: dict[str, float]) -> None:
    print(json.dumps(answer), flush=True)


def _cpu(process: int) -> float:
    """Return the CPU seconds of a process so far (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(process: int) -> int:
    """Return the bytes that a process holds, of shared ones its part."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
