"""Sends a training to an experiment tracker: config, history, pictures and scores."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from segkit.config import Config
from segkit.errors import SegkitWarning, one_line
from segkit.io.atomic import write_text
from segkit.io.json_files import read_object
from segkit.run import Run
from segkit.system.progress import Progress
from segkit.training.step_counter import Logs
from segkit.training.trackers import Tracker, load_tracker

LONGEST_NAME = 100
"""The largest number of characters of a run's name, without its random end."""


class Tracking(keras.callbacks.Callback):
    """Logs each epoch. It must come after the callbacks that complete the logs and draw pictures.

    A tracker that fails does not end the training. The first failure is reported by a warning, and
    nothing is sent after it.

    Args:
        run: The run folder.
        progress: Receives the warning.
    """

    def __init__(self, run: Run, progress: Progress) -> None:
        super().__init__()
        self.run = run
        self.progress = progress
        self.tracker: Tracker | None = None
        """The tracker; None if there is none, or after it has failed."""
        self.last_epoch = 0
        """Number of the last epoch, from 1."""

    def begin(self, config: Config) -> None:
        """Begin the run in the tracker, or continue it if the training is resumed.

        Args:
            config: The config, whose `train.tracker` names the tracker.
        """
        settings = config.train

        def begin() -> None:
            tracker = load_tracker(str(settings.tracker))
            name = tracked_name(self.run)
            tracker.init(settings.tracker_project, name, config.model_dump(mode="json"))
            self.tracker = tracker

        self._try(begin)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Log the values of the epoch, and its pictures if there are any."""
        self.last_epoch = epoch + 1
        picture = self.run.picture(epoch + 1)
        pictures = {}
        if picture.is_file():
            pictures["pictures"] = picture
        tracker = self.tracker
        if tracker is not None:
            values = _numbers(logs or {})
            self._try(lambda: tracker.log(values, epoch + 1, pictures))

    def log_scores(self) -> None:
        """Log the scores of the best epoch, if the run has any."""
        tracker = self.tracker
        report = self.run.report()
        if tracker is not None and report is not None:
            self._try(lambda: tracker.log(flat_scores(report), self._epochs(), {}))

    def _epochs(self) -> int:
        """Return the number of epochs, also if this session trained none."""
        return self.last_epoch or len(self.run.rows())

    def finish(self, failed: bool) -> None:
        """End the run in the tracker.

        Args:
            failed: Whether the training ended by an error or an interruption.
        """
        tracker = self.tracker
        if tracker is not None:
            self._try(lambda: tracker.finish(failed))
            self.tracker = None

    def _try(self, action: Callable[[], None]) -> None:
        """Call the tracker; after a failure warn, and use it no more."""
        try:
            action()
        except Exception as problem:
            self.tracker = None
            reason = one_line(problem)
            message = f"the experiment tracker failed ({reason}); the training continues without it"
            self.progress.warning(SegkitWarning(message, "tracker"))


@contextmanager
def tracked(config: Config, run: Run, leads: bool, progress: Progress) -> Iterator[Tracking]:
    """Context manager: the tracker's run begins before the body and ends after it.

    Args:
        config: The config of the training.
        run: The run folder.
        leads: Whether this process writes the run folder; others log nothing.
        progress: Receives a warning if the tracker fails.

    Yields:
        The callback, which does nothing without a tracker and for a run that is scored already.
    """
    tracking = Tracking(run, progress)
    if config.train.tracker is not None and leads and not run.scores.is_file():
        tracking.begin(config)
    failed = True
    try:
        yield tracking
        failed = False
    finally:
        tracking.finish(failed)


def tracked_name(run: Run) -> str:
    """Return the name of a run in its tracker, and keep it in tracker.json for a resumed training.

    It is made of the folder's path and a random end, because folders of different places may have
    the same name.

    Args:
        run: The run folder.

    Raises:
        RunError: If tracker.json is damaged.
    """
    if run.tracker.is_file():
        advice = "remove it, and the training begins a new run in the tracker"
        return str(read_object(run.tracker, ("name",), advice)["name"])
    place = "-".join(run.path.resolve().parts[-2:])
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", place)[-LONGEST_NAME:].strip("-.")
    name = f"{readable}-{secrets.token_hex(3)}"
    write_text(run.tracker, json.dumps({"name": name}) + "\n")
    return name


def flat_scores(report: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores of scores.json, and the ends of their intervals, by flat names.

    Args:
        report: The content of scores.json.

    Returns:
        The scores by names such as "test/dice_foreground", "test/dice_foreground_low" and
        "test/cell/dice". Scores that are not defined are left out.
    """
    part = report["part"]
    intervals = report.get("intervals", {})
    groups = {part: (report["mean"], intervals.get("mean", {}))}
    for name, scores in report["classes"].items():
        groups[f"{part}/{name}"] = (scores, intervals.get("classes", {}).get(name, {}))
    values: dict[str, Any] = {}
    for parent, (scores, ends) in groups.items():
        for score, value in scores.items():
            values[f"{parent}/{score}"] = value
            for end in ("low", "high"):
                values[f"{parent}/{score}_{end}"] = ends.get(score, {}).get(end)
    return {name: float(value) for name, value in values.items() if isinstance(value, int | float)}


def _numbers(logs: Mapping[str, Any]) -> dict[str, float]:
    """Return the logs that are single numbers."""
    values = {}
    for name, value in logs.items():
        array = np.asarray(value)
        if array.ndim == 0 and np.issubdtype(array.dtype, np.number):
            values[name] = float(array)
    return values
