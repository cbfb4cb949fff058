"""Training in several processes on several machines, joined by JAX (`jax.distributed`).

The first process writes the run folder, and the others follow it with a temporary one. JAX makes
three measures necessary here that no other part of segkit needs:

1. When a process loses the first one, JAX aborts it from C++, without a Python exception. A small
   second process (`_FinalMessage`) then prints the error message for it.
2. When another process is lost, JAX and its transport layers (gloo, NCCL, gRPC) raise general
   exceptions. Only their texts tell a broken connection from a fault in the code (`_is_broken`).
3. An orderly exit waits for all processes, also for one that has died. So a process that has joined
   ends by `os._exit`, once its output is written (`run_process`).

`tests/processes/test_devices.py` tests each of them: processes that die, fall silent or are
interrupted.
"""

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

from segkit.config import Config, RunConfig
from segkit.data.sources.source import Subset
from segkit.errors import RunError, SegkitError
from segkit.io.failures import sentence
from segkit.run import Run
from segkit.run.checkpoint import Checkpoints, Groups, Position
from segkit.training.process import Process

HEARTBEAT = 50
"""Seconds after which a silent process counts as dead. One that ends is noticed at once."""
JOINING = 300
"""Seconds that processes wait for each other at the start."""
_SHARED = (
    "checkpoints/latest.npz",
    "checkpoints/fitted",
    "history.csv",
    "precision.json",
    "scores.json",
)
"""Files of the run folder that every process needs at the start of a training."""
_BROKEN_CONNECTION = re.compile(r"Gloo|NCCL|UNAVAILABLE|DEADLINE_EXCEEDED|oordination")
"""Words in the exceptions of JAX, gloo, NCCL and gRPC after the loss of a process."""
_WATCHER = """
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
if not sys.stdin.read(1):
    sys.exit(sys.argv[1])
"""
"""Program of `_FinalMessage`: prints its argument if standard input closes without a byte."""


class FollowerRun(Run):
    """The run of a process that is not the first: a temporary folder, removed at the end.

    It receives the files at the start of a training from the first process. It keeps neither models
    nor checkpoints.
    """

    keeps_models = False

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="segkit_")
        super().__init__(Path(self._folder.name))
        self.checkpoints = _UnwrittenCheckpoints(self.path / "checkpoints")

    def remove(self) -> None:
        """Remove the folder."""
        self._folder.cleanup()

    def require_empty(self) -> None:
        """Do nothing: the first process checks the run folder."""

    def create(self, config: RunConfig, comments: Mapping[str, str] | None = None) -> None:
        """Do nothing: the first process creates the run folder."""

    def reopen(self, config: Config) -> None:
        """Do nothing: the first process checks the run folder."""


class _UnwrittenCheckpoints(Checkpoints):
    def save(self, position: Position, groups: Groups) -> None:
        """Do nothing: the first process saves the checkpoints."""


@contextmanager
def opened_run(process: Process | None, path: Path) -> Iterator[Run]:
    """Context manager: the run folder, or the temporary folder of a process that is not the first.

    Args:
        process: This process; None if there is only one.
        path: The run folder.

    Yields:
        The run.
    """
    if process is None or process.number == 1:
        yield Run(path)
        return
    run = FollowerRun()
    try:
        yield run
    finally:
        run.remove()


def run_process(process: Process | None, work: Callable[[], int]) -> int:
    """Do the work of one of several processes.

    If another process dies, this one prints an error and ends. `--resume` continues from the last
    checkpoint that the first process saved.

    Args:
        process: This process; None if there is only one. Then only `work` is called.
        work: Does the work, calls `join`, and returns an exit status.

    Returns:
        The exit status. A process that has joined the others ends instead of returning.

    Raises:
        SegkitError: If `work` raises it before this process has joined the others. Later errors are
            printed, because the process ends at once.
    """
    if process is None:
        return work()
    with _FinalMessage(process):
        status = _exit_status(process, work)
    sys.stdout.flush()
    sys.stderr.flush()
    if _has_joined():
        os._exit(status)  # an orderly exit would wait for processes that have died
    return status


def _exit_status(process: Process, work: Callable[[], int]) -> int:
    """Do the work; print an error that it raises after the process has joined the others."""
    try:
        return work()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except Exception as problem:
        if not _has_joined():
            raise
        print(f"error: {_describe(problem, process)}", file=sys.stderr)
        return 2


