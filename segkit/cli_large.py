"""Large images on the command line: `--memory`, and what is told while they are predicted by windows."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from segkit.config import Config
    from segkit.inference import Summary
    from segkit.large.room import Room
    from segkit.outputs.results import Outputs
    from segkit.tiles import Predict


def add_memory(parser: argparse.ArgumentParser) -> None:
    """The argument `--memory`."""
    parser.add_argument(
        "--memory",
        type=_bytes,
        metavar="SIZE",
        help="what may be taken in all, as 1.5GB; larger TIFFs go by windows (default: half of what is free)",
    )


def _bytes(text: str) -> int:
    from segkit.errors import ConfigError
    from segkit.memory import parse_bytes

    try:
        return parse_bytes(text)
    except ConfigError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from problem


def predict_large_files(
    predict: Predict,
    config: Config,
    images: dict[str, Path],
    outputs: Outputs,
    weights: str,
    room: Room,
    options: argparse.Namespace,
    console: Console,
    others: Iterable[str] = (),
) -> Summary:
    """Predict large images one after the other; a broken one is noted and the others go on. Then come the tables."""
    from functools import partial

    from segkit.inference import write_files
    from segkit.large.files import each_large_written
    from segkit.outputs.results import Results
    from segkit.progress import WindowProgress

    each = partial(each_large_written, predict, config, weights, room, lambda name: WindowProgress(name, console))
    return write_files(each, Results(config.task, outputs), images, options.skip_existing, others=others)
