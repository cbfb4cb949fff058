"""Versions, machine and command of this process."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from typing import Any


def environment() -> dict[str, Any]:
    """Return the versions, machine and command of this process."""
    packages = (
        "keras-segkit",
        "keras",
        "tensorflow",
        "jax",
        "numpy",
        "albumentations",
        "pillow",
        "tifffile",
    )
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "packages": versions,
    }
