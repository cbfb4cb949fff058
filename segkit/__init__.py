"""segkit: say once what a pixel can be; head, loss, metrics, decoding and files follow."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from segkit.errors import ConfigError, DataError, RunError, SegkitError

if TYPE_CHECKING:
    from segkit.task import VOID, Task


__version__ = "0.1.0"
__all__ = [
    "VOID", "ConfigError", "DataError", "Predictor", "RunError", "SegkitError", "Task", "build", "compile", "head",
    "losses", "metrics", "unet",
]  # fmt: skip

_LATE = {
    "Predictor": "segkit.inference.predictor:Predictor",
    "Task": "segkit.task:Task",
    "VOID": "segkit.task:VOID",
    "build": "segkit.models.build:build",
    "compile": "segkit.models.build:compile",
    "head": "segkit.models.build:head",
    "losses": "segkit.losses",
    "metrics": "segkit.metrics",
    "unet": "segkit.models.build:unet",
}


def __getattr__(name: str) -> Any:
    """Import what is slow to import, NumPy or Keras, when it is first asked for (PEP 562): `--help` answers at once."""
    if name not in _LATE:
        raise AttributeError(f"module 'segkit' has no attribute {name!r}")
    module, _, attribute = _LATE[name].partition(":")
    loaded = importlib.import_module(module)
    return getattr(loaded, attribute) if attribute else loaded


def __dir__() -> list[str]:
    return sorted(__all__)
