"""Tables of the folders of segkit, written from their docstrings, and of the layers in
pyproject.toml.
"""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINE = re.compile(r"^(\w[\w./]*(?:, \w[\w./]*)*)  +(\S.*)$")
"""A line of a package's docstring: files, two spaces or more, and what they hold."""


def tree_tables() -> str:
    """Return a section per folder of segkit: its summary and its files."""
    parts = []
    for package in sorted((ROOT / "segkit").rglob("__init__.py")):
        name = package.parent.relative_to(ROOT).as_posix()
        summary, rows = describe_package(package.read_text(encoding="utf-8"))
        parts.append(f"### {name} {{ #{name.replace('/', '-')} }}\n\n{summary}\n")
        if rows:
            parts.append(_table(("file", "contents"), rows))
    return "\n".join(parts)


def describe_package(source: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the summary of a package's docstring, and its files with what they hold."""
    text = ast.get_docstring(ast.parse(source)) or ""
    summary, _, rest = text.partition("\n\n")
    rows: list[tuple[str, str]] = []
    for line in rest.splitlines():
        found = LINE.match(line)
        if found:
            rows.append((found[1], found[2]))
        elif line.startswith(" ") and rows:
            name, words = rows[-1]
            rows[-1] = (name, f"{words} {line.strip()}")
    return " ".join(summary.split()), rows


def floors_table() -> str:
    """Return the layers of imports, the highest first."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    contracts = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    rows = []
    for i, layer in enumerate(layers):
        names = [f"`{name}`" for name in re.split(r" [|:] ", layer)]
        rows.append((str(len(layers) - i), ", ".join(names)))
    return _table(("floor", "folders"), rows, code=False)


def _table(head: tuple[str, str], rows: list[tuple[str, str]], code: bool = True) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    for name, words in rows:
        marked = f"`{name}`" if code else name
        lines.append(f"| {marked} | {words.replace('|', chr(92) + '|')} |")
    return "\n".join([*lines, ""])
