"""A module with the interface of trackio and wandb that records its calls."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NamedTuple

import pytest


class Call(NamedTuple):
    """A call of one of the module's functions."""

    function: str
    values: dict[str, Any]


class Picture(NamedTuple):
    """What `Image` returns."""

    path: str


class FakeTracker:
    """The module in `sys.modules`.

    Args:
        name: The name of the package that it replaces.
        monkeypatch: Removes the module after the test.
    """

    def __init__(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[Call] = []
        self.broken: str | None = None
        """The function that raises an error from now on."""
        module: Any = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None, origin=__file__)
        for function in ("init", "log", "finish"):
            setattr(module, function, self._recorder(function))
        module.Image = Picture
        self.module = module
        monkeypatch.setitem(sys.modules, name, module)

    def _recorder(self, function: str) -> Callable[..., None]:
        def record(*values: Any, **named: Any) -> None:
            self.calls.append(Call(function, {**dict(enumerate(values)), **named}))
            if function == self.broken:
                raise ConnectionError("the server is down")

        return record

    def named(self, function: str) -> list[dict[str, Any]]:
        """Return the arguments of the calls of a function."""
        return [call.values for call in self.calls if call.function == function]

    def logged(self) -> list[tuple[int, dict[str, Any]]]:
        """Return step and values of each call of `log`."""
        return [(values["step"], values[0]) for values in self.named("log")]
