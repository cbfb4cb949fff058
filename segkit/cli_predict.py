"""The commands that use a finished run: `segkit predict` and `segkit evaluate`. Neither imports Keras to answer `--help`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from segkit.opening import Opened

RUNTIME = "auto (default: the fastest that is exported and installed), keras, onnx, litert or openvino"


def add_predict(parser: argparse.ArgumentParser) -> None:
    """The arguments of `segkit predict`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder that train made")
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE_OR_FOLDER", help="images, or folders of them")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the masks go")
    parser.add_argument("--overlay", action="store_true", help="also draw masks over images, into DIR-overlays")
    parser.add_argument("--probabilities", action="store_true", help="also write float32 TIFFs, into DIR-probabilities")
    parser.add_argument("--skip-existing", action="store_true", help="leave out images whose results are there")
    parser.add_argument("--runtime", default="auto", metavar="NAME", help=RUNTIME)
    parser.set_defaults(run_command=_predict)


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    """The arguments of `segkit evaluate`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder that train made")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--masks", type=Path, required=True, metavar="DIR", help="their masks, as in training")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the scores as JSON")
    parser.add_argument("--runtime", default="auto", metavar="NAME", help=RUNTIME)
    parser.set_defaults(run_command=_evaluate)


def _predict(options: argparse.Namespace) -> int:
    from rich.console import Console

    from segkit.inference import Outputs, find_images, predict_files
    from segkit.progress import counting

    console, images = Console(soft_wrap=not sys.stdout.isatty()), find_images(options.images)
    predict, config, _ = _open_run(options, console)
    outputs = Outputs.beside(options.out, options.overlay, options.probabilities)
    with counting("predicting", len(images), console) as done:
        summary = predict_files(predict, config, images, outputs, options.skip_existing, done)
    skipped = f", {summary.skipped} there already" if options.skip_existing else ""
    console.print(
        f"{summary.written} masks written to {outputs.masks}{skipped}, {len(summary.failed)} failed", highlight=False
    )
    for _, problem in summary.failed:
        print(f"failed: {problem}", file=sys.stderr)
    return 1 if summary.failed else 0


def _evaluate(options: argparse.Namespace) -> int:
    from rich.console import Console

    from segkit.data.folder import in_folders
    from segkit.data.source import Subset
    from segkit.evaluation import evaluate
    from segkit.opening import config_of
    from segkit.progress import counting
    from segkit.report import scores_table
    from segkit.run import write_text

    console, config = Console(soft_wrap=not sys.stdout.isatty()), config_of(options.run)
    source = in_folders(options.images, options.masks, config.task, config.data)
    predict = _open_run(options, console).predict
    with counting("scoring", len(source.names), console) as done:
        report = evaluate(predict, config, Subset(source, source.names), done)
    if options.out:
        write_text(options.out, json.dumps(report, indent=2) + "\n")
    console.print(scores_table(report))
    return 0


def _open_run(options: argparse.Namespace, console: Console) -> Opened:
    from segkit.opening import open_run

    opened = open_run(options.run, options.runtime)
    console.print(opened.told, highlight=False, markup=False)
    return opened
