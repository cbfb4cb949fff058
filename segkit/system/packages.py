"""Packages of extras."""

from __future__ import annotations

import importlib.util
from typing import Any

from segkit.errors import ConfigError


def need(module: str, extra: str) -> Any:
    """Import a module of an extra. Raises `ConfigError` naming the extra if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as problem:
        package = module.partition(".")[0]
        raise ConfigError(
            f'{package} is not installed; run `pip install "keras-segkit[{extra}]"` ({problem})',
            "missing-package",
        ) from problem
