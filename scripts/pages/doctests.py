"""Examples in docstrings (>>>) become blocks of code; Markdown would take them for quotations."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLES = re.compile(r"(^>>> .*?)(?=\n\n|\Z)", re.DOTALL | re.MULTILINE)


class DoctestBlocks(griffe.Extension):
    """Changes the docstrings of all objects that the reference of Python loads."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Mark the examples of one docstring as code."""
        if obj.docstring:
            obj.docstring.value = mark_examples(obj.docstring.value)


def mark_examples(text: str) -> str:
    r"""Return a docstring whose examples are blocks of code.

    >>> mark_examples("Add.\n\n>>> 1 + 1\n2").splitlines()[2:]
    ['```pycon', '>>> 1 + 1', '2', '```']
    """
    return EXAMPLES.sub(r"```pycon\n\1\n```", text)
