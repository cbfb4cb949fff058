"""Choosing how a run decodes its probabilities: temperature, thresholds and rules for objects."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from segkit.data.parts import open_parts, readable_part
from segkit.errors import ConfigError, SegkitWarning
from segkit.evaluation.thresholds import Goal
from segkit.evaluation.tuning import choose_decoding
from segkit.inference.load import open_run
from segkit.run import Run, tuned
from segkit.run.exports import update_exports
from segkit.run.tuned import Tuned
from segkit.system.progress import Progress


class TunedRun(NamedTuple):
    """A run after tuning."""

    run: Run
    tuned: Tuned
    """What was chosen, and the scores before and after."""
    exports: int
    """Number of the run's exports that decode in the same way from now on."""


def tune(
    run: str | os.PathLike[str],
    goal: str = "dice",
    *,
    trust: bool = False,
    progress: Progress | None = None,
) -> TunedRun:
    """Choose temperature, thresholds and rules for objects on the validation part, and keep them with the run.

    Whatever predicts with the run from then on uses them, its exports included.

    Args:
        run: A run folder.
        goal: What thresholds are chosen for: "dice", "precision=0.9" or "recall=0.9".
        trust: Whether Python that the run's data section names may be imported.
        progress: Receives the number of images that are looked at.

    Returns:
        The run, what was chosen, and how many exports of the run follow it.

    Raises:
        DataError: If the run's data cannot be read.
        ConfigError: For a goal that does not fit the task, or a run without a validation part.
        RunError: If there is no finished run.
    """
    progress = progress or Progress()
    found = Run.open(Path(run))
    wanted = Goal.parse(goal)
    config = found.config_made_with(trust)
    wanted.check(config.task)
    part = readable_part(open_parts(config)["validation"], config)
    if not len(part):
        raise ConfigError(
            f"{found.config_file}: data.validation is empty, and tuning needs images that were not trained on",
            "too-few-samples",
        )

    def counting(label: str) -> AbstractContextManager[Callable[..., None]]:
        return progress.counting(label, len(part))

    chosen = choose_decoding(
        open_run(found.path, "keras").predict, config, part, "validation", wanted, counting
    )
    tuned.write(found.tuned, chosen)
    for note in chosen.notes:
        code, _, message = note.partition(": ")
        progress.warning(SegkitWarning(message, code))
    return TunedRun(found, chosen, update_exports(found.path, found.model, found.config()))


def reset_tuning(run: str | os.PathLike[str]) -> bool:
    """Remove what `tune` chose; the run and its exports decode as after training. Return whether it was tuned."""
    found = Run.open(Path(run))
    was_tuned = found.tuned.is_file()
    found.tuned.unlink(missing_ok=True)
    update_exports(found.path, found.model, found.config())
    return was_tuned
