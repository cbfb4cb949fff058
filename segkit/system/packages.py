"""Imports packages of extras without their reports to servers, and names those that are missing."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from segkit.errors import ConfigError, one_line

# By default ONNX Runtime reports to a server and stores an id in ~/.cache.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_FIRST_IMPORT = threading.RLock()
"""Held while a package is imported, because `_without_telemetry` changes `sys.modules`."""


def need(module: str, extra: str) -> Any:
    """Import and return a module of an extra.

    Args:
        module: The name of the module.
        extra: The extra of keras-segkit that installs it.

    Raises:
        ConfigError: If the module is not installed.
    """
    try:
        if sys.modules.get(module) is not None:
            return importlib.import_module(module)  # waits for another thread that imports it
        with _FIRST_IMPORT, _without_telemetry():
            return importlib.import_module(module)
    except ImportError as problem:
        package = module.partition(".")[0]
        reason = one_line(problem)
        raise ConfigError(
            f'{package} is not installed; run `pip install "keras-segkit[{extra}]"` ({reason})',
            "missing-package",
        ) from problem


FULL_ONLY = (
    "albumentations",
    "jinja2",
    "keras",
    "matplotlib",
    "scipy",
    "tensorflow",
    "tensorflow_datasets",
)
"""Packages of keras-segkit that keras-segkit-runtime, the light distribution, does not install."""


@contextmanager
def explained_imports() -> Iterator[None]:
    """Turn a failed import of a package in `FULL_ONLY` into an error that says what to install.

    Raises:
        ConfigError: If such a package is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as problem:
        package = str(problem.name).partition(".")[0]
        if package not in FULL_ONLY:
            raise
        raise ConfigError(
            f"this needs {package}, which is not installed. keras-segkit-runtime predicts from "
            f"exports only; for everything else run `pip install keras-segkit` in another "
            f"environment",
            "missing-package",
        ) from problem


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Hide the package by which OpenVINO reports each import to a server and stores an id.

    OpenVINO then uses its own replacement, which does nothing.
    """
    name = "openvino_telemetry"
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
