"""Progress on a terminal: bars while something runs, and lines that stay.

Without a terminal only lines are written.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from segkit.cli.streams import discard_output
from segkit.errors import SegkitWarning
from segkit.system.progress import (
    Counter,
    Progress,
    TrainingStatus,
    as_clock,
    epoch_line,
    epoch_number,
)
from segkit.system.terminal import shown


class ScreenConsole(Console):
    """Standard output. If nobody reads it any more, as after `| head -1`, output is discarded."""

    def print(self, *objects: Any, **settings: Any) -> None:
        """Print as rich does; an `OSError` names standard output."""
        try:
            super().print(*objects, **settings)
        except OSError as problem:
            problem.filename = problem.filename or "standard output"
            raise

    def on_broken_pipe(self) -> None:
        """Discard all later output. Rich would end the program."""
        self.quiet = True
        discard_output(sys.stdout)


class ConsoleProgress(Progress):
    """Shows all reports on standard output.

    Args:
        console: Where to print, by default standard output.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or ScreenConsole(soft_wrap=not sys.stdout.isatty())

    def message(self, text: str) -> None:
        """Print lines. A terminal wraps them between words, but not indented ones.

        Indented lines are commands, which can be copied.
        """
        for line in shown(text, lines=True).split("\n"):
            is_command = line.startswith("  ")
            self._print(line, soft_wrap=is_command or self.console.soft_wrap)

    def warning(self, text: str | SegkitWarning) -> None:
        """Print a yellow line."""
        self._print(shown(f"warning {text}", lines=True), style="yellow")

    def _print(self, text: str, **settings: Any) -> None:
        """Print a text as it is: brackets are no styles, and ":x:" is no emoji."""
        self.console.print(text, highlight=False, markup=False, emoji=False, **settings)

    def show(self, renderable: Any) -> None:
        """Print a table, or any other object that rich can render."""
        self.console.print(renderable)

    @contextmanager
    def counting(self, label: str, total: int | None) -> Iterator[Counter]:
        """Show a bar with the time left, and at the end a line with the number and the seconds."""
        start = time.monotonic()
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            TimeRemainingColumn(),
        )
        with self._bars(*columns) as bars:
            counter = BarCounter(self, bars, label, total)
            yield counter
        seconds = time.monotonic() - start
        self.message(f"{label}: {counter.count} in {seconds:.1f} s")

    @contextmanager
    def windows(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """Show a bar of windows with the time left; without a terminal, a line every minute."""
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}", markup=False),
        )
        with self._bars(*columns) as bars:
            yield WindowReport(name, self, bars)

    @contextmanager
    def training(self) -> Iterator[Callable[[TrainingStatus], None]]:
        """Show a bar with epoch, step, loss and the time left, and a line per epoch."""
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[text]}", markup=False),
        )
        with self._bars(*columns) as bars:
            yield TrainingReport(self, bars)

    def _bars(self, *columns: ProgressColumn) -> Bars:
        return Bars(
            *columns, console=self.console, transient=True, disable=not self.console.is_terminal
        )


class BarCounter(Counter):
    """Shows the number of finished items, and of finished windows of the current item.

    Without a terminal it prints a line every `every` seconds.
    """

    def __init__(
        self,
        progress: ConsoleProgress,
        bars: Bars,
        label: str,
        total: int | None,
        every: float = 60.0,
    ) -> None:
        self.count = 0
        self.predicted: set[str] = set()
        """Items all of whose windows are done, and which are not counted yet."""
        self.progress = progress
        self.bars = bars
        self.total = total
        self.every = every
        self.reported = time.monotonic()
        self.bar = bars.add_task(label, total=total, text=self._items())

    def __call__(self, name: object = None, *_: object) -> None:
        """Count one item."""
        self.count += 1
        self.predicted.discard(str(name))
        self.bars.update(self.bar, completed=self._done(), text=self._items())

    def windows(self, name: str, done: int, total: int) -> None:
        """Report the windows of the current item.

        Items are counted when they are written. Those that are predicted and wait for that are
        added, so that the bar does not move back when the windows of the next item begin.
        """
        self.predicted.discard(name)
        completed = self._done() + done / total
        text = f"{done} of {total} windows"
        self.bars.update(self.bar, completed=completed, text=f"{self._items()}, {text}")
        if done == total:
            self.predicted.add(name)
        now = time.monotonic()
        if now - self.reported >= self.every and not self.progress.console.is_terminal:
            self.reported = now
            self.progress.message(f"{name}: {text}")

    def _done(self) -> int:
        return self.count + len(self.predicted)

    def _items(self) -> str:
        total = "?" if self.total is None else self.total
        return f"{self._done()}/{total}"


class WindowReport:
    """Shows how many windows of one large image are finished."""

    def __init__(
        self, name: str, progress: ConsoleProgress, bars: Bars, every: float = 60.0
    ) -> None:
        self.name = shown(name)
        self.progress = progress
        self.bars = bars
        self.every = every
        self.bar = bars.add_task(self.name, total=None, text="")
        self.start = time.monotonic()
        self.reported = self.start
        self.resumed_at: int | None = None

    def __call__(self, done: int, total: int) -> None:
        """Report the number of finished windows; those of the first call were finished earlier."""
        if self.resumed_at is None:
            self.resumed_at = done
            line = f"{self.name}: {total} windows"
            if done:
                line += f", {done} of them done before"
            self.progress.message(line)
        now = time.monotonic()
        text = f"{self._time_left(now, done, total)} left"
        if done >= total:
            text = "writing the mask"
        self.bars.update(self.bar, completed=done, total=total, text=text)
        is_due = now - self.reported >= self.every or done == total
        if is_due and not self.progress.console.is_terminal:
            self.reported = now
            self.progress.message(f"{self.name}: {done} of {total} windows, {text}")

    def _time_left(self, now: float, done: int, total: int) -> str:
        new = done - (self.resumed_at or 0)
        if not new:
            return "?"
        return as_clock((now - self.start) / new * (total - done))


class TrainingReport:
    """Shows the steps of a training in a bar, and a line for each epoch."""

    def __init__(self, progress: ConsoleProgress, bars: Bars) -> None:
        self.progress = progress
        self.bars = bars
        self.bar = bars.add_task("starting", total=1.0, text="")
        self.scores = ""

    def __call__(self, status: TrainingStatus) -> None:
        """Report a step, or the end of an epoch."""
        if status.logs is not None:
            self.scores = f"dice {_dice(status):.3f}"
            self.progress.message(epoch_line(status))
            return
        text = (
            f"step {status.step}/{status.steps}  loss {status.loss:.4f}  {self.scores}  "
            f"{as_clock(status.seconds_left)} left"
        )
        epoch = f"epoch {epoch_number(status)}"
        self.bars.update(self.bar, completed=status.share, description=epoch, text=text)


def _dice(status: TrainingStatus) -> float:
    logs = status.logs or {}
    return logs.get("val_dice_foreground", logs.get("dice_foreground", 0.0))
