"""The command `segkit plan`."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from segkit.cli.options import add_data


def add_plan(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `segkit plan`."""
    add_data(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="CONFIG", help="the YAML file to write"
    )
    parser.add_argument(
        "--minutes", type=float, metavar="M", help="time budget; steps are timed on this machine"
    )
    parser.set_defaults(run_command=_plan)


def _plan(options: argparse.Namespace) -> int:
    from segkit.cli.console import ConsoleProgress
    from segkit.inspection.inspect import inspect_data
    from segkit.inspection.report import on_screen
    from segkit.planning.plan import check_request, plan_for, write_plan

    check_request(options.out, options.minutes)
    progress = ConsoleProgress()
    inspection = inspect_data(
        options.images,
        options.masks,
        classes=options.classes,
        settings=options.set,
        trust=options.trust,
        progress=progress,
    )
    progress.show(on_screen(inspection))
    plan = plan_for(inspection, minutes=options.minutes, progress=progress)
    write_plan(plan, options.out, shlex.join(["segkit", *sys.argv[1:]]))
    progress.message(f"written to {options.out}, each value below its reason. Train with:")
    progress.message(f"  segkit train {options.out}")
    return 0
