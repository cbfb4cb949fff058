"""`train --fold k/n` and `--fold all/n`: trainings of a cross-validation, one run folder each, and the table at the end."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from segkit.errors import ConfigError


def train_folds(options: argparse.Namespace, train: Callable[[argparse.Namespace], int]) -> int:
    """Train the folds that are asked for by `train`, into DIR/fold_k; print the table once all n are scored.

    With --resume a fold that is finished is passed over, one that was interrupted goes on, one that is missing begins.
    Return the exit status of the first fold that fails. Raises `RunError` if a finished one was trained otherwise.
    """
    from segkit.config import read
    from segkit.folds import collect, fold_run, folds_table, wanted

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
