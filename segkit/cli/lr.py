"""The command `segkit lr`: which learning rate to begin with."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_rate(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lr`."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file, such as configs/shapes.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="a.b=c", help="change a setting; repeatable")
    parser.add_argument("--low", type=float, default=1e-6, metavar="RATE", help="the first rate (default: 1e-6)")
    parser.add_argument("--high", type=float, default=1.0, metavar="RATE", help="the last rate (default: 1)")
    parser.add_argument("--steps", type=int, default=100, metavar="N", help="steps, one a rate (default: 100)")
    parser.add_argument("--out", type=Path, metavar="FILE.png", help="draw loss over rate")
    parser.set_defaults(run_command=_rate)


def _rate(options: argparse.Namespace) -> int:
    from rich.console import Console

    from segkit.config import read
    from segkit.data.parts import open_parts
    from segkit.errors import ConfigError
    from segkit.inspection.input_statistics import fitting_input
    from segkit.inspection.training_check import check
    from segkit.training.lr_suggestion import draw, rates, smoothed, suggest

    if not (0 < options.low < options.high and options.steps >= 20):
        raise ConfigError(
            f"--low, --high, --steps: 0 < low < high and 20 steps or more; found {options.low:g}, {options.high:g}, "
            f"{options.steps}"
        )
    console, config = Console(), read(options.config, options.set)
    findings = check(config.task, open_parts(config), flips=config.augment.flips, skip_broken=config.data.skip_broken)
    config = config.model_copy(update={"input": fitting_input(config, findings.given)})

    from segkit.system.keras_start import load_keras

    console.print(load_keras(), highlight=False)
    from segkit.system.progress import counting
    from segkit.training.lr_range_test import losses_at

    tried = rates(options.low, options.high, options.steps)
    with counting("steps at rising rates", len(tried), console) as done:
        losses = losses_at(tried, config, findings.parts, done)
    suggestion = suggest(tried, losses)
    smooth = smoothed(losses)
    for i in range(0, len(losses), max(1, len(losses) // 15)):
        console.print(f"rate {tried[i]:.1e}  loss {losses[i]:.4f}  smoothed {smooth[i]:.4f}", highlight=False)
    console.print(f"begin with --set train.learning_rate={suggestion:.1e}", highlight=False)
    if options.out:
        from segkit.io.images import write_picture

        write_picture(options.out, draw(tried, losses, suggestion))
    return 0
