"""TODO."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from segkit.config import TrainConfig


class FitProgress:
    """Shows epoch, step, loss, the last validation scores and the time left; told by `training` what happens."""

    def __init__(self, console: Console, settings: TrainConfig, steps: int, begun_at: int, used: float) -> None:
        self.console, self.steps, self.scores = console, steps, ""
        self.total, self.epochs = settings.total_steps(steps), settings.last_epoch(steps)
        self.seconds = 60 * (settings.minutes or 0)
        self.done = self.begun_at = begun_at
        self.used, self.began = used, time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[text]}"))
        self.bars = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.bar = self.bars.add_task("starting", total=1.0, text="")

    def step(self, epoch: int, step: int, loss: float) -> None:
        """After each step of an epoch, counted from 1: `loss` is the epoch's mean so far."""
        self.done = epoch * self.steps + step
        text = f"step {step}/{self.steps}  loss {loss:.4f}  {self.scores}  {self.time_left()} left"
        self.bars.update(self.bar, completed=self._share(), description=f"epoch {self._numbered(epoch)}", text=text)

    def epoch_end(self, epoch: int, logs: dict[str, Any], best_epoch: int) -> None:
        """After each epoch: one line that stays."""
        prefix = "val_" if "val_loss" in logs else ""
        dice, iou = logs[f"{prefix}dice_foreground"], logs[f"{prefix}iou_foreground"]
        self.scores = f"dice {dice:.3f}"
        mark = "  best so far" if best_epoch == epoch + 1 else f"  (best: epoch {best_epoch})"
        losses = f"loss {logs['loss']:.4f}" + (f"  val_loss {logs['val_loss']:.4f}" if prefix else "")
        self.console.print(
            f"epoch {self._numbered(epoch)}  {losses}  {prefix}dice {dice:.4f}  {prefix}iou "
            f"{iou:.4f}  {logs['seconds']:.1f} s  {self.time_left()} left{mark}",
            highlight=False,
        )

    def time_left(self) -> str:
        """Return the time left as h:mm:ss: of the budget, or from the mean of the steps so far."""
        since = time.monotonic() - self.began
        if self.total is None:
            left = max(0.0, self.seconds - self.used - since)
        else:
            left = since / max(1, self.done - self.begun_at) * (self.total - self.done)
        return str(timedelta(seconds=round(left)))

    def _share(self) -> float:
        if self.total is None:
            return min(1.0, (self.used + time.monotonic() - self.began) / self.seconds)
        return self.done / self.total

    def _numbered(self, epoch: int) -> str:
        return f"{epoch + 1}" if self.epochs is None else f"{epoch + 1:>{len(str(self.epochs))}}/{self.epochs}"
