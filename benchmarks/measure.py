"""What the benchmarks share: contenders in processes of their own, asked in turn, and a table of
what they took.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from machine import cores, machine, machine_line
from rich import box
from rich.console import Console
from rich.table import Table

GPU, BACKEND = "SEGKIT_BENCHMARK_GPU", "SEGKIT_BENCHMARK_BACKEND"
"""In the environment, because every contender has a process of its own."""
CLASSES = ("background", "disc", "square", "triangle")
WARM_UPS = 3
"""Untimed runs of each contender: compiling, first allocations, and the second compilation some
frameworks make.
"""
PAUSE = 0.3
"""Seconds between turns, in which the threads of the one before come to rest (Intel's OpenMP spins
for 0.2 s).
"""
Name = TypeVar("Name", bound=Hashable)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Workload:
    """A U-Net of this width, and one batch of square images."""

    width: int
    batch: int
    size: int

    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the same images (B, H, W, 3) uint8 and targets (B, H, W) uint8 in every
        process.
        """
        rng = np.random.default_rng(0)
        shape = (self.batch, self.size, self.size)
        return rng.integers(0, 256, (*shape, 3), np.uint8), rng.integers(
            0, len(CLASSES), shape, np.uint8
        )


class Made(NamedTuple):
    """What a contender's process has built."""

    run_once: Callable[[], Any]
    """Does the work once and returns when it is finished."""
    trainable: int
    statistics: int
    """Numbers that batch normalisation keeps: running means and variances."""
    multiply_adds: int = 0
    """Of one prediction of the batch; asked of the first contender alone, as the networks are the
    same.
    """


class Turn(NamedTuple):
    """What one run took. `idle_cpu` is the CPU time that the process used since its turn before."""

    seconds: float
    cpu: float
    peak_bytes: int
    idle_cpu: float


Make = Callable[[Workload], Made]


class LeftOut(Exception):
    """A contender that could not be built here, and why."""


class Contender:
    """A process that works only when it is asked: each time once to warm up and once measured."""

    def __init__(self, make: Make, workload: Workload) -> None:
        context = multiprocessing.get_context(
            "spawn"
        )  # a forked child would have the parent's peak memory
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make, workload), daemon=True)
        self._process.start()
        theirs.close()
        self.parameters, self.multiply_adds = self._answer()

    def run(self) -> Turn:
        self._pipe.send("run")
        return self._answer()

    def close(self) -> None:
        self._pipe.close()  # ends the loop of `_serve`
        self._process.join(10)
        self._process.terminate()

    def _answer(self) -> Any:
        try:
            answer = self._pipe.recv()
        except EOFError:
            answer = LeftOut("its process ended without an answer; out of memory?")
        if isinstance(answer, LeftOut):
            self.close()
            raise answer
        return answer


def _serve(pipe: Any, make: Make, workload: Workload) -> None:
    settle()
    try:
        made = make(workload)
        for _ in range(WARM_UPS):
            made.run_once()
    except Exception as problem:
        words = (str(problem).strip().splitlines() or [""])[0]
        pipe.send(LeftOut(f"{type(problem).__name__}: {words}"))
        return
    pipe.send(((made.trainable, made.statistics), made.multiply_adds))
    rested = time.process_time()
    while _asked(pipe):
        idle = time.process_time() - rested
        made.run_once()  # after a rest the first run is slower: caches and threads are cold
        began, cpu = time.perf_counter(), time.process_time()
        made.run_once()
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
        pipe.send(Turn(seconds, used, peak_bytes(), idle))
        rested = time.process_time()


def settle() -> None:
    """Fix, before they are imported, what the frameworks run on: the CPU with a thread for each
    core, unless told the GPU.

    OMP_WAIT_POLICY is left as it is: PyTorch is fastest with its own default, on a machine that
    does nothing else.
    """
    threads = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    os.environ.update({name: str(cores()) for name in threads})
    os.environ.update(
        KERAS_BACKEND=os.environ.get(BACKEND, "tensorflow"), TORCHINDUCTOR_COMPILE_THREADS="1"
    )
    if on_gpu():  # all contenders are there at once: none may take the whole memory at its start
        os.environ.update(TF_FORCE_GPU_ALLOW_GROWTH="true", XLA_PYTHON_CLIENT_PREALLOCATE="false")
    else:
        os.environ.update(CUDA_VISIBLE_DEVICES="-1", JAX_PLATFORMS="cpu")


def on_gpu() -> bool:
    """Return whether `--gpu` was given, here or to the process that started this one."""
    return os.environ.get(GPU) == "1"


def _asked(pipe: Any) -> bool:
    try:
        return pipe.recv() == "run"
    except EOFError:
        return False


def peak_bytes() -> int:
    """Return the most memory that this process has held; Linux counts in KiB, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


def in_turn(runs: Mapping[Name, Callable[[], Result]], rounds: int) -> dict[Name, list[Result]]:
    """Run all once, then all once again, and so on: what slows the machine for a while slows them
    alike.
    """
    found: dict[Name, list[Result]] = {name: [] for name in runs}
    for number in range(rounds):
        for name, run in runs.items():
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr, flush=True)
            time.sleep(PAUSE)
            found[name].append(run())
    return found


def options(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument(
        "--width", type=int, default=32, help="channels at full resolution (default %(default)s)"
    )
    parser.add_argument(
        "--batch", type=int, default=8, help="images in a batch (default %(default)s)"
    )
    parser.add_argument(
        "--size",
        type=int,
        default=256,
        help="pixels a side, a multiple of 16 (default %(default)s)",
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="turns of each contender (default %(default)s)"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the numbers to a file"
    )
    parser.set_defaults(gpu=False, backend="tensorflow", peak=None)
    return parser


def add_device(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add what a benchmark takes that can run on a GPU."""
    parser.add_argument(
        "--gpu", action="store_true", help="give all contenders the GPU instead of the CPU"
    )
    parser.add_argument(
        "--backend", choices=("tensorflow", "jax"), help="of Keras (default %(default)s)"
    )
    parser.add_argument(
        "--peak",
        type=float,
        metavar="TFLOPS",
        help="of the chip: also show the share that is reached",
    )
    return parser


