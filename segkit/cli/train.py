"""TODO."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segkit.cli.options import _add_config, _console, _counting
from segkit.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from segkit.config import Config
    from segkit.run import Run
    from segkit.training.process import Process


def _add_train(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument(
        "--run", type=Path, metavar="DIR", help="the run folder to make (default: runs/ and the config's name)"
    )
    parser.add_argument(
        "--fold", metavar="k/n", help="train fold k of n into DIR/fold_k; all/n: all of them, with one table at the end"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in DIR from its last checkpoint")
    parser.add_argument(
        "--coordinator", metavar="HOST:PORT", help="train on several machines: where the first process can be reached"
    )
    parser.add_argument("--process", metavar="i/n", help="which of the n processes this is; the first writes the run")
    parser.set_defaults(run_command=_train)


def _train(options: argparse.Namespace) -> int:
    if options.fold:
        return train_folds(options, _train)
    from segkit.config import read
    from segkit.data.batches.cache import check_room
    from segkit.data.parts import open_parts
    from segkit.inspection.input_statistics import fitting_input
    from segkit.inspection.training_check import check
    from segkit.models.weights import check_frozen, find
    from segkit.training.distributed import run_of, together
    from segkit.training.process import check as check_process
    from segkit.training.process import parse

    process = parse(options.coordinator, options.process)
    console, config = _console(), read(options.config, options.set)
    check_process(process, config)
    run = run_of(process, options.run or Path("runs") / options.config.stem)
    if options.resume:
        run.reopen(config)
    else:
        run.check_free()
        check_frozen(config.model)
    find(config.model, console.print)
    console.print(config.task.explain(), highlight=False)
    parts = open_parts(config)
    shares = {part: len(subset) for part, subset in parts.items() if len(subset)}
    with _counting("checking images and masks", sum(shares.values()), console) as done:
        findings = check(config.task, parts, done, flips=config.augment.flips, skip_broken=config.data.skip_broken)
    parts = findings.parts
    shares = {part: len(subset) for part, subset in parts.items() if len(subset)}
    left_out = f"; {findings.left_out} left out as broken" if findings.left_out else ""
    console.print("images: " + ", ".join(f"{n} {part}" for part, n in shares.items()) + left_out, highlight=False)
    for warning in findings.warnings:
        console.print(f"warning {warning}", style="yellow", highlight=False, markup=False)
    given = fitting_input(config, findings.given)
    config = config.model_copy(update={"input": given})
    kept = [parts["train"], parts["validation"]]
    check_room(kept, config.data, config.task, given, run.cache)  # refused before a run is begun
    if not options.resume:
        run.create(config)
    return together(process, lambda: _train_with_keras(config, parts, run, console, options, process), run)


def _train_with_keras(
    config: Config, parts: Any, run: Run, console: Console, options: argparse.Namespace, process: Process | None
) -> int:
    from segkit.evaluation.tables import scores_table
    from segkit.system.keras_start import load_keras
    from segkit.training.distributed import meet, share_start
    from segkit.training.process import options_of

    console.print(load_keras(), highlight=False)
    from segkit.training.precision import settle
    from segkit.training.train import train

    meet(process)
    if run.keeps_models:
        settle(config, run)
    share_start(process, config, parts, run)
    try:
        report = train(config, parts, run, console)
    except KeyboardInterrupt:
        if not run.keeps_models:
            raise
        asked, at = getattr(options, "asked", options), run.saved()  # of several folds, what all were asked for by
        overrides = "".join(f" --set {override}" for override in asked.set) + options_of(process)
        if asked.fold:
            overrides += f" --fold {asked.fold}"
        folder = run.path.parent if asked.fold else run.path
        console.print(
            f"interrupted; {at.epoch} epochs and {at.step} steps are saved in {run.path}. Go on with:\n"
            f"  python train.py {options.config}{overrides} --run {folder} --resume",
            highlight=False,
            soft_wrap=True,
        )
        return 130
    if not run.keeps_models:
        return 0
    if report:
        console.print(scores_table(report))
    console.print(
        f"the run is in {run.path}: predict with\n  python predict.py {run.path} IMAGES --out MASKS",
        highlight=False,
        soft_wrap=True,
    )
    return 0


def train_folds(options: argparse.Namespace, train: Callable[[argparse.Namespace], int]) -> int:
    """Train the folds that are asked for by `train`, into DIR/fold_k; print the table once all n are scored.

    With --resume a fold that is finished is passed over, one that was interrupted goes on, one that is missing begins.
    Return the exit status of the first fold that fails. Raises `RunError` if a finished one was trained otherwise.
    """
    from segkit.config import read
    from segkit.training.folds import collect, fold_run, folds_table, wanted

    which, count = wanted(options.fold)
    if len(which) > 1 and options.coordinator:
        raise ConfigError(
            f"--fold: one fold at a time with --coordinator, 1/{count} to {count}/{count}; found {options.fold}"
        )
    folder = options.run or Path("runs") / options.config.stem
    settings = {k: [*options.set, f"data.fold={k}/{count}"] for k in range(1, count + 1)}
    for k, overrides in settings.items():
        if fold_run(folder, k).scores.is_file():  # also one that is not asked for: the table is of all
            fold_run(folder, k).check_made_with(read(options.config, overrides))
    for k in which:
        run, overrides = fold_run(folder, k), settings[k]
        if options.resume and run.scores.is_file():
            continue
        begun = run.config_file.is_file()
        one = {"run": run.path, "resume": options.resume and begun, "set": overrides, "fold": None, "asked": options}
        status = train(argparse.Namespace(**{**vars(options), **one}))
        if status:
            return status
        _forget()
    report = collect(folder, count)
    if report is not None:
        from rich.console import Console

        Console().print(folds_table(report))
    return 0


def _forget() -> None:
    """Free the networks of the fold before."""
    import gc

    import keras

    keras.backend.clear_session()
    gc.collect()
