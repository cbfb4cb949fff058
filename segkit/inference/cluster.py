"""Prediction on many machines by Ray Data: the same files, written by workers that may die. Only this module imports Ray.

The driver hands out pieces, lists of images by name; a worker (a Ray actor) opens the runs once, then reads, predicts and
writes piece after piece, and answers with the outcome of each image. A piece whose worker died is done again by another.
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
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit import errors
from segkit.errors import ConfigError, RunError, SegkitError
from segkit.inference.files import Outcome, each_written
from segkit.inference.large.files import divide, each_large_written, fit_batch
from segkit.inference.large.memory_budget import SHARE, allowed, room_for
from segkit.inference.load import Together
from segkit.inference.outputs.writer import Outputs, Results
from segkit.io.atomic import marked
from segkit.system.packages import need
from segkit.system.threads import cores

PIECE = 64
"""Most images of a piece: what is done again after a death, and what a worker overlaps reading and writing in."""
CPUS = 4
"""Most CPUs of a worker if nothing else is said: a network gains little from more."""
STORE = 2**27
"""Bytes of the object store of a cluster of this machine alone; names and outcomes are all that passes through it."""
WAIT = 10
"""Seconds that CPUs which others have are waited for."""


class WorkerTask(NamedTuple):
    """All that a worker needs to know."""

    open: Callable[[], Together]
    outputs: Outputs
    memory: int | None = None
    """Bytes that each worker may take; None: its share of half of what is free on its machine."""
    neighbours: int = 1
    """Workers on its machine."""
    mark: Path = Path()
    """A file that is there if the folder of the masks is the driver's."""


class WorkerPlan(NamedTuple):
    """How many workers, and how many CPUs each has."""

    workers: int
    cpus: int
    neighbours: int
    """Most workers on one machine."""


