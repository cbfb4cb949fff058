"""Packages of extras."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from segkit.errors import ConfigError

os.environ.setdefault(
    "ORT_DISABLE_TELEMETRY", "1"
)  # ONNX Runtime reports to a server, and keeps an id in ~/.cache


def need(module: str, extra: str) -> Any:
    """Import a module of an extra. Raises `ConfigError` naming the extra if it is not installed."""
    try:
        with _without_telemetry():
            return importlib.import_module(module)
    except ImportError as problem:
        package = module.partition(".")[0]
        raise ConfigError(
            f'{package} is not installed; run `pip install "keras-segkit[{extra}]"` ({problem})',
            "missing-package",
        ) from problem


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Hide the package by which OpenVINO reports each import to a server and keeps an id in the home folder.

    OpenVINO then takes its own stand-in, which does nothing.
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
