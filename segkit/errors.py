"""Errors that the user can repair. Each has a message for people and a code for programs.

docs/error-codes.md lists the codes. A message says what is allowed, what was found and what to do.
"""

from __future__ import annotations

import copy
from typing import Self


class SegkitError(Exception):
    """Parent of the errors that end a command with exit status 2 and one clear message.

    `code` names the kind of problem. It stays the same when the message is rewritten.
    """

    def __init__(self, message: str, code: str = "failed") -> None:
        super().__init__(message)
        self.code = code

    def with_message(self, message: str) -> Self:
        """Return the same problem with another message, such as one that also names the file."""
        other = copy.copy(self)
        other.args = (message,)
        return other


class SegkitWarning(UserWarning):
    """Something in the data or settings that may be wrong; the work goes on.

    `code` names the kind, and stands at the beginning of the message; it is empty where there is none.
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(f"{code}: {message}" if code else message)
        self.code = code


class ConfigError(SegkitError):
    """A setting, a task or a command-line value that does not fit.

    `setting` is its name, such as "train.epochs" or "--format", and stands at the beginning of the
    message. It is None where no single setting is wrong.
    """

    def __init__(
        self,
        message: str,
        code: str = "wrong-value",
        *,
        setting: str | None = None,
    ) -> None:
        super().__init__(message if setting is None else f"{setting}: {message}", code)
        self.setting = setting


class DataError(SegkitError):
    """An image, a mask or a folder that cannot be used as it is."""

    def __init__(self, message: str, code: str = "unreadable") -> None:
        super().__init__(message, code)


class RunError(SegkitError):
    """A run folder that is missing, incomplete or another run's, or a training that failed."""
