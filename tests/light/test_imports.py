"""Modules that run before Keras is loaded do not import it, neither directly nor indirectly."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SLOW = ("keras", "tensorflow", "albumentations", "jax")


def without_keras() -> list[str]:
    """Return the modules of the import contract and those with which the command line starts."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (contract,) = (each for each in contracts if each["type"] == "forbidden")
    return [
        *contract["source_modules"],
        "segkit.cli",
        "segkit.training.train",
        "segkit.training.folds",
    ]


# Imports the modules of argv[1] (JSON) and all modules below them, one after the other.
# It prints which modules of argv[2] each import adds.
IMPORTS = """
import importlib, json, pkgutil, sys
names, slow = map(json.loads, sys.argv[1:])
added = {}
for name in names:
    before = set(sys.modules)
    module = importlib.import_module(name)
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), name + "."):
        importlib.import_module(found.name)
    added[name] = sorted(set(slow) & set(sys.modules) - before)
print(json.dumps(added))
"""


@pytest.fixture(scope="module")
def added() -> dict[str, list[str]]:
    """Return the slow packages that each module adds. One process is enough: none may add any."""
    command = [sys.executable, "-c", IMPORTS, json.dumps(without_keras()), json.dumps(SLOW)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", without_keras())
def test_a_module_is_imported_without_keras(added: dict[str, list[str]], name: str) -> None:
    assert added[name] == []
