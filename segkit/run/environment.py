"""Versions, machine and command of this process."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

PACKAGES = (
    "keras-segkit",
    "keras",
    "tensorflow",
    "jax",
    "numpy",
    "albumentations",
    "pillow",
    "tifffile",
)
"""The packages whose versions are recorded."""


def environment() -> dict[str, Any]:
    """Return the versions, machine and command of this process, as values for a JSON file."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "backend": os.environ.get("KERAS_BACKEND", "tensorflow"),
        "packages": _versions(),
    }


def _versions() -> dict[str, str]:
    """Return the versions of the installed ones of `PACKAGES`."""
    versions = {}
    for package in PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions
