"""The command `segkit tune`."""

from __future__ import annotations

import argparse
from pathlib import Path

from segkit.cli.options import add_trust


def add_tune(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `segkit tune`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder of segkit train")
    parser.add_argument(
        "--for",
        dest="goal",
        default="dice",
        metavar="GOAL",
        help="goal of the thresholds: dice (default), precision=0.9 or recall=0.9",
    )
    parser.add_argument("--reset", action="store_true", help="undo the tuning of the run")
    add_trust(parser)
    parser.set_defaults(run_command=_tune)


def _tune(options: argparse.Namespace) -> int:
    from segkit.cli.console import ConsoleProgress
    from segkit.evaluation.tune import reset_tuning, tune
    from segkit.evaluation.tuning_tables import tuned_tables

    progress = ConsoleProgress()
    if options.reset:
        if reset_tuning(options.run):
            progress.message(f"{options.run}: decodes as after the training again")
        else:
            progress.message(f"{options.run}: was not tuned")
        return 0
    run, tuned, exports = tune(options.run, options.goal, trust=options.trust, progress=progress)
    progress.show(tuned_tables(run.config().task, tuned))
    progress.message(f"stored in {run.tuned}; every later prediction with this run uses it")
    if exports:
        progress.message(
            f"exports of the run that use it, too: {exports} (copies elsewhere do not)"
        )
    return 0
