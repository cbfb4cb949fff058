"""docs/error-codes.md lists exactly the codes in use, and errors keep their code everywhere."""

from __future__ import annotations

import ast
import copy
import pickle
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import pytest

from segkit.errors import ConfigError, DataError, RunError, SegkitError
from tests.helpers.command_line import numbers
from tests.helpers.errors import fails, holds

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "error-codes.md"
SECTIONS = dict(
    re.findall(
        r"^## `(\w+)`.*?\n(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
)
ROWS = {
    kind: re.findall(r"^\| `([a-z-]+)` \| (?:(E|W|E, W) \| )?(?:[^|]+) \|", text, re.MULTILINE)
    for kind, text in SECTIONS.items()
}
KINDS = {
    "ConfigError": "ConfigError",
    "DataError": "DataError",
    "RunError": "RunError",
    "SegkitWarning": "SegkitWarning",
    "Problem": "DataError",
    "problem_of": "DataError",
    "_different": "DataError",
    "_require": "ConfigError",
    "Doubt": "DataError",
    "Remark": "DataError",
    "classify_grey_levels": "DataError",
}
"""Functions that are called with a code, and the error class in whose table the code is."""
PLACE = {
    "Problem": 0,
    "_different": 0,
    "_require": 3,
    "Doubt": 0,
    "Remark": 0,
    "classify_grey_levels": -1,
}
"""The position of the code among the arguments, if it is not the second one."""
DEFAULTS = {
    "ConfigError": ConfigError("").code,
    "DataError": DataError("").code,
    "RunError": RunError("").code,
}
PASSED_ON = {"code", "problem.code", "errors[0].code", "doubt.code"}
"""Expressions that pass on a code from elsewhere."""
EXAMPLES = [
    DataError("a.png: is cut off", "mask-size"),
    RunError("runs/a: is full", "no-space"),
    ConfigError("5 or more; found 3", "wrong-value", setting="train.epochs"),
    ConfigError("two settings exclude each other", "contradiction"),
    SegkitError("something else"),
]


class Use(NamedTuple):
    """A code in the source, with E or W if the call says which it is."""

    kind: str
    code: str
    level: str


@pytest.mark.parametrize("kind", sorted(SECTIONS))
def test_every_code_is_explained_and_every_explained_code_is_used(kind: str) -> None:
    used = {use.code for use in uses() if use.kind == kind}
    listed = [code for code, _ in ROWS[kind]]
    assert sorted(listed) == sorted(used)


def test_errors_and_warnings_are_distinguished() -> None:
    levels = dict(ROWS["DataError"])
    data = [use for use in uses() if use.kind == "DataError"]
    assert [use for use in data if use.level not in levels[use.code]] == []


@pytest.mark.parametrize("error", EXAMPLES, ids=repr)
def test_an_error_is_the_same_after_pickling_and_copying(error: SegkitError) -> None:
    for other in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert type(other) is type(error)
        assert (str(other), vars(other)) == (str(error), vars(error))


def test_an_error_of_another_process_has_its_code_and_setting() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        problem = pool.submit(_fail).exception()
    assert isinstance(problem, ConfigError)
    assert (problem.code, problem.setting) == ("unknown-name", "train.monitor")
    assert str(problem) == "train.monitor: no score is called luck"


def _fail() -> None:
    raise ConfigError("no score is called luck", "unknown-name", setting="train.monitor")


def test_another_message_keeps_code_and_setting() -> None:
    problem = ConfigError("5 or more", setting="train.epochs")
    named = problem.with_message(f"a.yaml: {problem}")
    assert (str(named), named.code, named.setting) == (
        "a.yaml: train.epochs: 5 or more",
        "wrong-value",
        "train.epochs",
    )
    assert str(problem) == "train.epochs: 5 or more"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (12, True),
        (2, False),
        (0.5, True),
        (5, False),
        ("a.png", True),
        ("png.", False),
        ((4, 4), True),
        (None, False),
    ],
)
def test_a_value_is_found_only_as_a_word_of_its_own(value: object, found: bool) -> None:
    assert holds("/data/a.png: 12 pixels, 0.5 of (4, 4)", value) == found


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("3 masks written to runs/take_2/masks-1, 0 failed, 0.5 s.", [3, 0, 0.5]),
        ("1/3 a7 0.5x 12 % (4)", [12, 4]),
    ],
)
def test_numbers_of_a_line_are_words_of_their_own(line: str, found: list[float]) -> None:
    assert numbers(line) == found


@pytest.mark.parametrize(
    ("code", "values", "setting"),
    [
        ("unknown-name", (), None),
        ("wrong-value", (4,), None),
        ("wrong-value", (5, 3), "train.steps"),
    ],
)
def test_another_code_value_or_setting_is_not_accepted(
    code: str, values: tuple[int, ...], setting: str | None
) -> None:
    problem = ConfigError("5 or more; found 3", setting="train.epochs")
    with fails(ConfigError, "wrong-value", 5, 3, setting="train.epochs"):
        raise problem
    with pytest.raises(AssertionError), fails(ConfigError, code, *values, setting=setting):
        raise problem


def uses() -> Iterator[Use]:
    """Yield every code in the source."""
    for path in sorted((ROOT / "segkit").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in KINDS:
                yield from _of_call(node, node.func.id, path)  # type: ignore[attr-defined]
            elif (
                isinstance(node, ast.For)
                and _names(node.target)[:1] == ["code"]
                and isinstance(node.iter, ast.Tuple)
            ):
                for row in node.iter.elts:  # for code, ... in (("depth", ...), ("channels", ...))
                    assert isinstance(row, ast.Tuple)
                    yield from (Use("DataError", code, "") for code in _constants(row.elts[0]))
            elif (
                isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign)
                and node.value is not None
            ):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if _names(targets[0]) == ["doubts"]:
                    yield from _of_doubts(node.value)


def _of_call(call: ast.Call, name: str, path: Path) -> Iterator[Use]:
    kind = KINDS[name]
    given = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
    place = PLACE.get(name, 1)
    expression = given[0] if given else call.args[place] if place < len(call.args) else None
    if expression is None:
        if kind in DEFAULTS:  # a warning may have no code
            yield Use(kind, DEFAULTS[kind], "E" if kind == "DataError" else "")
        return
    found = _constants(expression)
    assert found or ast.unparse(expression) in PASSED_ON, (
        f"{path}: a code this test does not follow: {ast.unparse(call)}"
    )
    yield from (Use(kind, code, _level(call, name)) for code in found)


def _level(call: ast.Call, name: str) -> str:
    if name in ("Problem", "problem_of"):
        level = _constants(call.args[1 if name == "Problem" else 0])
        return level[0][0].upper() if level else ""
    return {"DataError": "E", "Doubt": "W", "Remark": "W", "classify_grey_levels": "W"}.get(
        name, ""
    )


def _of_doubts(value: ast.expr) -> Iterator[Use]:
    """Yield the codes of doubts, which are pairs of a code and a sentence."""
    for node in ast.walk(value):
        if (
            isinstance(node, ast.Tuple)
            and len(node.elts) == 2
            and isinstance(node.elts[1], ast.Constant | ast.JoinedStr)
        ):
            yield from (Use("DataError", code, "W") for code in _constants(node.elts[0]))


def _constants(node: ast.expr) -> list[str]:
    if isinstance(node, ast.IfExp):
        return _constants(node.body) + _constants(node.orelse)
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def _names(node: ast.expr) -> list[str]:
    return [inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)]
