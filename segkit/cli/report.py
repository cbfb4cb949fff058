"""The command `segkit report`."""

from __future__ import annotations

import argparse
from pathlib import Path

from segkit.cli.options import add_network, add_set, add_tolerance, add_trust


def add_report(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `segkit report`."""
    parser.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="a run folder of segkit train; the predictions of several runs are averaged",
    )
    _add_images(parser)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("report.html"),
        metavar="FILE",
        help="the page to write (default: report.html)",
    )
    parser.add_argument(
        "--pictures",
        type=int,
        default=21,
        metavar="N",
        help="images whose masks and errors are shown (default: 21: 12 worst, 6 median, 3 best)",
    )
    add_tolerance(parser)
    add_network(parser)
    add_trust(parser)
    parser.set_defaults(run_command=_report)


def _add_images(parser: argparse.ArgumentParser) -> None:
    """Add the images that are scored, and how their masks are stored."""
    parser.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="a folder of images (default: the test part of the run, else its validation part)",
    )
    parser.add_argument(
        "--masks",
        type=Path,
        metavar="DIR",
        help="their masks, stored like those of the training; or a vector file, if the run was "
        "trained on vector labels",
    )
    add_set(
        parser,
        "how these masks are stored, if not like those of the training, e.g. "
        "'data.mask_values={0: background, 1: leaf}'; can be repeated",
    )


def _report(options: argparse.Namespace) -> int:
    from segkit.cli.console import ConsoleProgress
    from segkit.reporting.report import report

    progress = ConsoleProgress()
    page = report(
        options.runs,
        options.images,
        options.masks,
        out=options.out,
        pictures=options.pictures,
        tolerance=options.tolerance,
        trust=options.trust,
        tta=options.tta,
        runtime=options.runtime,
        settings=options.set,
        progress=progress,
    )
    progress.message(f"the report is in {page}; a browser opens it")
    return 0
