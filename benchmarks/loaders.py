"""Contenders that only load batches: each in a process of its own, by any interpreter, asked in
turn. Standard library only.

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
    """A contender's process, which works ahead only as far as its own queue goes while it is not
    asked.
    """

    def __init__(self, name: str, interpreter: str, script: str, *arguments: str) -> None:
        self.name = name
        command = [interpreter, str(HERE / script), *arguments]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
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


def serve(
    batches: Iterator[Any], size: int, epoch: int, children: Callable[[], Sequence[int]]
) -> None:
    """Take two epochs of batches untimed, then for each line "run" time one epoch, or as many
    batches as a second gives.
    """
    for _ in range(2 * epoch):
        next(batches)
    _say({})
    for line in sys.stdin:
        assert line.strip() == "run"
        for _ in range(
            max(4, epoch // 2)
        ):  # what was waiting since the last turn, and whoever was cold
            next(batches)
        began, cpu, steps = time.perf_counter(), _cpu(children()), 0
        while steps < epoch or time.perf_counter() - began < 1:
            next(batches)
            steps += 1
        seconds, used, images = time.perf_counter() - began, _cpu(children()) - cpu, steps * size
        held = sum(map(_memory, [os.getpid(), *children()]))
        _say({"rate": images / seconds, "cpu": used / images, "bytes": held})


def _say(answer: dict[str, float]) -> None:
    print(json.dumps(answer), flush=True)


def _cpu(children: Sequence[int]) -> float:
    """Return the CPU seconds of this process and of its children so far (Linux)."""
    ticks = 0
    for process in children:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def _memory(process: int) -> int:
    """Return the bytes that a process holds, of shared ones its part."""
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
