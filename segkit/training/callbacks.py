"""What happens beside the fitting: Keras' own callbacks where it has one, and these where it has none."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from segkit.config import Config, TrainConfig
from segkit.data.batches.cache import Samples
from segkit.errors import RunError
from segkit.io.atomic import atomic
from segkit.io.images import as_display, write_picture
from segkit.io.overlay import overlay, panel
from segkit.run import Run
from segkit.run.checkpoint import to_disk
from segkit.run.folder import Row
from segkit.training.best_epoch import Choice, Rank
from segkit.training.ema import averaged
from segkit.training.mirrored import unshared_statistics
from segkit.training.optimizer import rate_at
from segkit.training.step_counter import Course, Logs


class TimeBudget(keras.callbacks.Callback):
    """Ends the training when its minutes are over, and lets the learning rate follow the clock until then.

    Faster or slower machines make more or fewer steps in the same time; warm-up and cosine decay fit in either way.
    The clock counts what earlier sessions of a resumed run used, and leaves time for the last validation.
    """

    def __init__(
        self,
        settings: TrainConfig,
        minutes: float,
        used: float,
        agreed: Callable[[float], float] = float,
    ) -> None:
        super().__init__()
        self.agreed = agreed
        self.settings, self.total, self.used = settings, minutes * 60, used
        self.reserve, self.last_step, self.over = 0.0, 0.0, False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.began = time.monotonic()

    def elapsed(self) -> float:
        """Seconds used so far, by the clock that all processes go by."""
        return self.agreed(self.used + time.monotonic() - self.began)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._set_rate(self.elapsed())

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self.last_step = self.elapsed()
        self._set_rate(self.last_step)
        if self.last_step >= self.total - self.reserve:
            self.over = self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.over:
            self.model.stop_training = True
        self.reserve = min(self.elapsed() - self.last_step, self.total / 4)

    def _set_rate(self, elapsed: float) -> None:
        share = min(1.0, elapsed / max(self.total - self.reserve, 1e-6))
        self.model.optimizer.learning_rate = rate_at(self.settings, share)


@contextmanager
def heard_interrupts() -> Iterator[keras.callbacks.Callback]:
    """Yield a callback that ends the training at Ctrl-C, or if it is terminated (as `cli.main` has it), within this block,
    also where Keras swallows the exception.

    Its `pythonify_logs`, in which JAX waits for nearly all of a step, catches whatever is raised there (Keras 3.15).
    """
    heard: list[int] = []

    def hear(number: int, frame: Any = None) -> None:
        heard.append(number)
        signal.default_int_handler(number, frame)

    def step_ended(batch: int, logs: Logs | None = None) -> None:
        if heard:
            raise KeyboardInterrupt

    main = threading.current_thread() is threading.main_thread()  # others may not set it
    both = (signal.SIGINT, signal.SIGTERM) if main else ()
    ours = [number for number in both if signal.getsignal(number) is signal.default_int_handler]
    for number in ours:
        signal.signal(number, hear)
    try:
        yield keras.callbacks.LambdaCallback(on_train_batch_end=step_ended)
        if heard:  # in the last validation, after which no step comes
            raise KeyboardInterrupt
    finally:
        for number in ours:
            signal.signal(number, signal.default_int_handler)


class StopOnNaN(keras.callbacks.Callback):
    """Ends the training with the step and the likely cause once the loss is no number; Keras' own stops in silence."""

    def __init__(self, settings: TrainConfig, course: Course) -> None:
        super().__init__()
        self.train, self.course = settings, course

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if math.isfinite(float(np.asarray((logs or {}).get("loss", 0.0)))):
            return
        if self.train.precision == "mixed_float16":
            cause = "float16 ends at 65504; try train.precision=mixed_bfloat16 or float32"
        else:
            cause = f"a learning rate that is too high; try train.learning_rate={self.train.learning_rate / 10:g}"
            cause += "" if self.train.clip_norm else " and train.clip_norm=1"
        raise RunError(
            f"the loss is not a number at epoch {self.course.epoch + 1}, step {self.course.step}. The likely cause is "
            f"{cause}",
            "not-finite",
        )


class SaveBest(keras.callbacks.Callback):
    """Saves the model of probabilities after each epoch that is the best so far, under a temporary name, then renames.

    Keras' ModelCheckpoint would save the fitted model, which ends at the logits, and writes in place.
    """

    def __init__(
        self, model: keras.Model, run: Run, choice: Choice, history: Sequence[Row]
    ) -> None:
        super().__init__()
        self.delivered, self.run, self.choice = model, run, choice
        self.best: Rank | None = None
        self.best_epoch = 0
        for row in history:
            self._note(int(row["epoch"]), row)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.run.check_not_removed()
        improved = self._note(epoch, logs or {})
        if improved or not self.run.model.exists():
            with averaged(self.model):
                save(self.delivered, self.run)

    def _note(self, epoch: int, row: Mapping[str, float]) -> bool:
        rank = self.choice.rank(epoch, row)
        improved = self.best is None or rank > self.best
        if improved:
            self.best, self.best_epoch = rank, epoch + 1
        return improved


def save(model: keras.Model, run: Run, last: bool = False) -> None:
    """Write model.keras (or last.keras) whole or not at all; what was tuned for another model.keras goes."""
    run.check_not_removed()
    if not last:
        run.tuned.unlink(missing_ok=True)
    with atomic(run.last if last else run.model) as temporary:
        if run.keeps_models:
            with unshared_statistics(model):
                model.save(temporary)
            to_disk(temporary)
        else:
            temporary.touch()


class EarlyStopping(keras.callbacks.Callback):
    """Ends the training after so many epochs without a better one; stands behind `SaveBest`, which knows the best.

    Keras' own follows one score, and ends a training whose score is always 0.
    """

    def __init__(self, best: SaveBest, patience: int) -> None:
        super().__init__()
        self.best, self.patience = best, patience

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if epoch + 1 - self.best.best_epoch >= self.patience:
            self.model.stop_training = True


class Pictures(keras.callbacks.Callback):
    """Draws image, truth and prediction of some validation samples every few epochs, into pictures/epoch_0005.png."""

    def __init__(
        self, model: keras.Model, config: Config, run: Run, samples: Samples, names: Sequence[str]
    ) -> None:
        super().__init__()
        self.delivered, self.config, self.run, self.samples = model, config, run, samples
        step = max(1, len(names) // 4)
        self.names = list(names)[step // 2 :: step][:4]

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if (epoch + 1) % self.config.train.pictures == 0 or self.model.stop_training:
            with averaged(self.model):
                write_picture(self.run.pictures / f"epoch_{epoch + 1:04d}.png", self.draw())

    def draw(self) -> np.ndarray:
        """Return the panel, (H, W, 3) uint8."""
        task, rows = self.config.task, []
        for name in self.names:
            image, target = (array[:1024, :1024] for array in self.samples(name))
            mask = task.decode(np.asarray(self.delivered.predict_on_batch(image[None]))[0])
            rows.append(
                [as_display(image), overlay(task, image, target), overlay(task, image, mask)]
            )
        return panel(task, rows, ("image", "truth", "prediction"), [[name] for name in self.names])
