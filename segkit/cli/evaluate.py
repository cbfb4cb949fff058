"""The command `segkit evaluate`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from segkit.cli.options import add_network


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `segkit evaluate`."""
    parser.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="a run folder of segkit train; the predictions of several runs are averaged",
    )
    parser.add_argument(
        "--images", type=Path, required=True, metavar="DIR", help="a folder of images"
    )
    parser.add_argument(
        "--masks",
        type=Path,
        required=True,
        metavar="DIR",
        help="their masks, stored like those of the training",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the scores as JSON")
    add_network(parser)
    parser.set_defaults(run_command=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    from segkit.cli.console import ConsoleProgress
    from segkit.evaluation.evaluate import evaluate
    from segkit.evaluation.tables import scores_table
    from segkit.io.atomic import write_text_for_user

    progress = ConsoleProgress()
    report = evaluate(
        options.runs,
        options.images,
        options.masks,
        tta=options.tta,
        runtime=options.runtime,
        progress=progress,
    )
    if options.out:
        write_text_for_user(options.out, json.dumps(report, indent=2) + "\n")
    progress.show(scores_table(report))
    return 0
