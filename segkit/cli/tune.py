"""The command `segkit tune`. It does not import Keras to answer `--help`, nor before the data are found."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path


def add_tune(parser: argparse.ArgumentParser) -> None:
    """The arguments of `segkit tune`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder that train made")
    parser.add_argument(
        "--for",
        dest="goal",
        default="dice",
        metavar="GOAL",
        help="what thresholds are chosen for: dice (default), precision=0.9 or recall=0.9",
    )
    parser.add_argument("--reset", action="store_true", help="forget what was tuned")
    parser.set_defaults(run_command=_tune)


def _tune(options: argparse.Namespace) -> int:
    from rich.console import Console

    from segkit.data.parts import open_parts, readable
    from segkit.errors import ConfigError
    from segkit.evaluation.tables import tuned_table
    from segkit.evaluation.thresholds import Goal
    from segkit.run import Run, tuned
    from segkit.run.exports import keep_up
    from segkit.system.progress import counting

    console, run, goal = Console(soft_wrap=not sys.stdout.isatty()), Run.open(options.run), Goal.parse(options.goal)
    if options.reset:
        there = run.tuned.is_file()
        run.tuned.unlink(missing_ok=True)
        keep_up(run.path, run.model, run.config())
        console.print(
            f"{run.path}: {'predicts as it was trained again' if there else 'was not tuned'}", highlight=False
        )
        return 0
    config = run.config_made_with()
    if config.task.exclusive and goal.least is not None:
        raise ConfigError(
            f"--for {goal}: an exclusive task takes the most probable class and has no thresholds; say dice"
        )
    part = readable(open_parts(config)["validation"], config)
    if not len(part):
        raise ConfigError(
            f"{run.config_file}: data.validation is empty, and tuning needs images that were not trained on"
        )
    from segkit.evaluation.tuning import tune
    from segkit.system.keras_start import load_keras

    load_keras()
    from segkit.inference.runtimes.keras import open_keras

    shown = partial(counting, total=len(part), console=console)
    found = tune(open_keras(run), config, part, "validation", goal, shown)
    tuned.write(run.tuned, found)
    exports = keep_up(run.path, run.model, run.config())
    console.print(tuned_table(config.task, found))
    for note in found.notes:
        console.print(f"note: {note}", highlight=False)
    also = f", and its exports ({exports}), but for copies made before" if exports else ""
    console.print(f"kept in {run.tuned}; everything that predicts with this run now uses it{also}", highlight=False)
    return 0
