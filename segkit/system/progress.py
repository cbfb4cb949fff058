"""Reports of long functions: an object with one method for each kind of report."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from segkit.errors import SegkitWarning


class Counter:
    """Counts finished items. This class ignores all reports."""

    def __call__(self, *_: object) -> None:
        """Count one item; arguments are ignored."""

    def windows(self, name: str, done: int, total: int) -> None:
        """Report the progress within an item that is not counted yet.

        Args:
            name: The name of the item.
            done: The number of its finished windows.
            total: The number of all its windows.
        """


class TrainingStatus(NamedTuple):
    """The status of a training after a step or at the end of an epoch."""

    epoch: int
    """Number of the epoch, counted from 1."""
    epochs: int | None
    """Number of all epochs; None with a time budget."""
    step: int
    """Number of finished steps of the epoch."""
    steps: int
    """Number of all steps of the epoch."""
    loss: float
    """Mean loss of the finished steps of the epoch."""
    share: float
    """Part of the whole training that is done, from 0 to 1."""
    seconds_left: float | None
    """Estimated time until the training ends; None while it is unknown."""
    logs: Mapping[str, float] | None = None
    """At the end of an epoch the values of its row in history.csv; otherwise None."""
    best_epoch: int = 0
    """At the end of an epoch the number of the best one so far, counted from 1; otherwise 0."""


class Progress:
    """Receives reports. This class ignores all but warnings; derive from it to show or record them.

    Its methods are only called from the thread that called the reporting function.
    """

    def message(self, text: str) -> None:
        """Receive a message about what was found, chosen or written.

        Args:
            text: One line.
        """

    def warning(self, text: str | SegkitWarning) -> None:
        """Receive a warning about something that may be wrong. This class issues a `SegkitWarning`.

        Args:
            text: The message, or a warning with a code.
        """
        warning = text
        if isinstance(warning, str):
            warning = SegkitWarning(warning)
        warnings.warn(warning, stacklevel=3)

    @contextmanager
    def counting(self, label: str, total: int | None) -> Iterator[Counter]:
        """Yield a counter, which is called after each item.

        Args:
            label: A description of the items.
            total: Their number; None if it is unknown.
        """
        yield Counter()

    @contextmanager
    def windows(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """Yield a function that is called with the numbers of finished and of all windows.

        It is called before the first window, with the number that an earlier process finished, and
        after each window.

        Args:
            name: The name of the large image.
        """
        yield lambda done, total: None

    @contextmanager
    def training(self) -> Iterator[Callable[[TrainingStatus], None]]:
        """Yield a function that is called after each training step and at the end of each epoch."""
        yield lambda status: None


class PrintedProgress(Progress):
    """Prints messages and warnings, and one line for each epoch: for notebooks and scripts."""

    def message(self, text: str) -> None:
        """Print a line."""
        print(text, flush=True)

    def warning(self, text: str | SegkitWarning) -> None:
        """Print a line that begins with "warning"."""
        print(f"warning {text}", flush=True)

    @contextmanager
    def training(self) -> Iterator[Callable[[TrainingStatus], None]]:
        """Print a line at the end of each epoch."""

        def report(status: TrainingStatus) -> None:
            if status.logs is not None:
                print(epoch_line(status), flush=True)

        yield report


_TERMINAL_WIDTH = 80


def epoch_line(status: TrainingStatus) -> str:
    """Return one line on an epoch that has ended, for a terminal of 80 columns.

    Args:
        status: The status at the end of an epoch, with its logs.

    Returns:
        Losses, Dice, the time left, and "best" if no epoch was better so far.
    """
    logs = status.logs or {}
    parts = [f"epoch {epoch_number(status)}", f"loss {_short(logs['loss'])}"]
    if "val_loss" in logs:
        parts.append(f"val_loss {_short(logs['val_loss'])}")
        dice = logs.get("val_dice_foreground_present", logs["val_dice_foreground"])
        parts.append(f"val_dice {_short(dice)}")
    else:
        parts.append(f"dice {_short(logs['dice_foreground'])}")
    parts.append(f"{as_clock(status.seconds_left)} left")
    if status.best_epoch == status.epoch:
        parts.append("best")
    line = "  ".join(parts)
    return line if len(line) <= _TERMINAL_WIDTH else " ".join(parts)


def _short(value: float) -> str:
    """Return a number in at most 7 characters, with up to 4 decimals.

    >>> _short(0.12344), _short(123.456), _short(12345678.0)
    ('0.1234', '123.456', '1.2e+07')
    """
    for decimals in range(4, -1, -1):
        text = f"{value:.{decimals}f}"
        if len(text) <= 7:
            return text
    return f"{value:.1e}"


def epoch_number(status: TrainingStatus) -> str:
    """Return the number of an epoch, such as " 3/12", or "3" if the number of epochs is unknown."""
    if status.epochs is None:
        return str(status.epoch)
    return f"{status.epoch:>{len(str(status.epochs))}}/{status.epochs}"


def as_clock(seconds: float | None) -> str:
    """Return seconds as h:mm:ss, or "-:--:--" if they are not known.

    >>> as_clock(3725.4)
    '1:02:05'
    """
    if seconds is None:
        return "-:--:--"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