def plan_workers(nodes: Sequence[float], cpus: int | None = None) -> WorkerPlan:
    """Return the workers that fit the CPUs of each machine: of `cpus` each, or of all that the smallest has, up to `CPUS`.

    No CPU needs to be left over: pieces come from the driver, so there are no read tasks, for which Ray Data would wait
    for ever if its actors had taken every CPU. Raises `ConfigError` if not one worker fits.

    >>> plan_workers([8, 8, 2])
    WorkerPlan(workers=9, cpus=2, neighbours=4)
    """
    whole = [int(node) for node in nodes if node >= 1]
    each = cpus or min([CPUS, *whole] if whole else [1])
    fitting = [node // each for node in whole if node >= each]
    if not fitting:
        told = ", ".join(f"{node:g}" for node in nodes) or "none"
        raise ConfigError(
            f"a worker needs a machine with {each} free CPU(s); the cluster's have {told}",
            "missing-hardware",
            setting="--worker-cpus",
        )
    return WorkerPlan(sum(fitting), each, max(fitting))


@contextmanager
def connected(address: str | None) -> Iterator[Any]:
    """Yield Ray, connected to the cluster at `address`, or to one of this machine alone that ends with the block.

    Nothing is told to anybody: no usage statistics, no dashboard, and a cluster of this machine listens to this machine
    alone. Nothing is installed or uploaded. Raises `ConfigError` if Ray is not installed or there is no such cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = (
        "0"  # `uv run` would upload the working folder and install anew
    )
    if address is None:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = (
            "0"  # what keeps Ray to 127.0.0.1, on Linux, too
        )
    else:
        _check_answers(address)
    ray = need("ray", "ray")
    need("ray.data", "ray")
    alone = {"include_dashboard": False, "object_store_memory": STORE}
    terminated = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(
            address or "local",
            log_to_driver=False,
            logging_level="ERROR",
            **({} if address else alone),
        )
    except (
        Exception
    ) as problem:  # Ray raises of every kind, a bare Exception if it starts too slowly
        raise ConfigError(
            f"no Ray cluster answers at {address or 'this machine'} ({problem})",
            "no-cluster",
            setting="--address",
        ) from problem
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, terminated)  # Ray would end the process without a word
    try:
        yield ray
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "/" not in host:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        except (OSError, OverflowError) as problem:
            raise ConfigError(
                f"no Ray cluster answers at {address} ({problem})",
                "no-cluster",
                setting="--address",
            ) from problem


def plan_of(ray: Any, cpus: int | None) -> WorkerPlan:
    """Return the plan for the cluster that Ray is connected to. Raises `RunError` if others left no machine with room."""
    found = plan_workers(
        [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]], cpus
    )
    group = ray.util.placement_group(
        [{"CPU": found.cpus}]
    )  # there is one where a single machine has them all
    ready = group.wait(WAIT)  # a job that has just ended may still count
    ray.util.remove_placement_group(group)
    if not ready:
        free = ray.available_resources().get("CPU", 0)
        raise RunError(
            f"--engine ray: a worker needs {found.cpus} CPU(s), and no machine of the cluster has "
            f"as many free ({free:g} in all): Ray would wait for ever. End what else runs there "
            f"(`ray status` tells), or ask for less by --worker-cpus",
            "busy",
        )
    return found


def each_written_on(
    ray: Any,
    work: WorkerTask,
    workers: WorkerPlan,
    tell: Callable[[str], None],
    todo: Mapping[str, Path],
    results: Results,
) -> Generator[Outcome]:
    """Have the cluster's workers predict images and write their results; yield the outcome of each as it comes.

    `tell` is given what workers say of themselves, each line once. An error that a user can repair is raised here as the
    worker met it; `RunError` if the cluster itself does not go on.
    """
    if not todo:
        return
    told: set[str] = set()
    with marked(results.masks) as mark:
        for answer in answers_of_workers(ray, work._replace(mark=absolute(mark)), workers, todo):
            mark.touch()
            if "error" in answer:
                raise _error_of(answer)
            if answer["told"] not in told:
                told.add(answer["told"])
                tell(answer["told"])
            for name, row, problem, full in answer["outcomes"]:
                yield Outcome(name, tuple(row) if row else None, problem, full)


def answers_of_workers(
    ray: Any, work: WorkerTask, workers: WorkerPlan, todo: Mapping[str, Path]
) -> Iterator[dict[str, Any]]:
    """Have the cluster's workers take the images in pieces; yield each answer of `Worker`."""
    data = ray.data
    _prepare(data)
    pool = data.ActorPoolStrategy(
        min_size=1,
        max_size=workers.workers,
        initial_size=workers.workers,
        max_tasks_in_flight_per_actor=2,
    )
    predicted = data.from_arrow(list(_tables(todo, workers.workers))).map_batches(
        Worker, fn_constructor_args=(work,), batch_size=None, compute=pool, num_cpus=workers.cpus
    )
    try:
        for batch in predicted.iter_batches(batch_size=None, prefetch_batches=0):
            yield from map(json.loads, batch["answer"])
    except ray.exceptions.RayTaskError:
        raise  # a worker's traceback
    except ray.exceptions.RayError as problem:
        raise RunError(
            f"the Ray cluster does not go on: {problem}; what is written is whole, go on with --skip-existing",
            "no-cluster",
        ) from problem


def _prepare(data: Any) -> None:
    context = data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for name in ("ray.data", "ray"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _tables(todo: Mapping[str, Path], workers: int) -> Iterator[Any]:
    """Yield the pieces as Arrow tables, a block each: several for a worker, so that all end at about the same time."""
    import pyarrow

    size = max(1, min(PIECE, len(todo) // (4 * workers)))
    images = [
        json.dumps([name, str(absolute(path))]) for name, path in todo.items()
    ]  # ASCII, whatever the name
    for begin in range(0, len(images), size):
        yield pyarrow.table({"image": images[begin : begin + size]})


def absolute(path: Path) -> Path:
    """Workers have another current folder; links stay."""
    return Path(os.path.abspath(path))  # noqa: PTH100


class Worker:
    """A Ray actor: opens the runs once, and turns pieces into files."""

    def __init__(self, work: WorkerTask) -> None:
        self.work = work

    def __call__(self, piece: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return one row: the outcomes of a piece as JSON, or what a user can repair."""
        try:
            todo = {name: Path(path) for name, path in map(json.loads, piece["image"])}
            answer = {"outcomes": list(self._each(todo)), "told": self._opened.told}
        except SegkitError as problem:
            answer = _answer_of(problem.with_message(f"{problem} (on {platform.node()})"))
        return {"answer": np.array([json.dumps(answer)])}

    @cached_property
    def _opened(self) -> Together:
        if not self.work.mark.exists():
            raise RunError(
                f"{self.work.outputs.masks}: is not the driver's folder of this name; --out must be on a disk that all "
                f"machines of the cluster share",
                "not-shared",
            )
        for threads in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
            os.environ.setdefault(threads, str(cores()))
        opened = self.work.open()
        return opened._replace(config=fit_batch(opened.predict, opened.config, self.work.memory))

    def _each(self, todo: dict[str, Path]) -> Iterator[Outcome]:
        opened = self._opened
        predict = opened.predict
        config = opened.config
        results = Results(config, self.work.outputs)
        most = self.work.memory or allowed(None, SHARE / self.work.neighbours)
        usual, large = divide(config, todo, self.work.outputs, most)
        room = room_for(predict, config, most) if large else None
        yield from each_written(predict, config, usual, results)
        if room:
            yield from each_large_written(
                predict, config, opened.weights, room, _watched, large, results
            )


def _answer_of(problem: SegkitError) -> dict[str, Any]:
    """Return an error as JSON can hold it: its class, message, code and other attributes."""
    return {"error": type(problem).__name__, "message": str(problem), "attributes": vars(problem)}


def _error_of(answer: Mapping[str, Any]) -> SegkitError:
    """Return the error that `_answer_of` was given."""
    problem: SegkitError = getattr(errors, answer["error"])(answer["message"])
    vars(problem).update(answer["attributes"])
    return problem


def _watched(name: str) -> AbstractContextManager[Callable[[int, int], None]]:
    """Progress that nobody looks at."""
    return nullcontext(lambda done, total: None)
