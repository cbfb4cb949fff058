"""Computes results ahead in threads, in order and with bounded memory."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import cv2

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(
    make: Callable[[Item], Result], items: Iterable[Item], workers: int = 2
) -> Generator[Result]:
    """Yield the result for each item, in order, computed ahead in threads.

    Threads are enough, because image readers release the global interpreter lock.

    Args:
        make: Computes a result. Its exceptions are raised at the result's place in the order.
        items: The items; there may be infinitely many.
        workers: The number of threads. At most `workers` + 2 results are waiting.

    >>> list(prefetch(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    remaining = iter(items)
    with ThreadPoolExecutor(workers, thread_name_prefix="segkit") as pool:
        futures: deque[Future[Result]] = deque()
        try:
            for item in itertools.islice(remaining, workers + 2):
                futures.append(pool.submit(make, item))
            while futures:
                result = futures.popleft().result()
                for item in itertools.islice(remaining, 1):
                    futures.append(pool.submit(make, item))
                yield result
        finally:
            for future in futures:
                future.cancel()


def cores() -> int:
    """Return the number of cores that this process may use.

    It is at most OMP_NUM_THREADS, which Ray sets for each of its workers.
    """
    available = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        available = len(os.sched_getaffinity(0))
    limit = os.environ.get("OMP_NUM_THREADS", "")
    if limit.isdecimal() and int(limit) > 0:
        return min(available, int(limit))
    return available


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Let OpenCV use only the calling thread, which is faster if many threads call it."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
