"""The free memory, and the memory of this process."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil

from segkit.errors import ConfigError

UNITS = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "t": 10**12,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
    "ti": 2**40,
}
"""The bytes of each unit of memory."""
UNLIMITED = 2**62
"""A number of bytes that stands for no limit."""


def free_memory() -> int:
    """Return the bytes that this process can still allocate, within the limit of its container."""
    return min(psutil.virtual_memory().available, container_room())


def container_room(groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the bytes that are left below the memory limit of a Linux container.

    Cached files that nobody uses count as free, because the kernel drops them if memory is needed.

    Args:
        groups: The folder of the control groups.

    Returns:
        The number of bytes, or `UNLIMITED` without a limit.
    """
    for limit_name, used_name, statistics_name in _GROUP_FILES:
        try:
            limit = (groups / limit_name).read_text().strip()
            used = (groups / used_name).read_text().strip()
            statistics = (groups / statistics_name).read_text()
        except OSError:
            continue
        if limit == "max":
            return UNLIMITED
        cached = 0
        match = re.search(r"^inactive_file (\d+)$", statistics, re.MULTILINE)
        if match:
            cached = int(match[1])
        return max(0, int(limit) - int(used) + cached)
    return UNLIMITED


_GROUP_FILES = (
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)
"""The files of limit, usage and statistics in both versions of control groups."""


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    used: int = psutil.Process().memory_info().rss
    return used


def peak() -> int:
    """Return the largest resident memory of this process so far in bytes."""
    status = Path(
        "/proc/self/status"
    )  # on Linux getrusage includes the parent's memory before exec
    if status.is_file():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    used = psutil.Process().memory_info()
    try:
        import resource
    except ImportError:  # on Windows psutil returns the peak
        return int(getattr(used, "peak_wset", used.rss))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def most_resident(call: Callable[[], object]) -> int:
    """Call a function and return the largest resident memory of this process meanwhile, in bytes.

    Args:
        call: The function. The memory is measured every millisecond.
    """
    highest = resident()
    peak_before = peak()
    is_finished = threading.Event()

    def watch() -> None:
        nonlocal highest
        while not is_finished.wait(0.001):
            highest = max(highest, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        call()
    finally:
        is_finished.set()
        watcher.join()
    peak_after = peak()
    if peak_after > peak_before:
        return max(highest, peak_after)
    return highest


def parse_bytes(text: str) -> int:
    """Return a size in bytes.

    Args:
        text: A size such as "1.5GB", "800M" or "2 GiB".

    Raises:
        ConfigError: If the text is no size.

    >>> parse_bytes("1.5GB"), parse_bytes("2 GiB")
    (1500000000, 2147483648)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?", text.strip().lower())
    if not match or match[2] not in UNITS:
        raise ConfigError(
            f"a size of memory is a number with a unit, as in 1.5GB or 800MB; found {text!r}"
        )
    return int(float(match[1]) * UNITS[match[2]])
