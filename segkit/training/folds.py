"""Cross-validation: one training per fold, scored on that fold, and one table of scores."""

from __future__ import annotations

import gc
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from segkit.config import Config, ConfigLike, as_config, changed
from segkit.config.comments import comments_of
from segkit.errors import ConfigError
from segkit.evaluation.pooling import pooled_report, read_counts
from segkit.evaluation.report_tables import evaluation_tables
from segkit.io.atomic import write_text
from segkit.run import Run
from segkit.system.progress import Progress
from segkit.training.process import Process
from segkit.training.train import train

if TYPE_CHECKING:
    import keras

SCORES = ("iou", "dice", "precision", "recall")
MEANS = ("iou_foreground", "dice_foreground", "iou_with_background")


class FoldOptions(NamedTuple):
    """How each fold is trained; the fields are arguments of `cross_validate`."""

    resume: bool
    callbacks: Sequence[keras.callbacks.Callback]
    progress: Progress | None
    process: Process | None
    comments: Mapping[str, str]
    finished: Callable[[Run], None]


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
    comments: Mapping[str, str] | None = None,
    finished: Callable[[Run], None] = lambda run: None,
) -> dict[str, Any] | None:
    """Train one run per fold of a cross-validation, into FOLDER/fold_1 and so on.

    Args:
        config: A `segkit.Config`, a dictionary of its sections, or the path of a YAML file.
        folder: Folder of the runs and of folds.json.
        folds: Number of folds, 2 or more.
        which: Folds to train, from 1; all by default.
        resume: Skip finished folds, continue interrupted ones, and start missing ones.
        callbacks: Keras callbacks for each training.
        progress: Receives the reports of each training.
        process: This process, if several train together; they train one fold per call.
        comments: Comments on settings for the configs in the run folders, as of `segkit.train`.
        finished: Called with the run of each fold that was trained.

    Returns:
        The content of folds.json (see `collect_folds`); None while a fold has no scores.

    Raises:
        ConfigError: If a fold does not exist.
        RunError: If a finished fold has other settings.
        SegkitError: If `segkit.train` raises it; `TrainingInterrupted` after Ctrl-C.
    """
    opened = as_config(config)
    comments = comments_of(config) if comments is None else comments
    options = FoldOptions(resume, callbacks, progress, process, comments, finished)
    _train_folds(opened, Path(folder), folds, which, options)
    return collect_folds(Path(folder), folds)


def _train_folds(
    config: Config, folder: Path, folds: int, which: Sequence[int] | None, options: FoldOptions
) -> None:
    if which is None:
        which = range(1, folds + 1)
    _check_folds(folds, which, options.process)
    _check_finished_folds(config, folder, folds)
    for k in which:
        run = fold_run(folder, k)
        if options.resume and run.scores.is_file():
            continue
        _train_fold(_of_fold(config, k, folds), run, options)


def _train_fold(config: Config, run: Run, options: FoldOptions) -> None:
    train(
        config,
        run.path,
        resume=options.resume and run.config_file.is_file(),
        callbacks=options.callbacks,
        progress=options.progress,
        process=options.process,
        comments=options.comments,
    )
    options.finished(run)
    _free_networks()


def _check_folds(folds: int, which: Sequence[int], process: Process | None) -> None:
    """Raise `ConfigError` if folds do not exist, or several are trained by several processes."""
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


def _check_finished_folds(config: Config, folder: Path, folds: int) -> None:
    """Raise `RunError` if any finished fold has other settings: the table needs all folds."""
    for k in range(1, folds + 1):
        run = fold_run(folder, k)
        if run.scores.is_file():
            run.check_made_with(_of_fold(config, k, folds))


def _of_fold(config: Config, k: int, folds: int) -> Config:
    return changed(config, [f"data.fold={k}/{folds}", "data.on_all=false"])


def _free_networks() -> None:
    """Free the memory of the last training."""
    import keras

    keras.backend.clear_session()
    gc.collect()


