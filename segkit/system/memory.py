"""How much memory is free, and how much this process takes."""

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


def free_memory() -> int:
    """Return the bytes that this process may still take, within the limit of its container."""
    return min(psutil.virtual_memory().available, container_room())


def container_room(groups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return what is left below the limit of a Linux container; files that it once read, and nobody uses, make room."""
    for limit, used, stat in _GROUP_FILES:
        try:
            most, taken = ((groups / name).read_text().strip() for name in (limit, used))
            kept = re.search(r"^inactive_file (\d+)$", (groups / stat).read_text(), re.MULTILINE)
        except OSError:
            continue
        return (
            2**62 if most == "max" else max(0, int(most) - int(taken) + int(kept[1] if kept else 0))
        )
    return 2**62


_GROUP_FILES = (
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)
"""Of both versions of control groups."""


def resident() -> int:
    """Return the bytes of memory that this process takes now."""
    used: int = psutil.Process().memory_info().rss
    return used


def peak() -> int:
    """Return the most bytes of memory that this process ever took."""
    status = Path("/proc/self/status")
    if (
        status.is_file()
    ):  # on Linux getrusage counts the memory of the process that started this one
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    used = psutil.Process().memory_info()
    try:
        import resource
    except ImportError:  # Windows, where psutil knows the peak
        return int(getattr(used, "peak_wset", used.rss))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def most_resident(call: Callable[[], object]) -> int:
    """Call it, and return the most bytes of memory that this process took meanwhile, looked at each millisecond."""
    top, before, done = resident(), peak(), threading.Event()

    def watch() -> None:
        nonlocal top
        while not done.wait(0.001):
            top = max(top, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        call()
    finally:
        done.set()
        watcher.join()
    after = peak()
    return max(top, after if after > before else 0)


def parse_bytes(text: str) -> int:
    """Return a size such as "1.5GB", "800M" or "2 GiB" in bytes. Raises `ConfigError`.

    >>> parse_bytes("1.5GB"), parse_bytes("2 GiB")
    (1500000000, 2147483648)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?i?)b?", text.strip().lower())
    if not match or match[2] not in UNITS:
        raise ConfigError(
            f"a size of memory is a number with a unit, as in 1.5GB or 800MB; found {text!r}"
        )
    return int(float(match[1]) * UNITS[match[2]])
