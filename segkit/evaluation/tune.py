"""`segkit.tune`: chooses how a run decodes its probabilities, and stores that with the run."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from segkit.config import RunConfig
from segkit.data.parts import open_parts, readable_part
from segkit.data.sources.source import Subset
from segkit.errors import ConfigError, SegkitWarning
from segkit.evaluation.evaluate import find_groups
from segkit.evaluation.thresholds import Goal
from segkit.evaluation.tuning import Counting, choose_decoding
from segkit.inference.load import open_run
from segkit.run import Run, tuned
from segkit.run.exports import update_exports
from segkit.run.tuned import Tuned
from segkit.system.progress import Counter, Progress


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
    """Choose temperature, thresholds and rules for objects on the validation part of a run.

    The run and its exports store the choice, and every later prediction with them uses it.

    Args:
        run: A run folder.
        goal: Decides the thresholds: "dice", "precision=0.9" or "recall=0.9".
        trust: Whether Python code that the run's data section names may be imported.
        progress: Receives the number of predicted images, and warnings.

    Returns:
        The run, what was chosen, and the number of exports that were updated.

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
    part = _validation_part(found, config)
    predict = open_run(found.path, "keras").predict
    counting = _counting(progress, len(part))
    groups = find_groups(part, config, progress)
    chosen = choose_decoding(predict, config, part, "validation", wanted, counting, groups)
    tuned.write(found.tuned, chosen)
    for note in chosen.notes:
        code, _, message = note.partition(": ")
        progress.warning(SegkitWarning(message, code))
    exports = update_exports(found.path, found.model, found.config())
    return TunedRun(found, chosen, exports)


def reset_tuning(run: str | os.PathLike[str]) -> bool:
    """Remove what `tune` chose, so that the run and its exports decode as after training.

    Args:
        run: A run folder.

    Returns:
        Whether the run was tuned.

    Raises:
        RunError: If there is no finished run.
    """
    found = Run.open(Path(run))
    was_tuned = found.tuned.is_file()
    found.tuned.unlink(missing_ok=True)
    update_exports(found.path, found.model, found.config())
    return was_tuned


def _validation_part(run: Run, config: RunConfig) -> Subset:
    """Return the validation part. Raises `ConfigError` if it is empty."""
    if config.data.on_all:
        raise ConfigError(
            f"{run.path} was trained on all its samples, so no image is held back to tune it on. "
            f"Tune a run that has a validation part: train without --on-all, or tune its folds and "
            f"predict with them together (segkit tune fold_1; segkit predict fold_1 fold_2 ...)",
            "too-few-samples",
            setting="data.on_all",
        )
    part = readable_part(open_parts(config)["validation"], config)
    if not len(part):
        raise ConfigError(
            f"{run.config_file}: data.validation is empty. Tuning needs images with masks that "
            "were not used for training",
            "too-few-samples",
        )
    return part


def _counting(progress: Progress, images: int) -> Counting:
    def counting(label: str) -> AbstractContextManager[Counter]:
        return progress.counting(label, images)

    return counting
