"""Callbacks of a training that Keras does not have."""

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
from segkit.io.overlay import is_mostly_unlabelled, overlay, panel
from segkit.metrics import Scores
from segkit.run import Run
from segkit.run.checkpoint import to_disk
from segkit.run.folder import Row
from segkit.task.soft import hard_target
from segkit.training.best_epoch import Choice, Rank
from segkit.training.ema import averaged
from segkit.training.mirrored import unshared_statistics
from segkit.training.optimizer import rate_at
from segkit.training.step_counter import Logs, StepCounter

_MAX_PICTURES = 4
"""Validation samples in a panel."""
_MAX_SIDE = 1024
"""Pixels of a sample's side in a panel; larger samples are cropped."""


class TimeBudget(keras.callbacks.Callback):
    """Ends the training after `train.minutes`, and sets the learning rate by the clock until then.

    Faster machines make more steps in the same time. Warm-up and decay of the learning rate always
    fill the time. Earlier sessions of a resumed run count, and time is left for the last
    validation.

    Args:
        settings: Section `train` of the config.
        minutes: Length of the training.
        used: Seconds that earlier sessions have used.
        agreed: Returns the first process's value, so that all processes follow one clock.
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
        self.settings = settings
        self.total = minutes * 60
        self.used = used
        self.reserve = 0.0
        """Seconds that validation and pictures of the previous epoch took."""
        self.last_step = 0.0
        self.over = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start the clock."""
        self.began = time.monotonic()

    def elapsed(self) -> float:
        """Return the seconds used so far, the same in all processes."""
        return self.agreed(self.used + time.monotonic() - self.began)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the learning rate."""
        self._set_rate(self.elapsed())

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Set the learning rate, and end the training when its time is over."""
        self.last_step = self.elapsed()
        self._set_rate(self.last_step)
        if self.last_step >= self.total - self.reserve:
            self.over = True
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Reserve time for the last validation, a quarter of the training at most."""
        if self.over:
            self.model.stop_training = True
        self.reserve = min(self.elapsed() - self.last_step, self.total / 4)

    def _set_rate(self, elapsed: float) -> None:
        share = min(1.0, elapsed / max(self.total - self.reserve, 1e-6))
        self.model.optimizer.learning_rate = rate_at(self.settings, share)


@contextmanager
def heard_interrupts() -> Iterator[keras.callbacks.Callback]:
    """Context manager: Ctrl-C and SIGTERM end the training inside, also if Keras swallows them.

    Keras 3.15 catches every exception in `pythonify_logs`, where JAX waits for nearly all of a
    step. So the signal is recorded, and the exception is raised again at the end of the step.
    SIGTERM counts if its handler raises `KeyboardInterrupt`, as in `cli.main`.

    Yields:
        The callback that raises `KeyboardInterrupt`.
    """
    received: list[int] = []

    def record(number: int, frame: Any = None) -> None:
        received.append(number)
        signal.default_int_handler(number, frame)

    def raise_again(batch: int, logs: Logs | None = None) -> None:
        if received:
            raise KeyboardInterrupt

    replaced = []
    if threading.current_thread() is threading.main_thread():  # other threads cannot set handlers
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is signal.default_int_handler:
                replaced.append(number)
    for number in replaced:
        signal.signal(number, record)
    try:
        yield keras.callbacks.LambdaCallback(on_train_batch_end=raise_again)
        if received:  # during the last validation, which no step follows
            raise KeyboardInterrupt
    finally:
        for number in replaced:
            signal.signal(number, signal.default_int_handler)


class StopOnNaN(keras.callbacks.Callback):
    """Ends the training with an error when the loss is not finite.

    Keras' TerminateOnNaN ends it without an error.

    Args:
        settings: Section `train` of the config.
        counter: Knows epoch and step.
    """

    def __init__(self, settings: TrainConfig, counter: StepCounter) -> None:
        super().__init__()
        self.settings = settings
        self.counter = counter

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Raise `RunError` with the step and the likely cause if the loss is not finite."""
        loss = float(np.asarray((logs or {}).get("loss", 0.0)))
        if not math.isfinite(loss):
            raise RunError(
                f"the loss is not a number at epoch {self.counter.epoch + 1}, step "
                f"{self.counter.step}. The likely cause is {self._likely_cause()}",
                "not-finite",
            )

    def _likely_cause(self) -> str:
        if self.settings.precision == "mixed_float16":
            return "float16 ends at 65504; try train.precision=mixed_bfloat16 or float32"
        lower = self.settings.learning_rate / 10
        cause = f"a learning rate that is too high; try train.learning_rate={lower:g}"
        if not self.settings.clip_norm:
            cause += " and train.clip_norm=1"
        return cause


