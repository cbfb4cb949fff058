"""Errors that the user can repair. Each has a message for people and a code for programs.

docs/error-codes.md lists the codes. A message says what is allowed, what was found and what to do.
"""

from __future__ import annotations

import copy
from typing import Self


def one_line(problem: BaseException) -> str:
    r"""Return the message of any error in one line, or its type if it has none.

    Messages of libraries have line breaks; a message of segkit is one line.

    Args:
        problem: The error.

    Examples:
        >>> one_line(ValueError("no such field:\n  a, b"))
        'no such field: a, b'
        >>> one_line(KeyError())
        'KeyError'
    """
    return " ".join(str(problem).split()) or type(problem).__name__


class SegkitError(Exception):
    """Base class of errors that the user can repair; they end a command with exit status 2.

    Args:
        message: What is allowed, what was found, and what to do.
        code: The kind of the problem, a row of docs/error-codes.md. It does not change when the
            message is reworded.
    """

    def __init__(self, message: str, code: str = "failed") -> None:
        super().__init__(message)
        self.code = code

    def with_message(self, message: str) -> Self:
        """Return a copy of this error with another message, such as one with the file's name."""
        other = copy.copy(self)
        other.args = (message,)
        return other


class SegkitWarning(UserWarning):
    """Something in the data or settings that may be wrong. The work continues.

    Args:
        message: What may be wrong, and what to do.
        code: The kind of the problem, a row of docs/error-codes.md; "" for none. The text of the
            warning begins with it.
    """

    def __init__(self, message: str, code: str = "") -> None:
        text = message
        if code:
            text = f"{code}: {message}"
        super().__init__(text)
        self.code = code


class ConfigError(SegkitError):
    """A setting, a task or an option of the command line is wrong.

    Args:
        message: What is allowed, what was found, and what to do.
        code: The kind of the problem, a row of docs/error-codes.md.
        setting: The name of the setting or option, such as "train.epochs" or "--format"; None if no
            single one is wrong. The text of the error begins with it.
    """

    def __init__(
        self,
        message: str,
        code: str = "wrong-value",
        *,
        setting: str | None = None,
    ) -> None:
        text = message
        if setting is not None:
            text = f"{setting}: {message}"
        super().__init__(text, code)
        self.setting = setting


class DataError(SegkitError):
    """An image, a mask or a folder cannot be used."""

    def __init__(self, message: str, code: str = "unreadable") -> None:
        super().__init__(message, code)


class RunError(SegkitError):
    """A run folder is missing, incomplete or of another run, or a training failed."""
