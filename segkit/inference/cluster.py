"""Prediction on many machines by Ray Data. Workers may die. Only this module imports Ray.

The driver divides the images into pieces, lists of names. A worker (a Ray actor) opens the runs
once, and then reads, predicts and writes one piece after the other; for each piece it returns the
outcome of each image. If a worker dies, another one does its piece again.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit import errors
from segkit.data.pixel_size import PixelSize
from segkit.errors import ConfigError, RunError, SegkitError, one_line
from segkit.inference.large.files import fit_batch, predict_and_write_large, separate_large
from segkit.inference.large.memory_budget import SHARE, budget_within, memory_limit
from segkit.inference.load import LoadedRun
from segkit.inference.outputs.writer import Outputs, Results
from segkit.inference.pipeline import Outcome, predict_and_write
from segkit.inference.resolution import check_whole
from segkit.inference.scale import ScaleFindings, ScaleWatch
from segkit.io.atomic import marked
from segkit.system.packages import need
from segkit.system.threads import cores

PIECE = 64
"""Most images of a piece. A piece is done again if its worker dies."""
CPUS = 4
"""Default for the most CPUs of a worker. A network gains little from more."""
STORE = 2**27
"""Bytes of the object store of a local cluster. Only names and outcomes pass through it."""
WAIT = 10
"""Seconds to wait for CPUs that other jobs use."""


class WorkerTask(NamedTuple):
    """Everything that a worker needs to know."""

    open_runs: Callable[[], LoadedRun]
    outputs: Outputs
    memory: int | None = None
    """Memory limit of each worker in bytes. By default half of the free memory of a machine is
    divided among its workers."""
    neighbours: int = 1
    """Number of workers on the machine."""
    mark: Path = Path()
    """A file that the driver keeps in the folder of the masks. It exists for the worker, too, if
    both see the same folder."""
    resolution: PixelSize | None = None
    """The size of the pixels that the network sees; None resamples nothing."""


class WorkerPlan(NamedTuple):
    """How many workers there are, and how many CPUs each has."""

    workers: int
    cpus: int
    neighbours: int
    """Most workers on one machine."""


def plan_workers(nodes: Sequence[float], cpus: int | None = None) -> WorkerPlan:
    """Plan as many workers as fit the CPUs of the machines.

    No CPU needs to stay free. The pieces come from the driver, so there are no read tasks, for
    which Ray Data would wait forever if its actors used every CPU.

    Args:
        nodes: The CPUs of each machine.
        cpus: CPUs of each worker. By default the CPUs of the smallest machine, at most `CPUS`.

    Raises:
        ConfigError: If not even one worker fits.

    >>> plan_workers([8, 8, 2])
    WorkerPlan(workers=9, cpus=2, neighbours=4)
    """
    whole = [int(node) for node in nodes if node >= 1]
    per_worker = cpus or min([CPUS, *whole] if whole else [1])
    fitting = [node // per_worker for node in whole if node >= per_worker]
    if not fitting:
        found = ", ".join(f"{node:g}" for node in nodes) or "none"
        raise ConfigError(
            f"a worker needs a machine with {per_worker} free CPU(s); the cluster's have {found}",
            "missing-hardware",
            setting="--worker-cpus",
        )
    return WorkerPlan(sum(fitting), per_worker, max(fitting))


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """Connect to a Ray cluster, and yield the module `ray`.

    Ray sends no usage statistics, starts no dashboard and installs or uploads nothing. A cluster of
    this machine alone listens only to this machine.

    Args:
        address: HOST:PORT or "auto". None starts a cluster of this machine alone, which ends with
            the block.

    Raises:
        ConfigError: If Ray is not installed, or there is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # with `uv run` Ray would upload the working folder and install its packages again
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    settings: dict[str, Any] = {}
    if address is None:
        # this setting makes Ray use only 127.0.0.1, on Linux as well
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
        settings = {"include_dashboard": False, "object_store_memory": STORE}
    else:
        _check_address(address)
    ray = need("ray", "ray")
    need("ray.data", "ray")
    on_termination = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address or "local", log_to_driver=False, logging_level="ERROR", **settings)
    except Exception as problem:  # Ray raises many classes, also a bare Exception after a timeout
        raise _no_cluster(address or "this machine", problem) from problem
    if threading.current_thread() is threading.main_thread():
        # Ray's own handler would end the process without a message
        signal.signal(signal.SIGTERM, on_termination)
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """Raise `ConfigError` if nobody listens at an address. Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        except (OSError, OverflowError) as problem:
            raise _no_cluster(address, problem) from problem


def _no_cluster(where: str, problem: Exception) -> ConfigError:
    reason = one_line(problem)
    return ConfigError(
        f"no Ray cluster answers at {where} ({reason})",
        "no-cluster",
        setting="--address",
    )


def plan_of(ray: Any, cpus: int | None) -> WorkerPlan:
    """Plan the workers of the cluster to which Ray is connected.

    Args:
        ray: The connected module.
        cpus: CPUs of each worker, or None for the default of `plan_workers`.

    Raises:
        ConfigError: If not even one worker fits.
        RunError: If other jobs use so many CPUs that no worker can start.
    """
    nodes = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
    plan = plan_workers(nodes, cpus)
    # a placement group starts only where one machine has all its CPUs free
    group = ray.util.placement_group([{"CPU": plan.cpus}])
    ready = group.wait(WAIT)  # the CPUs of a job that has just ended may not be free yet
    ray.util.remove_placement_group(group)
    if not ready:
        free = ray.available_resources().get("CPU", 0)
        raise RunError(
            f"--engine ray: a worker needs {plan.cpus} CPU(s), and no machine of the cluster has "
            f"as many free ({free:g} in all): Ray would wait forever. End other jobs there "
            f"(`ray status` lists them), or ask for less by --worker-cpus",
            "busy",
        )
    return plan


def predict_and_write_on_cluster(
    ray: Any,
    task: WorkerTask,
    plan: WorkerPlan,
    report: Callable[[str], None],
    images: Mapping[str, Path],
    results: Results,
    scale: ScaleWatch | None = None,
) -> Generator[Outcome]:
    """Let the workers of a cluster predict images and write their results; yield each outcome.

    Args:
        ray: The connected module.
        task: What the workers do.
        plan: How many workers there are.
        report: Receives the descriptions of the runs that workers opened, each once.
        images: Image files by name.
        results: The folders of the results.
        scale: Receives the value ranges of the images that the workers saw.

    Raises:
        SegkitError: An error of a worker that a user can repair.
        RunError: If the cluster itself fails.
    """
    if not images:
        return
    reported: set[str] = set()
    with marked(results.masks) as mark:
        task = task._replace(mark=absolute_path(mark))
        for message in messages_of_workers(ray, task, plan, images):
            mark.touch()
            if "error" in message:
                raise _error_from(message)
            if message["description"] not in reported:
                reported.add(message["description"])
                report(message["description"])
            if scale is not None:
                scale.findings.add(ScaleFindings.from_json(message["scale"]))
            for name, row, problem, full in message["outcomes"]:
                yield Outcome(name, tuple(row) if row else None, problem, full)


def messages_of_workers(
    ray: Any, task: WorkerTask, plan: WorkerPlan, images: Mapping[str, Path]
) -> Iterator[dict[str, Any]]:
    """Divide the images into pieces for the workers, and yield the message of `Worker` for each."""
    data = ray.data
    _silence(data)
    pool = data.ActorPoolStrategy(
        min_size=1,
        max_size=plan.workers,
        initial_size=plan.workers,
        max_tasks_in_flight_per_actor=2,
    )
    pieces = data.from_arrow(list(_tables(images, plan.workers)))
    predicted = pieces.map_batches(
        Worker, fn_constructor_args=(task,), batch_size=None, compute=pool, num_cpus=plan.cpus
    )
    try:
        for batch in predicted.iter_batches(batch_size=None, prefetch_batches=0):
            yield from map(json.loads, batch["message"])
    except ray.exceptions.RayTaskError:
        raise  # a bug: show the traceback of the worker
    except ray.exceptions.RayError as problem:
        raise RunError(
            f"the Ray cluster does not go on: {problem}; all written files are complete, go on "
            f"with --skip-existing",
            "no-cluster",
        ) from problem


def _silence(data: Any) -> None:
    """Turn off the progress bars and messages of Ray Data."""
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for name in ("ray.data", "ray"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _tables(images: Mapping[str, Path], workers: int) -> Iterator[Any]:
    """Yield the pieces as Arrow tables of one block each.

    There are several pieces for each worker, so that all workers end at about the same time.
    """
    import pyarrow

    size = max(1, min(PIECE, len(images) // (4 * workers)))
    # JSON is ASCII, also for names that are not UTF-8
    texts = [json.dumps([name, str(absolute_path(path))]) for name, path in images.items()]
    for begin in range(0, len(texts), size):
        yield pyarrow.table({"image": texts[begin : begin + size]})


def absolute_path(path: Path) -> Path:
    """Return a path for workers, which have another current folder. Links are not resolved."""
    return Path(os.path.abspath(path))  # noqa: PTH100


class Worker:
    """A Ray actor, which opens the runs once, and predicts and writes pieces."""

    def __init__(self, task: WorkerTask) -> None:
        self.task = task

    def __call__(self, piece: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return one row: the outcomes of a piece as JSON, or an error that a user can repair."""
        images = {name: Path(path) for name, path in map(json.loads, piece["image"])}
        try:
            message = self._predict(images)
        except SegkitError as problem:
            message = _error_message(problem.with_message(f"{problem} (on {platform.node()})"))
        return {"message": np.array([json.dumps(message)])}

    def _predict(self, images: dict[str, Path]) -> dict[str, Any]:
        """Predict and write a piece; return what the driver needs."""
        scale = ScaleWatch(self._loaded.config.input)
        outcomes = list(self._outcomes(images, scale))
        return {
            "outcomes": outcomes,
            "description": self._loaded.description,
            "scale": asdict(scale.findings),
        }

    @cached_property
    def _loaded(self) -> LoadedRun:
        if not self.task.mark.exists():
            raise RunError(
                f"{self.task.outputs.masks}: is not the driver's folder of this name; --out must "
                f"be on a disk that all machines of the cluster share",
                "not-shared",
            )
        for threads in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
            os.environ.setdefault(threads, str(cores()))
        loaded = self.task.open_runs()
        return loaded._replace(config=fit_batch(loaded.predict, loaded.config, self.task.memory))

    def _outcomes(self, images: dict[str, Path], scale: ScaleWatch) -> Iterator[Outcome]:
        """Predict and write the images, the large ones at the end in windows."""
        predict = self._loaded.predict
        config = self._loaded.config
        results = Results(config, self.task.outputs)
        limit = self.task.memory or memory_limit(None, SHARE / self.task.neighbours)
        whole, large = separate_large(config, images, self.task.outputs, limit)
        budget = budget_within(predict, config, limit) if large else None
        check_whole(large, self.task.resolution)
        yield from predict_and_write(
            predict, config, whole, results, scale=scale, resolution=self.task.resolution
        )
        if budget is not None:
            fingerprint = self._loaded.fingerprint
            yield from predict_and_write_large(
                predict, config, fingerprint, budget, _no_windows, large, results, scale
            )


def _error_message(problem: SegkitError) -> dict[str, Any]:
    """Return an error as JSON can hold it: its class, message, code and other attributes."""
    return {"error": type(problem).__name__, "message": str(problem), "attributes": vars(problem)}


def _error_from(message: Mapping[str, Any]) -> SegkitError:
    """Return the error of an `_error_message`."""
    problem: SegkitError = getattr(errors, message["error"])(message["message"])
    vars(problem).update(message["attributes"])
    return problem


def _no_windows(name: str) -> AbstractContextManager[Callable[[int, int], None]]:
    """Return a progress within an image that shows nothing."""
    return nullcontext(lambda done, total: None)
