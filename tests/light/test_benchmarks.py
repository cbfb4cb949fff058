"""Everything that the scripts in benchmarks/ import from segkit exists.

The scripts take minutes, so they are not run here.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import segkit

ROOT = Path(__file__).parents[2]


def names_in(path: Path) -> set[str]:
    """Return the names that a module defines or imports at its top level."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name) for alias in node.names}
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {
                name.id
                for target in targets
                for name in ast.walk(target)
                if isinstance(name, ast.Name)
            }
    return found


@pytest.mark.parametrize(
    "script", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda script: script.name
)
def test_everything_that_a_script_imports_from_segkit_exists(script: Path) -> None:
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "segkit":
            place = ROOT / (node.module or "").replace(".", "/")
            module = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
            beside = {path.stem for path in place.glob("*")} | names_in(module)
            late = (
                set(segkit.__all__) if node.module == "segkit" else set()
            )  # imported at their first use
            assert {alias.name for alias in node.names} <= beside | late, (script.name, node.module)
