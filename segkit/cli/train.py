"""The command `segkit train`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from segkit.cli.options import add_config

if TYPE_CHECKING:
    from segkit.cli.console import ConsoleProgress
    from segkit.run import Run
    from segkit.training.process import Process

ON_ALL = "all"
"""The folder of a training on all samples, beside the folds of a cross-validation."""


def add_train(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `segkit train`."""
    add_config(parser)
    parser.add_argument(
        "--run",
        type=Path,
        metavar="DIR",
        help="the run folder to create (default: runs/ and the config's name)",
    )
    parser.add_argument(
        "--fold",
        metavar="k/n",
        help="train fold k of n into DIR/fold_k; all/n trains all folds and prints one table",
    )
    parser.add_argument(
        "--on-all",
        action="store_true",
        help="train on all samples into DIR/all and keep the last epoch; the folds in DIR score it",
    )
    parser.add_argument(
        "--scored-by",
        type=Path,
        nargs="+",
        default=(),
        metavar="FOLD",
        help="the runs of all folds that score a training with --on-all (default: DIR/fold_*)",
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue the run in DIR from its last checkpoint"
    )
    parser.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="train on several machines; the address of the first process",
    )
    parser.add_argument(
        "--process",
        metavar="i/n",
        help="this is process i of n; the first one writes the run",
    )
    parser.set_defaults(run_command=_train)


def _train(options: argparse.Namespace) -> int:
    from segkit.training.distributed import run_process
    from segkit.training.process import parse_process

    process = parse_process(options.coordinator, options.process)
    return run_process(process, lambda: _train_process(options, process))


def _train_process(options: argparse.Namespace, process: Process | None) -> int:
    from segkit.cli.console import ConsoleProgress
    from segkit.training.train import TrainingInterrupted

    progress = ConsoleProgress()
    _check_on_all(options)
    try:
        if options.fold:
            _train_folds(options, process, progress)
        if options.on_all or not options.fold:
            _train_one(options, process, progress)
        return 0
    except TrainingInterrupted as interrupted:
        progress.message(_how_to_resume(options, process, interrupted.run))
        return 130


def _check_on_all(options: argparse.Namespace) -> None:
    """Raise `ConfigError` if some folds only are to be trained before the training on all."""
    from segkit.errors import ConfigError

    if options.on_all and options.fold and not options.fold.startswith("all/"):
        raise ConfigError(
            f"a training on all samples follows all folds; found --fold {options.fold}. Use --fold "
            f"all/n, or train the other folds first and then without --fold",
            "contradiction",
            setting="--on-all",
        )


def _train_one(
    options: argparse.Namespace, process: Process | None, progress: ConsoleProgress
) -> None:
    from segkit.config import read
    from segkit.config.comments import comments_of
    from segkit.training.train import train

    config = read(options.config, options.set, trust=options.trust)
    folder = _folder(options)
    if options.on_all or config.data.on_all:
        folder /= ON_ALL
    is_begun = (folder / "config.yaml").is_file()
    run = train(
        config,
        folder,
        resume=options.resume and (is_begun or not options.fold),
        on_all=options.on_all,
        scored_by=options.scored_by,
        progress=progress,
        process=process,
        comments=comments_of(options.config, options.set),
    )
    _show_run(run, process, progress)


def _show_run(run: Run, process: Process | None, progress: ConsoleProgress) -> None:
    from segkit.evaluation.report_tables import evaluation_tables

    if process is not None and not process.leads:
        return
    report = run.report()
    if report is not None:
        progress.show(evaluation_tables(report))
    progress.message(f"the run is in {run.path}. Predict with:")
    progress.message(f"  segkit predict {run.path} IMAGES --out MASKS")


def _train_folds(
    options: argparse.Namespace, process: Process | None, progress: ConsoleProgress
) -> None:
    from segkit.config import read
    from segkit.config.comments import comments_of
    from segkit.training.folds import cross_validate, folds_tables, parse_folds

    which, folds = parse_folds(options.fold)
    config = read(options.config, options.set, trust=options.trust)
    report = cross_validate(
        config,
        _folder(options),
        folds,
        which,
        resume=options.resume,
        progress=progress,
        process=process,
        comments=comments_of(options.config, options.set),
        finished=lambda run: _show_run(run, process, progress),
    )
    if report is not None:
        progress.show(folds_tables(report))


def _folder(options: argparse.Namespace) -> Path:
    folder: Path = options.run or Path("runs") / options.config.stem
    return folder


def _how_to_resume(options: argparse.Namespace, process: Process | None, run: Run) -> str:
    from segkit.training.process import options_of

    saved = run.saved()
    command = f"segkit train {options.config}"
    for override in options.set:
        command += f" --set {override}"
    if options.trust:
        command += " --trust"
    command += options_of(process)
    if options.fold:
        command += f" --fold {options.fold}"
    if options.on_all:
        command += " --on-all"
    if options.scored_by:
        command += f" --scored-by {' '.join(map(str, options.scored_by))}"
    command += f" --run {_folder(options)} --resume"
    return (
        f"interrupted; {saved.epoch} epochs and {saved.step} steps are saved in {run.path}. "
        f"Continue with:\n  {command}"
    )
