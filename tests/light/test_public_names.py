"""Editors find all public names: types are shipped, and late imports are repeated for them."""

from __future__ import annotations

import ast
from pathlib import Path

import segkit

FILE = Path(segkit.__file__)


def test_types_are_shipped() -> None:
    assert FILE.with_name("py.typed").is_file()


def test_late_imports_are_written_out_for_editors() -> None:
    names = set()
    for node in ast.walk(ast.parse(FILE.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    assert set(segkit.__all__) <= names
    assert set(segkit._LATE) <= set(segkit.__all__)
