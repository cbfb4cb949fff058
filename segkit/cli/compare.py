"""The command `segkit compare`."""

from __future__ import annotations

import argparse
from pathlib import Path

from segkit.cli.options import add_trust
from segkit.cli.streams import tell
from segkit.system.terminal import shown


def add_compare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `segkit compare`."""
    parser.add_argument(
        "config", type=Path, metavar="CONFIG", help="a YAML file, such as configs/shapes.yaml"
    )
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
        "--set",
        action="append",
        default=[],
        metavar="a.b=c",
        help="change a setting for all; repeatable",
    )
    parser.add_argument(
        "--minutes", type=float, required=True, metavar="M", help="time of each training"
    )
    parser.add_argument(
        "--seeds", type=int, default=3, metavar="N", help="trainings of each setting (default: 3)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="a new folder for trainings, table and plot; or one that the same command has begun, to go on with "
        "(default: runs/compare-CONFIG)",
    )
    add_trust(parser)
    parser.set_defaults(run_command=_compare)


def _compare(options: argparse.Namespace) -> int:
    from segkit.cli.console import ConsoleProgress
    from segkit.comparison.compare import compare

    progress = ConsoleProgress()
    found = compare(
        options.config,
        minutes=options.minutes,
        vary=options.vary,
        also=options.also,
        settings=options.set,
        seeds=options.seeds,
        out=options.out,
        trust=options.trust,
        progress=progress,
    )
    progress.message(f"\n{found.table}")
    progress.message(f"table.md, results.json and plot.png are in {found.folder}")
    for (name, seed), why in found.failed.items():
        tell(f"failed: {shown(name)}, seed {seed}: {why}")
    return 1 if any(row["failed"] for row in found.results["settings"]) else 0
