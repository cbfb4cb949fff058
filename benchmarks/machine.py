"""What the numbers of a benchmark depend on: processor, memory, versions, and what else runs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BUSY = 0.5
"""A load above this before the start makes the times worthless: other programs want the same cores.
"""
PACKAGES = (
    *("keras-segkit", "keras", "tensorflow", "jax", "jaxlib", "torch", "monai"),
    *("onnxruntime", "openvino", "numpy", "opencv-python-headless", "pillow", "imagecodecs"),
)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """Return what the numbers depend on; no host name and no path."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": _cpu_model(),
        "cores": cores(),
        "gpu": _gpus(),
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2),
        "openmp_wait_policy": os.environ.get("OMP_WAIT_POLICY", "default"),
        "versions": versions,
    }


def machine_line(about: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in about["versions"].items())
    what = f"{about['cpu']}, {about['cores']} cores, {about['memory_gib']} GiB, {about['system']}"
    what += f", {about['gpu']}" if about["gpu"] else ""
    lines = [
        what,
        f"load before {about['load_before']}, OpenMP wait policy {about['openmp_wait_policy']}",
        versions,
    ]
    if about["load_before"] > BUSY:
        lines.append(
            "THIS MACHINE IS BUSY: PyTorch's threads spin and suffer from that most; do "
            "not keep these numbers"
        )
    return "\n".join(lines)


def _gpus() -> str:
    """Return the names and memories of NVIDIA's GPUs, whether or not they are used."""
    command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return ""
    return "; ".join(done.stdout.split("\n")).strip("; ")


def _cpu_model() -> str:
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.is_file() else []
    fields = dict(line.replace("\t", "").split(":", 1) for line in lines if ":" in line)
    known = [fields[key].strip() for key in ("model name", "cpu family", "model") if key in fields]
    if len(known) == 3:  # names such as "Intel(R) Xeon(R) Processor" say little
        return f"{known[0]} (family {known[1]}, model {known[2]})"
    return known[0] if known else platform.processor() or "unknown"
