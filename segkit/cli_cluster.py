"""Prediction on a cluster on the command line: `--engine ray`, `--address` and `--worker-cpus`."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from segkit.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from segkit.inference import Summary
    from segkit.outputs.results import Outputs


def add_engine(parser: argparse.ArgumentParser) -> None:
    """The arguments that say where prediction runs."""
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="ray: on the machines of a Ray cluster (extra `ray`)",
    )
    parser.add_argument(
        "--address", metavar="HOST:PORT", help="the Ray cluster, or auto (default: one of this machine alone)"
    )
    parser.add_argument("--worker-cpus", type=int, metavar="N", help="CPUs of each Ray worker (default: up to 4)")


def check_engine(options: argparse.Namespace) -> None:
    """Raise `ConfigError` for settings of a cluster without one."""
    given = [name for name in ("address", "worker_cpus") if getattr(options, name) is not None]
    if options.engine != "ray" and given:
        raise ConfigError(f"--{given[0].replace('_', '-')}: is for a cluster; say --engine ray with it")
    if options.worker_cpus is not None and options.worker_cpus < 1:
        raise ConfigError(f"--worker-cpus: 1 or more; found {options.worker_cpus}")


def predict_on_cluster(
    options: argparse.Namespace, images: dict[str, Path], outputs: Outputs, others: Iterable[str], console: Console
) -> Summary:
    """Predict images on a Ray cluster, and write the tables of these and `others` here."""
    from segkit.cluster import Work, absolute, connected, each_written_on, plan_of
    from segkit.inference import write_files
    from segkit.opening import check_runtime, config_together, open_together
    from segkit.outputs.results import Results
    from segkit.progress import counting

    check_runtime(options.runtime)
    task = config_together(options.runs, options.tta)[0].task
    runs = [absolute(path) for path in options.runs]
    tell = partial(console.print, highlight=False, markup=False)
    with connected(options.address) as ray:
        plan = plan_of(ray, options.worker_cpus)
        tell(f"engine: ray, {plan.workers} worker(s) of {plan.cpus} CPU(s)")
        work = Work(
            partial(open_together, runs, options.runtime, options.tta, options.uncertainty),
            outputs._replace(masks=absolute(outputs.masks)),
            options.memory,
            plan.neighbours,
        )
        each = partial(each_written_on, ray, work, plan, tell)
        with counting("predicting", len(images), console) as done:
            return write_files(each, Results(task, outputs), images, options.skip_existing, done, others)
