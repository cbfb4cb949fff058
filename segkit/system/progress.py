"""How a function that takes long reports what it does: one object with a method for each kind of report."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from segkit.errors import SegkitWarning


class Counter:
    """Counts items: call it after each one. This class ignores all reports."""

    def __call__(self, *_: object) -> None:
        """Count one item; the arguments do not matter."""

    def windows(self, name: str, done: int, total: int) -> None:
        """Report how many windows of the item called `name`, which is not counted yet, are done."""


class TrainingStatus(NamedTuple):
    """Where a training stands, after a step or at the end of an epoch."""

    epoch: int
    """From 1."""
    epochs: int | None
    """None where the training ends by the clock."""
    step: int
    """Steps of the epoch that are done."""
    steps: int
    """Steps of a whole epoch."""
    loss: float
    """Mean over the steps of the epoch so far."""
    share: float
    """Part of the whole training that is done, from 0 to 1."""
    seconds_left: float
    logs: Mapping[str, float] | None = None
    """At the end of an epoch: losses, scores and seconds as in history.csv; otherwise None."""
    best_epoch: int = 0
    """At the end of an epoch: the best one so far, from 1."""


class Progress:
    """Receives reports. This class ignores all but warnings; derive from it to show or record them.

    Methods may be called from the thread that called the reporting function, and from no other.
    """

    def message(self, text: str) -> None:
        """A line for the user: what was found, chosen or written."""

    def warning(self, text: str | SegkitWarning) -> None:
        """Something that may be wrong, but does not end the work. Here it becomes a `SegkitWarning`."""
        warnings.warn(SegkitWarning(text) if isinstance(text, str) else text, stacklevel=3)

    @contextmanager
    def counting(self, label: str, total: int | None) -> Iterator[Counter]:
        """Yield the counter to call after each of `total` items (None: their number is not known)."""
        yield Counter()

    @contextmanager
    def windows(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """Yield the function to call with (windows done, all windows) of the large image called `name`.

        It is called once before the first window, with the number that an earlier process has done, and after each one.
        """
        yield lambda done, total: None

    @contextmanager
    def training(self) -> Iterator[Callable[[TrainingStatus], None]]:
        """Yield the function to call after each training step and at the end of each epoch."""
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
    """Return one line on an epoch that has ended: losses, scores, seconds, time left, and which epoch is the best."""
    logs = status.logs or {}
    prefix = "val_" if "val_loss" in logs else ""
    losses = f"loss {logs['loss']:.4f}"
    if prefix:
        losses += f"  val_loss {logs['val_loss']:.4f}"
    scores = f"{prefix}dice {logs[f'{prefix}dice_foreground']:.4f}  {prefix}iou {logs[f'{prefix}iou_foreground']:.4f}"
    mark = (
        "best so far" if status.best_epoch == status.epoch else f"(best: epoch {status.best_epoch})"
    )
    left = as_clock(status.seconds_left)
    return f"epoch {epoch_number(status)}  {losses}  {scores}  {logs['seconds']:.1f} s  {left} left  {mark}"


def epoch_number(status: TrainingStatus) -> str:
    """Return " 3/12", or "3" where the number of epochs is not known."""
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
