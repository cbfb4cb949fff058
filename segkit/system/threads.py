"""Work done by threads ahead of who needs it, in order and with bounded memory."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import cv2

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(
    make: Callable[[Item], Result], items: Iterable[Item], workers: int = 2
) -> Generator[Result]:
    """Yield make(item) for each item, in order; at most `workers` + 2 results wait. `items` may be endless.

    Threads, because readers of images free Python's lock. An error of `make` is raised in its place in the order.

    >>> list(prefetch(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    waiting_items = iter(items)
    with ThreadPoolExecutor(workers, thread_name_prefix="segkit") as pool:
        waiting = deque(
            pool.submit(make, item) for item in itertools.islice(waiting_items, workers + 2)
        )
        try:
            while waiting:
                ready = waiting.popleft().result()
                waiting.extend(
                    pool.submit(make, item) for item in itertools.islice(waiting_items, 1)
                )
                yield ready
        finally:
            for future in waiting:
                future.cancel()


def cores() -> int:
    """Return how many cores this process may use: not more than OMP_NUM_THREADS, which Ray sets for each of its workers."""
    found = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(found, int(wanted)) if wanted.isdecimal() and int(wanted) else found


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Have OpenCV work in the thread that calls it: where many call, threads of its own only wait for theirs."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
