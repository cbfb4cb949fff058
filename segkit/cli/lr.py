"""The command `segkit lr`."""

from __future__ import annotations

import argparse
from pathlib import Path

from segkit.cli.options import add_config

_LINES = 15
"""Rates that are printed, about."""


def add_lr(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `segkit lr`."""
    add_config(parser)
    parser.add_argument(
        "--low", type=float, default=1e-6, metavar="RATE", help="the first rate (default: 1e-6)"
    )
    parser.add_argument(
        "--high", type=float, default=1.0, metavar="RATE", help="the last rate (default: 1)"
    )
    parser.add_argument(
        "--steps", type=int, default=100, metavar="N", help="steps, one per rate (default: 100)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE.png", help="draw the loss over the rate")
    parser.set_defaults(run_command=_lr)


def _lr(options: argparse.Namespace) -> int:
    from segkit.cli.console import ConsoleProgress
    from segkit.config import read
    from segkit.io.images import write_picture_for_user
    from segkit.training.lr_range_test import find_learning_rate

    progress = ConsoleProgress()
    config = read(options.config, options.set, trust=options.trust)
    found = find_learning_rate(
        config, low=options.low, high=options.high, steps=options.steps, progress=progress
    )
    every = max(1, len(found.losses) // _LINES)
    for i in range(0, len(found.losses), every):
        rate = f"rate {found.rates[i]:.1e}"
        progress.message(f"{rate}  loss {found.losses[i]:.4f}  smoothed {found.smoothed[i]:.4f}")
    progress.message(f"start with --set train.learning_rate={found.suggestion:.1e}")
    if options.out:
        write_picture_for_user(options.out, found.picture())
    return 0