def compare(
    title: str, makes: Mapping[str, Make], arguments: argparse.Namespace, passes: int = 1
) -> None:
    """Measure the contenders, the first of which is the one that ratios refer to; print and write
    what was found.

    A run costs as much as so many predictions of the batch: three for a training step, as the way
    back costs twice the way.
    """
    os.environ.update({BACKEND: arguments.backend, GPU: str(int(arguments.gpu))})
    workload, shown = Workload(arguments.width, arguments.batch, arguments.size), console()
    if workload.size % 16:
        raise SystemExit("--size: a multiple of 16, because PyTorch's U-Net here does not pad")
    about = machine()
    shown.print(
        f"{title}: {workload}, {arguments.rounds} rounds\n{machine_line(about)}", highlight=False
    )
    contenders, left_out = _start(makes, workload, shown)
    try:
        turns = in_turn(
            {name: contender.run for name, contender in contenders.items()}, arguments.rounds
        )
    finally:
        for contender in contenders.values():
            contender.close()
    rows = [
        summary(name, found, workload.batch, turns[next(iter(makes))])
        for name, found in turns.items()
    ]
    if arguments.peak:
        work = 2e-12 * passes * next(iter(contenders.values())).multiply_adds
        rows = [{**row, "share_of_peak": work / row["seconds"] / arguments.peak} for row in rows]
    shown.print(_table(title, rows), idle_line(rows), sep="\n", highlight=False)
    if arguments.json:
        report = {
            "workload": asdict(workload),
            "rounds": arguments.rounds,
            "results": rows,
            "left_out": left_out,
        }
        write(arguments.json, title, about, report)


def _start(
    makes: Mapping[str, Make], workload: Workload, shown: Console
) -> tuple[dict[str, Contender], dict[str, str]]:
    """Start the contenders one after the other; check that all have the same parameters."""
    contenders: dict[str, Contender] = {}
    left_out: dict[str, str] = {}
    for name, make in makes.items():
        try:
            contenders[name] = Contender(make, workload)
        except LeftOut as problem:
            if not contenders:
                raise SystemExit(f"{name}: {problem}") from None
            left_out[name] = str(problem).partition(":")[0]  # what follows may name folders
            shown.print(f"left out: {name} ({problem})", highlight=False, markup=False)
    found = {name: contender.parameters for name, contender in contenders.items()}
    assert len(set(found.values())) == 1, (
        f"not the same network (trainable parameters, running statistics): {found}"
    )
    trainable, running = next(iter(found.values()))
    shown.print(
        f"each: {trainable:,} trainable parameters, {running:,} running statistics", highlight=False
    )
    return contenders, left_out


def summary(
    name: str, turns: Sequence[Turn], images: int, reference: Sequence[Turn]
) -> dict[str, Any]:
    """Return the medians of a contender's turns, and each turn's seconds."""
    seconds = statistics.median(turn.seconds for turn in turns)
    return {
        "contender": name,
        "seconds": seconds,
        "all_seconds": [turn.seconds for turn in turns],
        "cpu_seconds": statistics.median(turn.cpu for turn in turns),
        "images_per_second": images / seconds,
        "ratio": seconds / statistics.median(turn.seconds for turn in reference),
        "peak_bytes": max(turn.peak_bytes for turn in turns),
        "idle_cpu_seconds": max(turn.idle_cpu for turn in turns),
    }


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table that can be pasted into Markdown."""
    table = Table(box=box.MARKDOWN)
    table.add_column(title)
    shares = ["of peak"] if "share_of_peak" in rows[0] else []
    for heading in (
        "median s",
        "min to max s",
        "time, first = 1",
        "images/s",
        "CPU s",
        "peak GiB",
        *shares,
    ):
        table.add_column(heading, justify="right")
    for row in rows:
        spread = f"{min(row['all_seconds']):.3f} to {max(row['all_seconds']):.3f}"
        numbers = (
            f"{row['ratio']:.2f}",
            f"{row['images_per_second']:.1f}",
            f"{row['cpu_seconds']:.3f}",
        )
        numbers += (
            f"{row['peak_bytes'] / 2**30:.2f}",
            *(f"{100 * row['share_of_peak']:.1f} %" for _ in shares),
        )
        table.add_row(row["contender"], f"{row['seconds']:.3f}", spread, *numbers)
    return table


def idle_line(rows: Sequence[Mapping[str, Any]]) -> str:
    most = max(rows, key=lambda row: row["idle_cpu_seconds"])
    return (
        f"while it waited for its turn, no contender used more than "
        f"{most['idle_cpu_seconds']:.3f} s of CPU"
    )


def console() -> Console:
    """Return a console wide enough for the tables, where the output is no terminal."""
    return Console() if sys.stdout.isatty() else Console(width=140, soft_wrap=True)


def write(path: Path, title: str, about: Mapping[str, Any], report: Mapping[str, Any]) -> None:
    path.write_text(
        json.dumps({"benchmark": title, "machine": about, **report}, indent=2) + "\n",
        encoding="utf-8",
    )
