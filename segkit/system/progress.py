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
    """Finished share of the training, from 0 to 1."""
    seconds_left: float
    """Estimated time to the end of the training in seconds."""
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


def epoch_line(status: TrainingStatus) -> str:
    """Return one line about a finished epoch.

    It has losses, scores, seconds, the remaining time, and the best epoch.

    Args:
        status: The status at the end of the epoch.
    """
    logs = status.logs or {}
    prefix = ""
    fields = [f"epoch {epoch_number(status)}", f"loss {logs['loss']:.4f}"]
    if "val_loss" in logs:
        prefix = "val_"
        fields.append(f"val_loss {logs['val_loss']:.4f}")
    for score in ("dice", "iou"):
        fields.append(f"{prefix}{score} {logs[f'{prefix}{score}_foreground']:.4f}")
    fields.append(f"{logs['seconds']:.1f} s")
    fields.append(f"{as_clock(status.seconds_left)} left")
    if status.best_epoch == status.epoch:
        fields.append("best so far")
    else:
        fields.append(f"(best: epoch {status.best_epoch})")
    return "  ".join(fields)


def epoch_number(status: TrainingStatus) -> str:
    """Return the number of an epoch, such as " 3/12", or "3" if the number of epochs is unknown."""
    if status.epochs is None:
        return str(status.epoch)
    return f"{status.epoch:>{len(str(status.epochs))}}/{status.epochs}"


def as_clock(seconds: float) -> str:
    """Return seconds as h:mm:ss.

    >>> as_clock(3725.4)
    '1:02:05'
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
