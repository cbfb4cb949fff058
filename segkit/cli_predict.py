"""The commands that use a finished run: `segkit predict` and `segkit evaluate`. Neither imports Keras to answer `--help`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from segkit import catalog
from segkit.cli_large import add_memory

if TYPE_CHECKING:
    from segkit.run import Run
    from segkit.tiles import Predict


def add_predict(parser: argparse.ArgumentParser) -> None:
    """The arguments of `segkit predict`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder that train made")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE_OR_FOLDER", help="images, or folders of them")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the masks go")
    parser.add_argument("--overlay", action="store_true", help="also draw masks over images, into DIR-overlays")
    parser.add_argument(
        "--probabilities",
        nargs="?",
        const="tif",
        choices=sorted(catalog.PROBABILITIES),
        help="also write float32 TIFFs, float16 TIFFs (tif16) or NumPy files, into DIR-probabilities",
    )
    parser.add_argument(
        "--format",
        action="append",
        default=[],
        choices=sorted(catalog.OUTPUTS),
        help="also write objects as polygons, COCO annotations or numbered instances, into DIR-FORMAT; may be repeated",
    )
    parser.add_argument("--skip-existing", action="store_true", help="leave out images whose results are there")
    parser.add_argument("--shard", metavar="I/N", default="1/1", help="only the I-th of N shares of the images")
    add_memory(parser)
    parser.set_defaults(run_command=_predict)


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    """The arguments of `segkit evaluate`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder that train made")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--masks", type=Path, required=True, metavar="DIR", help="their masks, as in training")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the scores as JSON")
    parser.set_defaults(run_command=_evaluate)


def _predict(options: argparse.Namespace) -> int:
    from rich.console import Console

    from segkit.cli_large import divide, fit_batch, predict_large_files
    from segkit.inference import predict_files
    from segkit.inputs import Shard, find_images, share
    from segkit.outputs.results import Outputs
    from segkit.progress import counting
    from segkit.run import Run

    console, run = Console(soft_wrap=not sys.stdout.isatty()), Run.open(options.run)
    config, shard, found = run.config(), Shard.parse(options.shard), find_images(options.images)
    images, clashes = share(found, shard)
    outputs = Outputs(options.out, options.overlay, options.probabilities, tuple(dict.fromkeys(options.format)))
    predict = _open_model(run)
    config = fit_batch(predict, config, options.memory)
    images, large = divide(config, images, outputs, options.memory)
    with counting("predicting", len(images), console) as done:
        summary = predict_files(predict, config, images, outputs, options.skip_existing, done, found.images)
    if large:
        summary = summary.plus(predict_large_files(predict, config, large, outputs, run.model, options, console))
    skipped, failed = f", {summary.skipped} there already" if options.skip_existing else "", clashes + summary.failed
    console.print(f"{summary.written} masks written to {outputs.masks}{skipped}, {len(failed)} failed", highlight=False)
    for _, problem in failed:
        print(f"failed: {problem}", file=sys.stderr)
    if summary.stopped:
        print(f"stopped: {summary.stopped}", file=sys.stderr)
    return 1 if failed or summary.stopped else 0


def _evaluate(options: argparse.Namespace) -> int:
    from rich.console import Console

    from segkit.data.folder import in_folders
    from segkit.data.source import Subset
    from segkit.progress import counting
    from segkit.run import Run, write_text

    console, run = Console(soft_wrap=not sys.stdout.isatty()), Run.open(options.run)
    config = run.config()
    source = in_folders(options.images, options.masks, config.task, config.data)
    from segkit.evaluation import evaluate
    from segkit.report import scores_table

    predict = _open_model(run)
    with counting("scoring", len(source.names), console) as done:
        report = evaluate(predict, config, Subset(source, source.names), done)
    if options.out:
        write_text(options.out, json.dumps(report, indent=2) + "\n")
    console.print(scores_table(report))
    return 0


def _open_model(run: Run) -> Predict:
    from segkit.devices import load_keras

    load_keras()
    from segkit.runtimes.keras import open_keras

    return open_keras(run)
