"""The command that writes a run's model for other runtimes: `segkit export`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_export(parser: argparse.ArgumentParser) -> None:
    """The arguments of `segkit export`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder that train made")
    parser.add_argument(
        "--format", required=True, metavar="FORMAT", help="onnx, litert, openvino, or savedmodel for TensorFlow Serving"
    )
    parser.add_argument(
        "--precision", default="float32", metavar="KIND", help="float32 (default), int8, or bfloat16 (openvino)"
    )
    parser.add_argument(
        "--max-drop",
        type=float,
        default=0.002,
        metavar="DICE",
        help="refuse if foreground Dice on the validation part falls by more (default %(default)s)",
    )
    parser.set_defaults(run_command=_export)


def _export(options: argparse.Namespace) -> int:
    from rich.console import Console

    from segkit.data.parts import open_parts
    from segkit.exporting.formats import check_precision
    from segkit.run import Run

    check_precision(options.format, options.precision)
    console, run = Console(soft_wrap=not sys.stdout.isatty()), Run.open(options.run)
    parts = open_parts(run.config())
    from segkit.system.keras_start import load_keras

    load_keras()
    from segkit.exporting.export import Wanted, export

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False)

    exported = export(run, Wanted(options.format, options.precision, options.max_drop), parts, say)
    say(f"written to {exported.path}, which works alone as the RUN of predict.py")
    return 0
