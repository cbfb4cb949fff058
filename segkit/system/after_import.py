"""Imports modules as soon as another one has been imported."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


def import_after(name: str, followers: Sequence[str]) -> None:
    """Import modules right after another module has been imported, or now if it already is.

    At that moment the import of no follower, and of no module from which a follower imports a name,
    may have started. A module of the package that imports `name` itself must therefore not be one
    of these.

    Args:
        name: A module that is slow to import, such as "keras".
        followers: The names of the modules to import after it.
    """
    if name in sys.modules:
        _import_all(followers)
    else:
        sys.meta_path.insert(0, _Finder(name, followers))


class _Finder:
    """Finds one module as Python does, and lets its loader import the followers afterwards."""

    def __init__(self, name: str, followers: Sequence[str]) -> None:
        self.name = name
        self.followers = followers

    def find_spec(
        self, name: str, path: Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of the module, or None for another one; see `MetaPathFinder`."""
        if name != self.name or self not in sys.meta_path:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None:
            sys.meta_path.insert(0, self)
        elif spec.loader is not None:
            self._follow(spec.loader)
        return spec

    def _follow(self, loader: Any) -> None:
        execute = loader.exec_module

        def execute_and_follow(module: ModuleType) -> None:
            try:
                execute(module)
            except BaseException:
                sys.meta_path.insert(0, self)
                raise
            _import_all(self.followers)

        loader.exec_module = execute_and_follow


def _import_all(names: Sequence[str]) -> None:
    for name in names:
        importlib.import_module(name)
