"""The command `segkit tune`."""

from __future__ import annotations

import argparse
from pathlib import Path

from segkit.cli.options import add_trust


def add_tune(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `segkit tune`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder that train made")
    parser.add_argument(
        "--for",
        dest="goal",
        default="dice",
        metavar="GOAL",
        help="what thresholds are chosen for: dice (default), precision=0.9 or recall=0.9",
    )
    parser.add_argument("--reset", action="store_true", help="forget what was tuned")
    add_trust(parser)
    parser.set_defaults(run_command=_tune)


def _tune(options: argparse.Namespace) -> int:
    from segkit.cli.console import ConsoleProgress
    from segkit.evaluation.tables import tuned_tables
    from segkit.evaluation.tune import reset_tuning, tune

    progress = ConsoleProgress()
    if options.reset:
        was_tuned = reset_tuning(options.run)
        state = "predicts as it was trained again" if was_tuned else "was not tuned"
        progress.message(f"{options.run}: {state}")
        return 0
    run, tuned, exports = tune(options.run, options.goal, trust=options.trust, progress=progress)
    progress.show(tuned_tables(run.config().task, tuned))
    also = f", and its exports ({exports}), but for copies made before" if exports else ""
    progress.message(
        f"kept in {run.tuned}; everything that predicts with this run now uses it{also}"
    )
    return 0
