"""TODO."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from segkit.cli.options import _add_ways, _open
from segkit.cli.predict import _console


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    """The arguments of `segkit evaluate`."""
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="a run folder that train made; several answer together"
    )
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--masks", type=Path, required=True, metavar="DIR", help="their masks, as in training")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the scores as JSON")
    _add_ways(parser)
    parser.set_defaults(run_command=_evaluate)


def _evaluate(options: argparse.Namespace) -> int:
    from segkit.data.sources.folder import in_folders
    from segkit.data.sources.source import Subset
    from segkit.evaluation.evaluate import evaluate
    from segkit.evaluation.tables import scores_table
    from segkit.io.atomic import write_text
    from segkit.system.progress import counting

    console = _console()
    predict, config, *_ = _open(options.runs, options, console)
    source = in_folders(options.images, options.masks, config.task, config.data)
    with counting("scoring", len(source.names), console) as done:
        report = evaluate(predict, config, Subset(source, source.names), done)
    if options.out:
        write_text(options.out, json.dumps(report, indent=2) + "\n")
    console.print(scores_table(report))
    return 0
