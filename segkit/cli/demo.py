"""The command `segkit demo`."""

from __future__ import annotations

import argparse
from pathlib import Path

from segkit.cli.options import add_set


def add_demo(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `segkit demo`."""
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("segkit-demo"),
        metavar="DIR",
        help="a new folder (default: segkit-demo)",
    )
    add_set(parser, "change a setting, e.g. train.epochs=5; can be repeated")
    parser.set_defaults(run_command=_demo)


def _demo(options: argparse.Namespace) -> int:
    from segkit.cli.console import ConsoleProgress
    from segkit.evaluation.report_tables import evaluation_tables
    from segkit.training.demo import demo

    progress = ConsoleProgress()
    made = demo(options.out, settings=options.set, progress=progress)
    progress.show(evaluation_tables(made.report))
    progress.message(
        f"run       {made.run}\n"
        f"masks     {made.masks}\n"
        f"overlays  {made.overlays}\n"
        f"pictures  {made.run / 'pictures'}   (image, truth and prediction during the training)\n"
        f"scores    {made.scores}"
    )
    return 0
