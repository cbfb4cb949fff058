"""Training on several machines: one process each, joined by JAX. The first writes the run folder, the others follow it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from segkit.config import Config
from segkit.data.sources.source import Subset
from segkit.errors import RunError, SegkitError
from segkit.io.failures import sentence
from segkit.run import Run
from segkit.run.checkpoint import Checkpoints, Groups, Position
from segkit.training.process import Process

HEARTBEAT = 50
"""Seconds after which a process that gives no sign of life counts as dead. One that ends is noticed at once."""
JOINING = 300
"""Seconds that processes wait for each other at the start."""
_SHARED = (
    "checkpoints/latest.npz",
    "checkpoints/fitted",
    "history.csv",
    "precision.json",
    "scores.json",
)
"""Files of the run folder that a training begins with."""


class FollowerRun(Run):
    """The run as a process sees it that is not the first: a folder of its own, which is removed at the end.

    It gets from the first process what a training begins with, and keeps neither models nor checkpoints.
    """

    keeps_models = False

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="segkit_")
        super().__init__(Path(self._folder.name))
        self.checkpoints = _Unwritten(self.path / "checkpoints")

    def remove(self) -> None:
        """Remove the folder."""
        self._folder.cleanup()

    def require_empty(self) -> None:
        """Leave that to the first process."""

    def create(self, config: Config) -> None:
        """Leave that to the first process."""

    def reopen(self, config: Config) -> None:
        """Leave that to the first process."""


class _Unwritten(Checkpoints):
    def save(self, position: Position, groups: Groups) -> None:
        """Leave that to the first process."""


@contextmanager
def opened_run(process: Process | None, path: Path) -> Iterator[Run]:
    """Yield the run in a folder, or what replaces it in a process that is not the first."""
    if process is None or process.number == 1:
        yield Run(path)
        return
    run = FollowerRun()
    try:
        yield run
    finally:
        run.remove()


def run_process(process: Process | None, work: Callable[[], int]) -> int:
    """Do the work of one of several processes, and return the exit status; without a process just work.

    The work calls `join`. If another process dies, this one says so and ends: what the first has saved is for --resume.

    Raises:
        SegkitError: What the work raises before this process has joined the others. Later it is printed here, because
            the process ends at once.
    """
    if process is None:
        return work()
    with _LastWord(process):
        try:
            status = work()
        except SegkitError as problem:
            if not _has_joined():
                raise
            status = _say(f"error: {problem}")
        except KeyboardInterrupt:
            _say("interrupted")
            status = 130
        except Exception as problem:
            if not _has_joined():
                raise
            status = _say(f"error: {_what_failed(problem, process)}")
    sys.stdout.flush()
    sys.stderr.flush()
    if _has_joined():
        os._exit(status)  # an orderly end would wait for processes that will not come
    return status


def join(process: Process | None) -> None:
    """Join the other processes; nothing if there are none.

    Raises `RunError` if they do not come within `JOINING` seconds.
    """
    if process is None:
        return
    import jax

    local = re.match(r"(localhost|127\.)", process.coordinator)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    with suppress(
        AttributeError
    ):  # it would take SIGTERM away from us; older JAX has no such setting
        jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            process.coordinator,
            process.count,
            process.number - 1,
            initialization_timeout=JOINING,
            heartbeat_timeout_seconds=HEARTBEAT,
            coordinator_bind_address=process.coordinator if local else None,
        )
    except Exception as problem:
        raise RunError(
            f"{process.name} has not met the others at {process.coordinator} within {JOINING} s ({_line(problem)}). Start "
            f"all {process.count}, with the same address, which is the first one's, and a port that is free and open there",
            "no-cluster",
        ) from problem


def meet(process: Process | None) -> None:
    """Wait for the other processes: once they have met, they wait for each other long enough for what one does alone."""
    if process is not None:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices("segkit")


def disconnect() -> None:
    """Part from the other processes, once all have come to this point; nothing if there are none."""
    if _has_joined():
        sys.modules["jax"].distributed.shutdown()


def _has_joined() -> bool:
    return "jax" in sys.modules and sys.modules["jax"].distributed.is_initialized()


def share_start(
    process: Process | None, config: Config, parts: Mapping[str, Subset], run: Run
) -> None:
    """Give every process the files that the first one's run folder begins with.

    Raises `RunError` in all of them if one has another config or other data.
    """
    if process is None:
        return
    from jax.experimental import multihost_utils as hosts

    said = json.dumps(
        [config.as_yaml(), {part: list(subset.names) for part, subset in parts.items()}]
    )
    print_of = np.frombuffer(hashlib.sha256(said.encode()).digest(), np.uint8)
    every = np.asarray(hosts.process_allgather(print_of))
    other = [str(number) for number, one in enumerate(every, 1) if (one != every[0]).any()]
    if other:
        raise RunError(
            f"process {', '.join(other)} of {process.count} has another config or other data than the first one",
            "mismatch",
        )
    if int(hosts.broadcast_one_to_all(np.int32(run.model.exists()))) and not run.keeps_models:
        run.model.touch()  # an epoch that is not better is saved if there is no model yet
    for name in _SHARED:
        path = run.path / name
        found = path.stat().st_size if path.is_file() else 0
        upper, lower = map(
            int, hosts.broadcast_one_to_all(np.array(divmod(found, 2**30), np.int32))
        )  # JAX has 32 bits
        size = upper * 2**30 + lower
        if size:
            content = (
                np.frombuffer(path.read_bytes(), np.uint8)
                if process.number == 1
                else np.zeros(size, np.uint8)
            )
            content = np.asarray(hosts.broadcast_one_to_all(content))
            if process.number > 1:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.tobytes())


class _LastWord:
    """Says what happened if this process ends without a word of its own: JAX aborts it when it loses the first process."""

    def __init__(self, process: Process) -> None:
        code = "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.stdin.read(1) or sys.exit(sys.argv[1])"
        command = [sys.executable, "-S", "-c", code, f"error: {_lost(process)}"]
        self.waiting = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603 (Python itself)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.waiting.communicate(b".")


def _what_failed(problem: Exception, process: Process) -> str:
    if _is_broken(problem):
        return _lost(process)
    if isinstance(problem, OSError):
        return sentence(problem)
    traceback.print_exc()
    return f"{process.name} failed"


def _lost(process: Process) -> str:
    return (
        f"{process.name} was ended from outside, or has lost the others: one of them died, or cannot be reached. Start all "
        f"{process.count} again with --resume; what the first one has saved is kept"
    )


def _is_broken(problem: BaseException | None) -> bool:
    """Return whether an exception, or one that it came from, is the network's."""
    while problem is not None:
        if re.search(r"Gloo|NCCL|UNAVAILABLE|DEADLINE_EXCEEDED|oordination", str(problem)):
            return True
        problem = problem.__context__
    return False


def _say(text: str) -> int:
    print(text, file=sys.stderr)
    return 2


def _line(problem: BaseException) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0]
