"""Only `segkit/task/` compares the kinds of tasks and asks whether classes are exclusive."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import segkit

pytestmark = pytest.mark.long

NAMES = {
    "binary",
    "multilabel",
    "multiclass",
    "sigmoid",
    "softmax",
    "binary_crossentropy",
    "categorical_crossentropy",
}
"""Values of `Task.kind`, `Task.head` and `Task.cross_entropy`."""

ALLOWED = {
    "data/sources/shapes.py: self.task.exclusive": (
        "In an exclusive task the shape that is painted last hides the others."
    ),
    "losses/generalized_dice.py: self.task.exclusive": (
        "In an exclusive task the formula sums over the classes."
    ),
}
"""The allowed expressions, with the reason; each may occur once."""


def branches(source: str) -> Iterator[str]:
    """Yield each expression of a module that branches on the kind or the head of a task."""
    for node in ast.walk(ast.parse(source)):
        if _branches(node):
            yield ast.unparse(node.subject if isinstance(node, ast.Match) else node)


def _branches(node: ast.AST) -> bool:
    match node:
        case ast.Attribute():
            return node.attr == "exclusive"
        case ast.Compare():
            return any(map(_is_kind, (node.left, *node.comparators)))
        case ast.Subscript():
            return _is_of_task(node.slice)
        case ast.Match():
            return _is_of_task(node.subject)
        case ast.Dict():
            return any(key is not None and _is_name(key) for key in node.keys)
    return False


def _is_kind(node: ast.expr) -> bool:
    parts = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    return any(_is_name(part) or _is_of_task(part) for part in parts)


def _is_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in NAMES


def _is_of_task(node: ast.expr) -> bool:
    """Return whether an expression is the kind or the head of a variable called task."""
    if not isinstance(node, ast.Attribute) or node.attr not in ("kind", "head"):
        return False
    return ast.unparse(node.value).rpartition(".")[-1] == "task"


def test_no_other_module_branches_on_the_kind_of_a_task() -> None:
    package = Path(str(segkit.__file__)).parent
    found = [
        f"{path.relative_to(package).as_posix()}: {branch}"
        for path in sorted(package.rglob("*.py"))
        if path.parent != package / "task"
        for branch in branches(path.read_text(encoding="utf-8"))
    ]
    assert sorted(found) == sorted(ALLOWED)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("if self.task.exclusive: pass", "self.task.exclusive"),
        ("a = task.kind == 'binary'", "task.kind == 'binary'"),
        ("a = written['kind'] != 'multilabel'", "written['kind'] != 'multilabel'"),
        ("a = kind in ('binary', 'multilabel')", "kind in ('binary', 'multilabel')"),
        ("a = config.task.kind == OTHER", "config.task.kind == OTHER"),
        ("a = 'softmax' == task.head", "'softmax' == task.head"),
        ("a = table[task.head]", "table[task.head]"),
        ("a = {'sigmoid': 1}", "{'sigmoid': 1}"),
        ("match task.kind:\n    case x: pass", "task.kind"),
    ],
)
def test_every_way_to_branch_is_found(code: str, expected: str) -> None:
    assert list(branches(code)) == [expected]


@pytest.mark.parametrize(
    "code",
    [
        "a = f'a {task.kind} task'",
        "a = {'kind': task.kind, 'head': 'softmax'}",
        "a = np.dtype(dtype).kind == 'u'",
        "a = Task.binary()",
        "a = found == task.activation",
    ],
)
def test_texts_and_other_kinds_are_not_reported(code: str) -> None:
    assert list(branches(code)) == []
