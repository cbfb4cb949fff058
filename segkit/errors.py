"""What a user can repair: every message says what is allowed, what was found, where, and what to do."""


class SegkitError(Exception):
    """Parent of the errors that end a command with exit status 2 and one clear message."""


class SegkitWarning(UserWarning):
    """Something in the data or settings that may be wrong; the work goes on."""


class ConfigError(SegkitError):
    """A setting, a task or a command-line value that does not fit."""


class DataError(SegkitError):
    """An image, a mask or a folder that cannot be used as it is; `code` is the kind of problem, as `inspect` lists it."""

    def __init__(self, message: str, code: str = "unreadable") -> None:
        super().__init__(message)
        self.code = code


class RunError(SegkitError):
    """A run folder that is missing, incomplete or another run's, or a training that failed."""