def parse_folds(text: str) -> tuple[list[int], int]:
    """Read the option `--fold`.

    Args:
        text: "k/n" or "all/n".

    Returns:
        The folds to train, from 1, and the number of folds.

    Raises:
        ConfigError: If the text is anything else.

    >>> parse_folds("2/5")
    ([2], 5)
    >>> parse_folds("all/3")
    ([1, 2, 3], 3)
    """
    which, slash, number = text.partition("/")
    if slash and number.isdecimal() and int(number) >= 2:
        count = int(number)
        if which == "all":
            return list(range(1, count + 1)), count
        if which.isdecimal() and 1 <= int(which) <= count:
            return [int(which)], count
    raise ConfigError(
        f"is k/n or all/n, as in 2/5 for the second of five; found {text}", setting="--fold"
    )


def fold_run(path: Path, k: int) -> Run:
    """Return the run of fold k, from 1, in the folder of a cross-validation."""
    return Run(path / f"fold_{k}")


def collect_folds(path: Path, folds: int) -> dict[str, Any] | None:
    """Summarise the scores of all folds, and write folds.json.

    Args:
        path: Folder of the cross-validation.
        folds: Number of folds.

    Returns:
        The content of folds.json: that of `summarise_folds`, and "pooled", the scores of the
        images of all folds together (`segkit.evaluation.pooling.pooled_report`). "pooled" is
        missing if an older version scored a fold. None while the scores of a fold are missing.

    Raises:
        RunError: If two folds were trained with different settings.
    """
    runs = [fold_run(path, k) for k in range(1, folds + 1)]
    if not all(run.scores.is_file() for run in runs):
        return None
    first = runs[0].config_made_with()
    for k, run in enumerate(runs, start=1):
        run.check_made_with(_of_fold(first, k, folds))
    report = summarise_folds([run.scored() for run in runs])
    if all(run.image_counts.is_file() for run in runs):
        counts = [read_counts(run.image_counts) for run in runs]
        report["pooled"] = pooled_report(first.task, counts)
    write_text(path / "folds.json", json.dumps(report, indent=2) + "\n")
    return report


def summarise_folds(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and standard deviation (n - 1) of each score over folds, per class and overall.

    Args:
        reports: Contents of the folds' scores.json.

    Returns:
        "folds" (their number), "images" (per fold), "mean" and "classes". Each score has "mean",
        "std", "each" (per fold) and "folds", the number of folds that have the score. A fold in
        which a class is absent has no score of it. Mean and standard deviation are None without
        enough folds.
    """
    classes: dict[str, dict[str, Any]] = {}
    for label in reports[0]["classes"]:
        classes[label] = {}
        for name in SCORES:
            classes[label][name] = _spread([report["classes"][label][name] for report in reports])
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


def folds_tables(report: dict[str, Any]) -> Group:
    """Return the tables of a cross-validation: the pooled scores, and their spread over folds.

    Args:
        report: The content of folds.json.
    """
    tables: list[RenderableType] = []
    if "pooled" in report:
        tables += [evaluation_tables(report["pooled"]), Text("")]
    return Group(*tables, folds_table(report))


def folds_table(report: dict[str, Any]) -> Table:
    """Return a table with a row per class and the means below.

    Args:
        report: A summary as `summarise_folds` returns it.

    Returns:
        The table; each score is shown as mean ± standard deviation.
    """
    images = sum(report["images"])
    table = Table(
        title=f"{report['folds']} folds, {images} images, each scored by the training that did not "
        f"see it: mean ± standard deviation over folds",
        title_justify="left",
    )
    table.add_column("class")
    for name in SCORES:
        table.add_column(name, justify="right")
    for label, values in report["classes"].items():
        table.add_row(label, *[_as_text(values[name]) for name in SCORES])
    mean = report["mean"]
    table.add_section()
    iou = _as_text(mean["iou_foreground"])
    dice = _as_text(mean["dice_foreground"])
    table.add_row("mean, foreground", iou, dice)
    table.add_row("mean, with background", _as_text(mean["iou_with_background"]))
    table.caption = (
        "the best epoch of each fold was chosen on the images it is scored on, so these are a "
        "little optimistic"
    )
    return table


def _as_text(spread: dict[str, Any]) -> str:
    if spread["mean"] is None:
        return "-"
    text = f"{spread['mean']:.4f}"
    if spread["std"] is not None:
        text += f" ± {spread['std']:.4f}"
    return text