def join(process: Process | None) -> None:
    """Join the other processes; do nothing without a process.

    Raises:
        RunError: If the processes do not meet within `JOINING` seconds.
    """
    if process is None:
        return
    import jax

    bind_address = None
    if re.match(r"(localhost|127\.)", process.coordinator):
        bind_address = process.coordinator
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    with suppress(AttributeError):  # older JAX has no such setting
        # The preemption service would replace segkit's handling of SIGTERM.
        jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            process.coordinator,
            process.count,
            process.number - 1,
            initialization_timeout=JOINING,
            heartbeat_timeout_seconds=HEARTBEAT,
            coordinator_bind_address=bind_address,
        )
    except Exception as problem:
        raise RunError(
            f"{process.name} has not met the others at {process.coordinator} within {JOINING} s "
            f"({_first_line(problem)}). Start all {process.count} processes with the same address: "
            f"that of the first process, with a free port that the others can reach",
            "no-cluster",
        ) from problem


def wait_for_all(process: Process | None) -> None:
    """Wait for the other processes; do nothing without a process.

    After this first exchange, JAX waits much longer for a process that works alone.
    """
    if process is not None:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices("segkit")


def disconnect() -> None:
    """Leave the other processes once all have come to this point; do nothing if none has joined."""
    if _has_joined():
        sys.modules["jax"].distributed.shutdown()


def _has_joined() -> bool:
    return "jax" in sys.modules and sys.modules["jax"].distributed.is_initialized()


def share_start(
    process: Process | None, config: Config, parts: Mapping[str, Subset], run: Run
) -> None:
    """Send the first process's files to all processes; do nothing without a process.

    Args:
        process: This process.
        config: The config of the training.
        parts: The parts of the data.
        run: The run of this process, which the files are read from or written to.

    Raises:
        RunError: In all processes, if one of them has another config or other data.
    """
    if process is None:
        return
    from jax.experimental import multihost_utils as hosts

    _compare_settings(process, config, parts)
    has_model = bool(hosts.broadcast_one_to_all(np.int32(run.model.exists())))
    if has_model and not run.keeps_models:
        run.model.touch()  # without a model the next epoch would be saved even if it is not better
    for name in _SHARED:
        _share_file(process, run.path / name)


def _compare_settings(process: Process, config: Config, parts: Mapping[str, Subset]) -> None:
    """Raise `RunError` in all processes if one has another config or other data than the first."""
    from jax.experimental import multihost_utils as hosts

    names = {part: list(subset.names) for part, subset in parts.items()}
    settings = json.dumps([config.as_yaml(), names])
    digest = np.frombuffer(hashlib.sha256(settings.encode()).digest(), np.uint8)
    digests = np.asarray(hosts.process_allgather(digest))
    different = []
    for number, other in enumerate(digests, start=1):
        if (other != digests[0]).any():
            different.append(str(number))
    if different:
        raise RunError(
            f"process {', '.join(different)} of {process.count} has another config or other data "
            f"than the first one",
            "mismatch",
        )


def _share_file(process: Process, path: Path) -> None:
    """Send a file of the first process to the others, if it exists."""
    from jax.experimental import multihost_utils as hosts

    own_size = path.stat().st_size if path.is_file() else 0
    halves = np.array(divmod(own_size, 2**30), np.int32)  # JAX has no 64-bit integers by default
    upper, lower = hosts.broadcast_one_to_all(halves)
    size = int(upper) * 2**30 + int(lower)
    if not size:
        return
    if process.number == 1:
        content = np.frombuffer(path.read_bytes(), np.uint8)
    else:
        content = np.zeros(size, np.uint8)
    content = np.asarray(hosts.broadcast_one_to_all(content))
    if process.number > 1:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.tobytes())


class _FinalMessage:
    """Context manager: a second process prints an error if this one is aborted inside."""

    def __init__(self, process: Process) -> None:
        message = f"error: {_connection_lost(process)}"
        command = [sys.executable, "-S", "-c", _WATCHER, message]
        self.watcher = subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603 (Python itself)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.watcher.communicate(b".")


def _describe(problem: Exception, process: Process) -> str:
    if isinstance(problem, SegkitError):
        return str(problem)
    if _is_broken(problem):
        return _connection_lost(process)
    if isinstance(problem, OSError):
        return sentence(problem)
    traceback.print_exc()
    return f"{process.name} failed"


def _connection_lost(process: Process) -> str:
    return (
        f"{process.name} was killed, or has lost the others: one of them died, or cannot be "
        f"reached. Start all {process.count} again with --resume; the last checkpoint is kept"
    )


def _is_broken(problem: BaseException | None) -> bool:
    """Return whether an exception, or one that caused it, comes from a broken connection."""
    while problem is not None:
        if _BROKEN_CONNECTION.search(str(problem)):
            return True
        problem = problem.__context__
    return False


def _first_line(problem: BaseException) -> str:
    lines = str(problem).splitlines()
    return lines[0] if lines else type(problem).__name__
