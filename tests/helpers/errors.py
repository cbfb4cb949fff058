"""What tests assert of an error: class, code, setting and values in the message, no words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from segkit.errors import SegkitError

Error = TypeVar("Error", bound=SegkitError)


@contextmanager
def fails(
    kind: type[Error], code: str, *values: object, setting: str | None = None
) -> Iterator[pytest.ExceptionInfo[Error]]:
    """Expect an error of this class and code, whose message holds each value.

    With `setting` the error is also of that setting.
    """
    with pytest.raises(kind) as problem:
        yield problem
    assert_is(problem.value, kind, code, *values, setting=setting)


def assert_is(
    problem: SegkitError | None,
    kind: type[SegkitError],
    code: str,
    *values: object,
    setting: str | None = None,
) -> None:
    """Assert that an error is of this class and code, and that its message holds each value.

    With `setting` the error is also of that setting.
    """
    assert isinstance(problem, kind), repr(problem)
    message = str(problem)
    assert problem.code == code, message
    assert setting is None or getattr(problem, "setting", None) == setting, message
    assert [value for value in values if not holds(message, value)] == [], message


def holds(message: str, value: object) -> bool:
    """Return whether a value stands in a message, not as a part of a longer word or number.

    >>> holds("a.png: 12 pixels", 2), holds("a.png: 12 pixels", "a.png")
    (False, True)
    """
    text = str(value)
    before = r"(?<!\w)(?<!\d\.)" if re.match(r"\w", text) else ""
    after = r"(?!\w)(?!\.\d)" if re.search(r"\w$", text) else ""
    return re.search(before + re.escape(text) + after, message) is not None
