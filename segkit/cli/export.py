"""The command `segkit export`."""

from __future__ import annotations

import argparse
from pathlib import Path

from segkit import catalog
from segkit.cli.options import add_trust


def add_export(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `segkit export`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder of segkit train")
    parser.add_argument(
        "--format",
        required=True,
        metavar="FORMAT",
        help="onnx, litert, openvino, or savedmodel for TensorFlow Serving",
    )
    parser.add_argument(
        "--precision",
        default="float32",
        metavar="KIND",
        help="float32 (default), int8, or bfloat16 (openvino)",
    )
    parser.add_argument(
        "--max-drop",
        type=float,
        default=0.002,
        metavar="DICE",
        help="largest drop in foreground Dice on the validation part (default: %(default)s)",
    )
    add_trust(parser)
    parser.set_defaults(run_command=_export)


def _export(options: argparse.Namespace) -> int:
    from segkit.cli.console import ConsoleProgress
    from segkit.exporting.export import export

    progress = ConsoleProgress()
    exported = export(
        options.run,
        options.format,
        precision=options.precision,
        max_drop=options.max_drop,
        trust=options.trust,
        progress=progress,
    )
    progress.message(f"written to {exported.path}")
    if options.format in catalog.RUNTIMES:
        progress.message("this folder can be the RUN of segkit predict")
    return 0
