"""What answers before Keras is loaded does not import it, not even by way of another module."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SLOW = ("keras", "tensorflow", "albumentations", "jax")


def without_keras() -> list[str]:
    """The folders and modules that the import contract names, and those that the command line begins with."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (contract,) = (each for each in contracts if each["type"] == "forbidden")
    return [*contract["source_modules"], "segkit.cli", "segkit.training.train", "segkit.training.folds"]


@pytest.mark.parametrize("name", without_keras())
def test_a_module_is_imported_without_keras(name: str) -> None:
    code = (
        "import importlib, pkgutil, sys\n"
        "module = importlib.import_module(sys.argv[1])\n"
        "for found in pkgutil.walk_packages(getattr(module, '__path__', []), sys.argv[1] + '.'):\n"
        "    importlib.import_module(found.name)\n"
        "print(*sorted(set(sys.argv[2:]) & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", code, name, *SLOW]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
