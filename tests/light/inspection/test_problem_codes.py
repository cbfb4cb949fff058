"""Every code of a problem stands in the table of docs/how-to/inspect-and-plan.md, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "how-to" / "inspect-and-plan.md"
ROWS = re.findall(r"^\| `([a-z-]+)` \| (E|W|E, W) \| (.+) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
LISTED = {code: levels for code, levels, _, _ in ROWS}
PASSED_ON = {"code", "problem.code", "errors[0].code"}
"""Expressions that hand on a code that stands elsewhere as it is."""
PLACE = {"DataError": 1, "Problem": 0, "_problem": 0, "_soft": -1}
"""Where the code stands among the arguments."""


def test_every_code_is_explained_and_every_explained_code_is_used() -> None:
    used = {code for code, _ in codes()}
    assert {"used": sorted(used - set(LISTED)), "listed": sorted(set(LISTED) - used)} == {"used": [], "listed": []}
    assert len(ROWS) == len(LISTED)


def test_errors_and_warnings_are_told_apart() -> None:
    wrong = [(code, level) for code, level in codes() if level not in LISTED.get(code, level)]
    assert wrong == []


def codes() -> Iterator[tuple[str, str]]:
    """Yield every code in the source, with E or W where the call says which."""
    for path in sorted((ROOT / "segkit").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in PLACE:
                yield from _of_call(node, node.func.id, path)  # type: ignore[attr-defined]
            elif isinstance(node, ast.For) and _names(node.target)[:1] == ["code"] and isinstance(node.iter, ast.Tuple):
                for row in node.iter.elts:  # for code, ... in (("depth", ...), ("channels", ...))
                    assert isinstance(row, ast.Tuple)
                    yield from ((code, "") for code in _constants(row.elts[0]))
            elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if _names(targets[0]) == ["doubts"]:
                    yield from _of_doubts(node.value)


def _of_call(call: ast.Call, name: str, path: Path) -> Iterator[tuple[str, str]]:
    given = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
    place = PLACE[name]
    expression = given[0] if given else call.args[place] if place < len(call.args) else None
    if expression is None:
        yield "unreadable", "E"  # DataError's default
        return
    found = _constants(expression)
    assert found or ast.unparse(expression) in PASSED_ON, (
        f"{path}: a code this test does not follow: {ast.unparse(call)}"
    )
    said = _constants(call.args[1]) if name in ("Problem", "_problem") else ["warning" if name == "_soft" else "error"]
    yield from ((code, said[0][0].upper() if said else "") for code in found)


def _of_doubts(value: ast.expr) -> Iterator[tuple[str, str]]:
    """A doubt is a pair of a code and a sentence."""
    for node in ast.walk(value):
        if (
            isinstance(node, ast.Tuple)
            and len(node.elts) == 2
            and isinstance(node.elts[1], ast.Constant | ast.JoinedStr)
        ):
            yield from ((code, "W") for code in _constants(node.elts[0]))


def _constants(node: ast.expr) -> list[str]:
    if isinstance(node, ast.IfExp):
        return _constants(node.body) + _constants(node.orelse)
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def _names(node: ast.expr) -> list[str]:
    return [inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)]
