"""The command `segkit compare`."""

from __future__ import annotations

import argparse
from pathlib import Path

from segkit.cli.options import add_set, add_trust
from segkit.cli.streams import print_to_stderr
from segkit.system.terminal import shown


def add_compare(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `segkit compare`."""
    _add_settings(parser)
    parser.add_argument(
        "--minutes", type=float, required=True, metavar="M", help="time of each training"
    )
    parser.add_argument(
        "--seeds", type=int, default=3, metavar="N", help="trainings per setting (default: 3)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="a new folder for trainings, table and plot, or the folder of an interrupted "
        "comparison, to continue it (default: runs/compare-CONFIG)",
    )
    add_trust(parser)
    parser.set_defaults(run_command=_compare)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say what is compared."""
    parser.add_argument(
        "config", type=Path, metavar="CONFIG", help="a YAML file, such as configs/shapes.yaml"
    )
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="a.b=x,y",
        help="values of a setting to compare, e.g. model.encoder=plain,residual; if repeated, "
        "every combination is compared",
    )
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        type=Path,
        metavar="CONFIG",
        help="another config to compare; can be repeated",
    )
    add_set(parser, "change a setting in all trainings; can be repeated")


def _compare(options: argparse.Namespace) -> int:
    from segkit.cli.compare_table import settings_table
    from segkit.cli.console import ConsoleProgress
    from segkit.comparison.compare import compare
    from segkit.comparison.report import interval_units, verdict

    progress = ConsoleProgress()
    comparison = compare(
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
    progress.message(f"\n{verdict(comparison.results)}\n")
    progress.show(settings_table(comparison.results))
    units = interval_units(comparison.results)[1]
    progress.message(
        f"mean foreground scores over all images and seeds; the interval is over {units}\n"
        f"table.md (with scores per class and seed), results.json and plot.png are in "
        f"{comparison.folder}"
    )
    for (name, seed), reason in comparison.failed.items():
        print_to_stderr(f"failed: {shown(name)}, seed {seed}: {reason}")
    if any(setting["failed"] for setting in comparison.results["settings"]):
        return 1
    return 0
