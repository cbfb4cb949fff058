"""Text for a terminal: what names hold that others have chosen must not control it."""

from __future__ import annotations

import unicodedata

CONTROLS = ("Cc", "Cs", "Zl", "Zp")
"""Categories of Unicode: control characters, bytes that are not UTF-8 (Python keeps them as surrogates), ends of lines."""
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that make a terminal show the ones after them in another order."""


def has_controls(text: str) -> bool:
    r"""Return whether text controls a terminal, has an end of a line, or holds bytes that are not UTF-8.

    >>> has_controls("Übung 1"), has_controls("a\x1b[2J"), has_controls("\udcfc")
    (False, True, True)
    """
    return not text.isprintable() and any(map(_is_control, text))


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in CONTROLS or character in TURNING


def shown(text: object, lines: bool = False) -> str:
    r"""Return text for a terminal: control characters become visible, ends of lines and tabs stay only with `lines`.

    >>> shown("a\x1b[2Jb\nc\udcff")
    'a\\x1b[2Jb\\nc\\udcff'
    """
    words = str(text)
    if words.isprintable():
        return words
    return "".join(_visible(character, lines) for character in words)


def _visible(character: str, lines: bool) -> str:
    if not _is_control(character) or (lines and character in "\n\t"):
        return character
    return character.encode("unicode_escape").decode("ascii")
