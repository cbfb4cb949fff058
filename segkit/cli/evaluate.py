"""The command `segkit evaluate`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from segkit.cli.options import add_network, add_set, add_tolerance


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
        help="their masks, stored like those of the training; or a vector file, if the run was "
        "trained on vector labels",
    )
    add_set(
        parser,
        "how the masks are stored, if not like those of the training, e.g. "
        "'data.mask_values={0: background, 1: leaf}'; can be repeated",
    )
    _add_outputs(parser)
    _add_measures(parser)
    add_network(parser)
    parser.set_defaults(run_command=_evaluate)


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    """Add the files that are written."""
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the scores as JSON")
    parser.add_argument(
        "--table", type=Path, metavar="FILE", help="write the scores of each image as CSV"
    )


def _add_measures(parser: argparse.ArgumentParser) -> None:
    """Add what is measured beside the pixel counts."""
    parser.add_argument(
        "--boundary", action="store_true", help="also compute distances between outlines"
    )
    add_tolerance(parser)
    parser.add_argument(
        "--second-masks",
        type=Path,
        metavar="DIR",
        help="masks of the same images by a second annotator",
    )


def _evaluate(options: argparse.Namespace) -> int:
    from segkit.cli.console import ConsoleProgress
    from segkit.evaluation.evaluate import evaluate
    from segkit.evaluation.report_tables import evaluation_tables
    from segkit.io.atomic import write_text_for_user

    progress = ConsoleProgress()
    report = evaluate(
        options.runs,
        options.images,
        options.masks,
        boundary=options.boundary,
        tolerance=options.tolerance,
        table=options.table,
        second_masks=options.second_masks,
        tta=options.tta,
        runtime=options.runtime,
        settings=options.set,
        progress=progress,
    )
    if options.out:
        write_text_for_user(options.out, json.dumps(report, indent=2) + "\n")
    progress.show(evaluation_tables(report))
    return 0