class SaveBest(keras.callbacks.Callback):
    """Saves the model of probabilities after each epoch that is the best so far.

    Keras' ModelCheckpoint would save the fitted model, which ends at the logits, and writes in
    place.

    Args:
        model: The model of probabilities.
        run: The run folder.
        choice: The rule that chooses the best epoch.
        history: Losses and scores of the epochs before.
    """

    def __init__(
        self, model: keras.Model, run: Run, choice: Choice, history: Sequence[Row]
    ) -> None:
        super().__init__()
        self.delivered = model
        self.run = run
        self.choice = choice
        self.best: Rank | None = None
        self.best_epoch = 0
        """Number of the best epoch, from 1; 0 if there is no epoch."""
        for row in history:
            self._update_best(int(row["epoch"]), row)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Add the score of the present classes to the logs; save the model if it is the best."""
        self.run.check_not_removed()
        logs = {} if logs is None else logs
        if self.choice.present is not None:
            logs[str(self.choice.score)] = self._score_of(self.choice.present)
        improved = self._update_best(epoch, logs)
        if improved or not self.run.model.exists():
            with averaged(self.model):
                save(self.delivered, self.run)

    def _score_of(self, classes: Sequence[int]) -> float:
        """Return the monitored validation score over some classes."""
        name = str(self.choice.score).removeprefix("val_").removesuffix("_present")
        means = _find_scores(self.model).foreground_means(classes)
        return float(keras.ops.convert_to_numpy(means[name]))

    def _update_best(self, epoch: int, row: Mapping[str, float]) -> bool:
        """Return whether an epoch is better than all before."""
        rank = self.choice.rank(epoch, row)
        improved = self.best is None or rank > self.best
        if improved:
            self.best = rank
            self.best_epoch = epoch + 1
        return improved


def _find_scores(trainer: keras.Model) -> Scores:
    """Return the metric of a trainer that counts pixels; after validation, those of its images."""
    for group in trainer.metrics:
        for metric in getattr(group, "metrics", [group]):
            if isinstance(metric, Scores):
                return metric
    raise ValueError("the model was not compiled by segkit.compile")


def save(model: keras.Model, run: Run, last: bool = False) -> None:
    """Write model.keras or last.keras, under a temporary name that is renamed at the end.

    Decoding settings that were tuned for another model.keras are removed.

    Args:
        model: The model of probabilities.
        run: The run folder.
        last: Whether to write last.keras instead of model.keras.
    """
    run.check_not_removed()
    path = run.last
    if not last:
        path = run.model
        run.tuned.unlink(missing_ok=True)
    with atomic(path) as temporary:
        if run.keeps_models:
            with unshared_statistics(model):
                model.save(temporary)
            to_disk(temporary)
        else:
            temporary.touch()


class EarlyStopping(keras.callbacks.Callback):
    """Ends the training after `patience` epochs without a better one.

    It must come after `SaveBest`, which chooses the best epoch. Keras' EarlyStopping follows one
    score, and ends a training whose score is always 0.

    Args:
        best: Knows the best epoch.
        patience: Number of epochs.
    """

    def __init__(self, best: SaveBest, patience: int) -> None:
        super().__init__()
        self.best = best
        self.patience = patience

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """End the training if the best epoch is long ago."""
        if epoch + 1 - self.best.best_epoch >= self.patience:
            self.model.stop_training = True


class Pictures(keras.callbacks.Callback):
    """Draws validation samples every few epochs, into files such as pictures/epoch_0005.png.

    Args:
        model: The model of probabilities.
        config: Its `train.pictures` is the number of epochs between two pictures.
        run: The run folder.
        samples: Reads an image and its target by name.
        names: Names of the validation samples; up to four of them are drawn.
    """

    def __init__(
        self, model: keras.Model, config: Config, run: Run, samples: Samples, names: Sequence[str]
    ) -> None:
        super().__init__()
        self.delivered = model
        self.config = config
        self.run = run
        self.samples = samples
        step = max(1, len(names) // _MAX_PICTURES)
        self.names = list(names)[step // 2 :: step][:_MAX_PICTURES]

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Draw the samples if a picture is due, or the training ends."""
        if (epoch + 1) % self.config.train.pictures == 0 or self.model.stop_training:
            with averaged(self.model):
                write_picture(self.run.picture(epoch + 1), self.draw())

    def draw(self) -> np.ndarray:
        """Return a panel with a row of image, truth and prediction per sample, (H, W, 3) uint8."""
        task = self.config.task
        rows = []
        has_strokes = False
        for name in self.names:
            whole_image, whole_target = self.samples(name)
            image = whole_image[:_MAX_SIDE, :_MAX_SIDE]
            target = hard_target(task, whole_target[:_MAX_SIDE, :_MAX_SIDE])
            mask = task.decode(np.asarray(self.delivered.predict_on_batch(image[None]))[0])
            is_sparse = is_mostly_unlabelled(target)
            has_strokes |= is_sparse
            truth = overlay(task, image, target, has_strokes=is_sparse)
            prediction = overlay(task, image, mask)
            rows.append([as_display(image), truth, prediction])
        names = [[name] for name in self.names]
        return panel(task, rows, ("image", "truth", "prediction"), names, has_strokes)
