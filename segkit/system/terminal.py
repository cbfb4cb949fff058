"""Text for a terminal: names that strangers chose are made safe, and numbers get their noun."""

from __future__ import annotations

import unicodedata

CONTROLS = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories of control characters, surrogates and line ends.

Python represents bytes that are not UTF-8 as surrogates.
"""
TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the direction of the text after them."""


def has_controls(text: str) -> bool:
    r"""Return whether text contains control characters, line ends, or bytes that are not UTF-8.

    >>> has_controls("Übung 1"), has_controls("a\x1b[2J"), has_controls("\udcfc")
    (False, True, True)
    """
    return not text.isprintable() and any(map(_is_control, text))


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in CONTROLS or character in TURNING


def shown(text: object, lines: bool = False) -> str:
    r"""Return text for a terminal, in which control characters are escape sequences.

    Args:
        text: The text, or an object to convert to text.
        lines: Whether line ends and tabs stay unchanged.

    >>> shown("a\x1b[2Jb\nc\udcff")
    'a\\x1b[2Jb\\nc\\udcff'
    """
    characters = str(text)
    if characters.isprintable():
        return characters
    return "".join(_visible(character, lines) for character in characters)


def _visible(character: str, lines: bool) -> str:
    if not _is_control(character) or (lines and character in "\n\t"):
        return character
    return character.encode("unicode_escape").decode("ascii")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, whose plural ends in s.

    >>> counted(1, "image"), counted(1200, "image")
    ('1 image', '1,200 images')
    """
    ending = "" if number == 1 else "s"
    return f"{number:,} {noun}{ending}"
