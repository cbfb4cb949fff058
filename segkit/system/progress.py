"""Progress on the screen: a bar in a terminal, a line an epoch elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def counting(what: str, total: int | None, console: Console) -> Iterator[Callable[..., None]]:
    """Show a bar of `total` things (None: not known) with the time left; yields the function to call after each."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    began = time.monotonic()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task(what, total=total)
        yield lambda *_: bars.advance(bar)
    console.print(f"{what}: {bars.tasks[0].completed:.0f} in {time.monotonic() - began:.1f} s", highlight=False)


class WindowProgress:
    """Shows the windows of one large image that are done and the time left: a bar, or without a terminal a line a minute."""

    def __init__(self, name: str, console: Console, every: float = 60.0) -> None:
        self.name, self.console, self.every = name, console, every
        self.began = self.told = time.monotonic()
        self.first: int | None = None
        name_column, left = (TextColumn(f"{{task.{field}}}", markup=False) for field in ("description", "fields[text]"))
        columns = (name_column, BarColumn(), MofNCompleteColumn(), left)
        self.bars = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.bar = self.bars.add_task(name, total=None, text="")

    def __enter__(self) -> WindowProgress:
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def __call__(self, done: int, total: int) -> None:
        """After each window, and once before the first; what was done then is not counted as this call's speed."""
        if self.first is None:
            self.first = done
            going_on = f", {done} of them done before" if done else ""
            self.console.print(f"{self.name}: {total} windows{going_on}", highlight=False, markup=False)
        now = time.monotonic()
        left = "?" if done == self.first else self._left(now, done - self.first, total - done)
        text = f"{left} left" if done < total else "writing the mask"
        self.bars.update(self.bar, completed=done, total=total, text=text)
        if not self.console.is_terminal and (now - self.told >= self.every or done == total):
            self.told = now
            self.console.print(f"{self.name}: {done} of {total} windows, {text}", highlight=False, markup=False)

    def _left(self, now: float, done: int, to_do: int) -> str:
        return str(timedelta(seconds=round((now - self.began) / done * to_do)))
