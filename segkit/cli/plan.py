"""TODO."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from segkit.cli.data import add_data, look
from segkit.errors import ConfigError

if TYPE_CHECKING:
    pass


def add_plan(parser: argparse.ArgumentParser) -> None:
    """The arguments of `segkit plan`."""
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="CONFIG", help="the YAML file to write")
    parser.add_argument("--minutes", type=float, metavar="M", help="a time budget: steps are timed on this machine")
    parser.set_defaults(run_command=_plan)


def _plan(options: argparse.Namespace) -> int:
    from rich.console import Console

    from segkit.data.parts import open_parts
    from segkit.inspection.report import on_screen
    from segkit.inspection.training_check import check_split
    from segkit.io.atomic import write_text
    from segkit.planning.budget import fit_budget
    from segkit.planning.rules import draft
    from segkit.planning.yaml_text import as_yaml
    from segkit.system.memory import free_memory

    console = Console(soft_wrap=not sys.stdout.isatty())
    if options.out.exists():
        raise ConfigError(f"{options.out}: is there already; a config is not overwritten. Choose another name")
    if options.minutes is not None and options.minutes <= 0:
        raise ConfigError(f"--minutes: a number above 0; found {options.minutes:g}")
    inspection, config, guess = look(options, console)
    console.print(on_screen(inspection))
    if inspection.wrong or inspection.verdict is None:
        print("error: no plan is made while training would be wrong; mend what is named above", file=sys.stderr)
        return 2
    plan = draft(config, inspection.verdict, inspection.survey.facts, guess)
    parts = open_parts(plan.config)
    check_split(plan.config.task, parts, inspection.survey)
    console.print("timing training steps on this machine ...")
    from segkit.planning.step_time import measure_steps

    train, validation = len(parts["train"]), len(parts["validation"])
    plan = fit_budget(plan, train, validation, options.minutes, free_memory(), measure_steps)
    write_text(options.out, as_yaml(plan, shlex.join(["segkit", *sys.argv[1:]]), str(options.out)))
    console.print(
        f"{options.out}: written; each value stands below its reason. Train with:\n  python train.py {options.out}"
    )
    return 0
