"""A training on all samples, which has no images left for a score: folds beside it have one.

The folds are trainings with the same settings on parts of the samples (`cross_validate`). Their
pooled scores say how good such a training is, but they are not scores of this model.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

from segkit.config import Config, RunConfig
from segkit.errors import RunError, SegkitError
from segkit.evaluation.pooling import pooled_report, read_counts
from segkit.run import Run
from segkit.system.progress import Progress
from segkit.training.best_epoch import best_epoch

FOLDS = "fold_*"
"""The runs of folds in the folder of a cross-validation."""
NO_SCORE = (
    "this model has no score, because it is trained on all samples. For a score of such trainings, "
    "train folds with --fold all/5, and score this run by them with --on-all --resume"
)
_OWN = ("epochs", "steps", "minutes", "steps_per_epoch", "patience", "monitor", "seed")
"""Settings of the section `train` that may differ between a training on all samples and folds."""


class FoldScores(NamedTuple):
    """The scores of folds, and when their trainings were at their best."""

    report: dict[str, Any]
    """From `segkit.evaluation.pooling.pooled_report`."""
    best_epochs: list[int]
    """The best epoch of each fold, from 1."""
    epochs: list[int]
    """The number of epochs of each fold."""

    def explain(self) -> str:
        """Return when the folds were at their best, in a sentence."""
        median = statistics.median_low(self.best_epochs)
        listed = []
        for best, epochs in zip(self.best_epochs, self.epochs, strict=True):
            listed.append(f"{best} of {epochs}")
        return (
            f"the best epochs of the folds are {', '.join(listed)} (median {median}). This "
            f"training keeps its last epoch, where the learning rate is lowest; its length is that "
            f"of the config"
        )


def find_folds(
    config: Config, run: Path, named: Sequence[str | PathLike[str]], progress: Progress
) -> FoldScores | None:
    """Find the folds that score a training on all samples.

    Args:
        config: The config of the training, with `data.on_all`.
        run: Its run folder; without names, the folds are looked for beside it.
        named: Run folders of the folds.
        progress: Receives which folds are used, or why there are none.

    Returns:
        Their scores; None if none are named, and those beside the run are missing or do not fit.

    Raises:
        RunError: If folds that are named do not fit.
    """
    if named:
        found = _score_folds(config, [Run(Path(path)) for path in named])
        progress.message(found.explain())
        return found
    beside = [Run(path) for path in sorted(run.parent.glob(FOLDS)) if path != run]
    runs = [each for each in beside if each.config_file.is_file()]
    if not runs:
        progress.message(NO_SCORE)
        return None
    try:
        found = _score_folds(config, runs)
    except SegkitError as problem:
        progress.warning(f"the folds in {run.parent} are not used: {problem}. {NO_SCORE}")
        return None
    progress.message(found.explain())
    return found


def _score_folds(config: Config, runs: Sequence[Run]) -> FoldScores:
    """Return the scores of folds. Raises `RunError` if they are not all folds of the config."""
    configs = [_config_of_fold(run) for run in runs]
    _check_complete(runs, configs)
    best_epochs = []
    epochs = []
    for run, made_with in zip(runs, configs, strict=True):
        run.check_made_with(_as_fold(config, made_with))
        rows = run.rows()
        best_epochs.append(best_epoch(made_with, rows))
        epochs.append(len(rows))
    counts = [read_counts(run.image_counts) for run in runs]
    return FoldScores(pooled_report(config.task, counts), best_epochs, epochs)


def _config_of_fold(run: Run) -> RunConfig:
    """Return the config of a fold. Raises `RunError` if it is no fold, or is not finished."""
    config = Run.open(run.path).config_made_with()
    if config.data.fold is None:
        raise RunError(
            f"{run.path}: is not a fold. Name all folds of one cross-validation, as in "
            f"--scored-by runs/x/fold_*",
            "mismatch",
        )
    if not run.scores.is_file() or not run.rows():
        raise RunError(
            f"{run.path}: the fold {config.data.fold} has no scores yet. Finish it with --fold "
            f"{config.data.fold} --resume",
            "missing-file",
        )
    return config


def _check_complete(runs: Sequence[Run], configs: Sequence[RunConfig]) -> None:
    """Raise `RunError` if the folds are not all folds of one cross-validation, each once."""
    found = [str(config.data.fold) for config in configs]
    count = int(found[0].partition("/")[2])
    wanted = [f"{k}/{count}" for k in range(1, count + 1)]
    if sorted(found) != sorted(wanted):
        raise RunError(
            f"{runs[0].path.parent}: the scores of a model need the folds {', '.join(wanted)}, "
            f"each once; found {', '.join(found)}",
            "mismatch",
        )


def _as_fold(config: Config, made_with: RunConfig) -> Config:
    """Return the config of a training on all samples as that of a fold would have to be.

    Which samples are held back, and how long the training takes, may differ.
    """
    own = made_with.data
    held_back = {"fold": own.fold, "validation": own.validation, "test": own.test}
    data = config.data.model_copy(update={"on_all": False, **held_back})
    length = {name: getattr(made_with.train, name) for name in _OWN}
    train = config.train.model_copy(update=length)
    return config.model_copy(update={"data": data, "train": train})
