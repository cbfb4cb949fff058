"""The command `segkit compare`. Keras is imported in the processes that train, and here once there is a run to score."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from segkit.comparison.compare import _answers, _score_all, _train_all, _written

if TYPE_CHECKING:
    pass


def add_compare(parser: argparse.ArgumentParser) -> None:
    """The arguments of `segkit compare`."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file, such as configs/shapes.yaml")
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="a.b=x,y",
        help="values of a setting to compare, e.g. model.encoder=plain,residual; repeated: every combination",
    )
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        type=Path,
        metavar="CONFIG",
        help="one more config to compare; repeatable",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="a.b=c", help="change a setting for all; repeatable"
    )
    parser.add_argument("--minutes", type=float, required=True, metavar="M", help="time of each training")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="trainings of each setting (default: 3)")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="a new folder for trainings, table and plot; or one that the same command has begun, to go on with "
        "(default: runs/compare-CONFIG)",
    )
    parser.set_defaults(run_command=_compare)


def _compare(options: argparse.Namespace) -> int:
    from rich.console import Console

    from segkit.comparison.settings import check_same_masks, settings_of
    from segkit.comparison.trainings import begun, in_turn
    from segkit.errors import ConfigError

    if options.seeds < 1:
        raise ConfigError(f"--seeds: a whole number from 1 on; found {options.seeds}")
    options.out = options.out or Path("runs", f"compare-{options.config.stem}")
    console = Console(soft_wrap=not sys.stdout.isatty())
    settings = settings_of(options.config, options.vary, options.also, options.set, options.minutes)
    part = check_same_masks(settings)
    trainings = in_turn(options.out, settings, options.seeds)
    with begun(options.out, settings, options.seeds):
        failed = _train_all(trainings, options.minutes, console)
        scored = _score_all(trainings, failed, console)
        results = _written(options, part, _answers(trainings, scored, failed))
    console.print(f"\n{(options.out / 'table.md').read_text(encoding='utf-8')}", highlight=False, markup=False)
    console.print(f"table.md, results.json and plot.png are in {options.out}", highlight=False)
    for (name, seed), why in failed.items():
        print(f"failed: {name}, seed {seed}: {why}", file=sys.stderr)
    return 1 if any(row["failed"] for row in results["settings"]) else 0
