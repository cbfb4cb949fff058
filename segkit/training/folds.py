"""Cross-validation: the scores of n trainings, each judged on the fold that it did not see, as one table."""

from __future__ import annotations

import gc
import json
import statistics
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from segkit.config import Config, ConfigLike, as_config, changed
from segkit.errors import ConfigError
from segkit.io.atomic import write_text
from segkit.run import Run
from segkit.system.progress import Progress
from segkit.training.process import Process
from segkit.training.train import train

if TYPE_CHECKING:
    import keras

SCORES = ("iou", "dice", "precision", "recall")
MEANS = ("iou_foreground", "dice_foreground", "iou_with_background")


def cross_validate(
    config: ConfigLike,
    folder: str | PathLike[str],
    folds: int = 5,
    which: Sequence[int] | None = None,
    *,
    resume: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    progress: Progress | None = None,
    process: Process | None = None,
    finished: Callable[[Run], None] = lambda run: None,
) -> dict[str, Any] | None:
    """Train one run for each fold of a cross-validation, into FOLDER/fold_1 and so on.

    Args:
        config: A `segkit.Config`, a dictionary of its sections, or the path of a YAML file.
        folder: Where the runs and folds.json go.
        folds: Number of folds.
        which: The folds to train, from 1; all by default.
        resume: Leave out folds that are finished, go on with one that was interrupted, begin those that are missing.
        callbacks: Keras callbacks for each training.
        progress: Receives what each training reports.
        process: Which of several processes this is; then only one fold can be trained in a call.
        finished: Called with the run of each fold that was trained.

    Returns:
        The report of folds.json as `summary` describes it; None while a fold is missing.

    Raises:
        ConfigError: For settings that do not fit together, and folds that do not exist.
        DataError: If `segkit inspect` calls something in the data an error.
        RunError: If a finished fold was trained with other settings, or a fold's folder is not free.
        TrainingInterrupted: After Ctrl-C.
    """
    folder = Path(folder)
    which = range(1, folds + 1) if which is None else which
    if len(which) > 1 and process is not None:
        raise ConfigError(
            f"one fold at a time with --coordinator, 1/{folds} to {folds}/{folds}",
            "contradiction",
            setting="--fold",
        )
    unknown = [k for k in which if not 1 <= k <= folds]
    if folds < 2 or unknown:
        raise ConfigError(
            f"2 folds or more, and numbers from 1 to {folds}; found {unknown or folds}",
            setting="folds",
        )
    config = as_config(config)
    for k in range(1, folds + 1):  # also one that is not trained now: the table is of all
        if fold_run(folder, k).scores.is_file():
            fold_run(folder, k).check_made_with(_of_fold(config, k, folds))
    for k in which:
        run = fold_run(folder, k)
        if resume and run.scores.is_file():
            continue
        is_begun = run.config_file.is_file()
        trained = train(
            _of_fold(config, k, folds),
            run.path,
            resume=resume and is_begun,
            callbacks=callbacks,
            progress=progress,
            process=process,
        )
        finished(trained)
        _free_networks()
    return collect(folder, folds)


def _of_fold(config: Config, k: int, folds: int) -> Config:
    return changed(config, [f"data.fold={k}/{folds}"])


def _free_networks() -> None:
    """Free the memory of the training before."""
    import keras

    keras.backend.clear_session()
    gc.collect()


def parse_folds(text: str) -> tuple[list[int], int]:
    """Return the folds that "k/n" or "all/n" names, and n. Raises `ConfigError` for other words.

    >>> parse_folds("2/5"), parse_folds("all/3")
    (([2], 5), ([1, 2, 3], 3))
    """
    which, slash, count = text.partition("/")
    if slash and count.isdecimal() and int(count) >= 2:
        if which == "all":
            return list(range(1, int(count) + 1)), int(count)
        if which.isdecimal() and 1 <= int(which) <= int(count):
            return [int(which)], int(count)
    raise ConfigError(
        f"is k/n or all/n, as in 2/5 for the second of five; found {text}", setting="--fold"
    )


def fold_run(path: Path, k: int) -> Run:
    """Return the run of fold k of a cross-validation in a folder."""
    return Run(path / f"fold_{k}")


def collect(path: Path, folds: int) -> dict[str, Any] | None:
    """Return what `summary` makes of the folds' scores.json and write it to folds.json; None while a fold is missing.

    Raises `RunError` if two folds were not trained by the same settings.
    """
    runs = [fold_run(path, k) for k in range(1, folds + 1)]
    if not all(run.scores.is_file() for run in runs):
        return None
    first = runs[0].config_made_with()
    for k, run in enumerate(runs, start=1):
        run.check_made_with(
            first.model_copy(
                update={"data": first.data.model_copy(update={"fold": f"{k}/{folds}"})}
            )
        )
    report = summarise_folds([run.scored() for run in runs])
    write_text(path / "folds.json", json.dumps(report, indent=2) + "\n")
    return report


def summarise_folds(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and standard deviation (n - 1) over folds of every score of `counts.report`, a class and in the mean.

    A fold in which a class is absent has no score of it and is left out; the number of folds that count is `folds`.
    """
    classes = {
        label: {
            name: _spread([report["classes"][label][name] for report in reports]) for name in SCORES
        }
        for label in reports[0]["classes"]
    }
    mean = {name: _spread([report["mean"][name] for report in reports]) for name in MEANS}
    return {
        "folds": len(reports),
        "images": [report["images"] for report in reports],
        "mean": mean,
        "classes": classes,
    }


def _spread(values: Sequence[float | None]) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    return {
        "mean": statistics.fmean(known) if known else None,
        "std": statistics.stdev(known) if len(known) > 1 else None,
        "folds": len(known),
        "each": list(values),
    }


def folds_table(report: dict[str, Any]) -> Table:
    """Return a summary as a table: a row a class and the means below, each score as mean and standard deviation."""
    images = sum(report["images"])
    table = Table(
        title=f"{report['folds']} folds, {images} images, each scored by the training that did not see it: mean ± standard "
        f"deviation over folds",
        title_justify="left",
    )
    table.add_column("class")
    for name in SCORES:
        table.add_column(name, justify="right")
    for label, values in report["classes"].items():
        table.add_row(label, *(_shown(values[name]) for name in SCORES))
    mean = report["mean"]
    table.add_section()
    table.add_row(
        "mean, foreground", _shown(mean["iou_foreground"]), _shown(mean["dice_foreground"])
    )
    table.add_row("mean, with background", _shown(mean["iou_with_background"]))
    table.caption = "the best epoch of each fold was chosen on the images it is scored on, so these are a little optimistic"
    return table


def _shown(spread: dict[str, Any]) -> str:
    if spread["mean"] is None:
        return "-"
    return f"{spread['mean']:.4f}" + (
        f" ± {spread['std']:.4f}" if spread["std"] is not None else ""
    )
