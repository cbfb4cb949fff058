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
    try:
        if options.fold:
            return _train_folds(options, process, progress)
        return _train_one(options, process, progress)
    except TrainingInterrupted as interrupted:
        progress.message(_how_to_resume(options, process, interrupted.run))
        return 130


def _train_one(
    options: argparse.Namespace, process: Process | None, progress: ConsoleProgress
) -> int:
    from segkit.config import read
    from segkit.config.comments import comments_of
    from segkit.training.train import train

    config = read(options.config, options.set, trust=options.trust)
    run = train(
        config,
        _folder(options),
        resume=options.resume,
        progress=progress,
        process=process,
        comments=comments_of(options.config, options.set),
    )
    _show_run(run, process, progress)
    return 0


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
) -> int:
    from segkit.config import read
    from segkit.config.comments import comments_of
    from segkit.training.folds import cross_validate, folds_table, parse_folds

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
        progress.show(folds_table(report))
    return 0


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
    command += f" --run {_folder(options)} --resume"
    return (
        f"interrupted; {saved.epoch} epochs and {saved.step} steps are saved in {run.path}. "
        f"Continue with:\n  {command}"
    )
