"""TODO."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from segkit.config import Config
    from segkit.inference.files import Summary
    from segkit.inference.large.memory_budget import Room
    from segkit.inference.outputs.writer import Outputs
    from segkit.inference.tiles import Predict


def predict_on_cluster(
    options: argparse.Namespace, images: dict[str, Path], outputs: Outputs, others: Iterable[str], console: Console
) -> Summary:
    """Predict images on a Ray cluster, and write the tables of these and `others` here."""
    from segkit.inference.cluster import Work, absolute, connected, each_written_on, plan_of
    from segkit.inference.files import write_files
    from segkit.inference.load import check_runtime, config_together, open_together
    from segkit.inference.outputs.writer import Results
    from segkit.system.progress import counting

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

    from segkit.inference.files import write_files
    from segkit.inference.large.files import each_large_written
    from segkit.inference.outputs.writer import Results
    from segkit.system.progress import WindowProgress

    each = partial(each_large_written, predict, config, weights, room, lambda name: WindowProgress(name, console))
    return write_files(each, Results(config.task, outputs), images, options.skip_existing, others=others)


def _predict_images(
    options: argparse.Namespace, images: dict[str, Path], outputs: Outputs, others: Iterable[str], console: Console
) -> Summary:
    from segkit.inference.files import predict_files
    from segkit.inference.large.files import divide, fit_batch
    from segkit.inference.large.memory_budget import allowed, room_for
    from segkit.inference.load import open_together
    from segkit.system.progress import counting

    if options.engine == "ray":
        return predict_on_cluster(options, images, outputs, others, console)
    opened = open_together(options.runs, options.runtime, options.tta, options.uncertainty)
    console.print(opened.told, highlight=False, markup=False)
    predict, config, _, weights = opened
    config = fit_batch(predict, config, options.memory)
    images, large = divide(config, images, outputs, options.memory)
    room = room_for(predict, config, allowed(options.memory)) if large else None  # or nothing is begun
    with counting("predicting", len(images), console) as done:
        summary = predict_files(predict, config, images, outputs, options.skip_existing, done, others)
    if room and not summary.stopped:
        by_windows = predict_large_files(predict, config, large, outputs, weights, room, options, console, others)
        summary = summary.plus(by_windows)
    return summary
