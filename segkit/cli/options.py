"""TODO."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from segkit.inference.load import Together

RUNTIME = "auto (default: the fastest that is exported and installed), keras, onnx, litert or openvino"


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file, such as configs/shapes.yaml")
    parser.add_argument(
        "--set", action="append", default=[], metavar="a.b=c", help="change a setting, e.g. train.epochs=5; repeatable"
    )


def _console() -> Console:
    from rich.console import Console

    return Console(soft_wrap=not sys.stdout.isatty())


def _counting(what: str, total: int, console: Console) -> Any:
    from segkit.system.progress import counting

    return counting(what, total, console)


def _add_ways(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tta", choices=("flips", "rotations"), help="average over 4 mirrored, or 8 mirrored and turned, views"
    )
    parser.add_argument("--runtime", default="auto", metavar="NAME", help=RUNTIME)


def _open(paths: Sequence[Path], options: argparse.Namespace, console: Console, spread: bool = False) -> Together:
    from segkit.inference.load import open_together

    opened = open_together(paths, options.runtime, options.tta, spread)
    console.print(opened.told, highlight=False, markup=False)
    return opened
