"""Trains a network from a config and scores it. Keras is imported after all checks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from segkit.config import Config, ConfigLike, RunConfig, as_config, changed
from segkit.config.comments import comments_of
from segkit.data.batches.cache import check_memory
from segkit.data.sources.source import Subset
from segkit.errors import ConfigError
from segkit.evaluation.evaluate import ScoreOptions, find_groups, score_part
from segkit.inspection.summary import DataSummary
from segkit.io.atomic import write_text
from segkit.models.weights import check_frozen, find_weights
from segkit.reporting.album import Album
from segkit.reporting.report import scored_part_name, write_report
from segkit.run import Run
from segkit.system.keras_start import load_keras
from segkit.system.progress import Progress
from segkit.training.data import prepare_data
from segkit.training.devices import choose_devices, prepare, use_devices
from segkit.training.distributed import disconnect, join, opened_run, share_start, wait_for_all
from segkit.training.model_card import model_card
from segkit.training.on_all import FoldScores, find_folds
from segkit.training.process import Process, check_process
from segkit.training.trackers import check_tracker

if TYPE_CHECKING:
    import keras

PICTURE_SIDE = 256
"""Longest side of a picture in the report of a training, pixels."""


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C ended a training. Its state is in the run folder; `resume=True` continues it."""

    def __init__(self, run: Run) -> None:
        super().__init__(f"the training in {run.path} was interrupted")
        self.run = run


class TrainOptions(NamedTuple):
    """How a training runs beside its config; the fields are arguments of `train`."""

    resume: bool
    scored_by: Sequence[str | PathLike[str]]
    callbacks: Sequence[keras.callbacks.Callback]
    progress: Progress
    process: Process | None
    comments: Mapping[str, str]


def train(
    config: ConfigLike,
    run: str | PathLike[str],
    *,
    resume: bool = False,
    on_all: bool = False,
    scored_by: Sequence[str | PathLike[str]] = (),
    callbacks: Sequence[keras.callbacks.Callback] = (),
    progress: Progress | None = None,
    process: Process | None = None,
    comments: Mapping[str, str] | None = None,
) -> Run:
    """Train a network, score its best epoch, and write a run folder for prediction.

    Args:
        config: A `segkit.Config`, a dictionary of its sections, or the path of a YAML file.
        run: The run folder. It must be empty or missing, unless the training is resumed.
        resume: Continue the run in the folder from its last checkpoint.
        on_all: Train on all samples, and keep the last epoch, since no image is left to score one.
        scored_by: With `on_all`, the runs of all folds; by default fold_1, ... beside it, if any.
        callbacks: Keras callbacks, called after segkit's own and before each epoch's checkpoint.
        progress: Receives messages, warnings and the status; by default only warnings are shown.
        process: This process, if several train together; see `segkit.training.process`.
        comments: Comments by setting, such as "train.epochs"; by default those of the YAML file.

    Returns:
        The run; only the first of several processes writes it. `run.report()` returns the scores of
        the test part, else of the validation part; with `on_all` of the folds; None without any.

    Raises:
        ConfigError: If settings contradict each other, or a package is missing.
        DataError: If `segkit inspect` finds an error in the data.
        RunError: If the run folder does not fit, the loss is not finite, or the disk is full.
        TrainingInterrupted: After Ctrl-C, once there is a run to resume; else `KeyboardInterrupt`.
    """
    opened = as_config(config)
    if on_all:
        opened = changed(opened, ["data.on_all=true"])
    comments = comments_of(config) if comments is None else comments
    options = TrainOptions(resume, scored_by, callbacks, progress or Progress(), process, comments)
    return _train_run(opened, Path(run), options)


def _train_run(config: Config, path: Path, options: TrainOptions) -> Run:
    check_process(options.process, config)
    if options.process is None or options.process.leads:
        check_tracker(config.train)
    folds = _folds_of(config, path, options)
    with opened_run(options.process, path) as folder, _locked(folder, options.resume):
        run_config, parts = _prepare_run(config, folder, options)
        with _attach_run_to_interruption(folder):
            _train(run_config, parts, folds, folder, options)
    return Run(path)


def _folds_of(config: Config, run: Path, options: TrainOptions) -> FoldScores | None:
    """Return the scores of the folds of a training on all samples; None for other trainings."""
    if not config.data.on_all:
        if options.scored_by:
            raise ConfigError(
                "folds score a training on all samples only; add --on-all (on_all=True)",
                "contradiction",
                setting="--scored-by",
            )
        return None
    if options.process is not None and not options.process.leads:
        return None
    return find_folds(config, run, options.scored_by, options.progress)


def _train(
    config: RunConfig,
    parts: dict[str, Subset],
    folds: FoldScores | None,
    run: Run,
    options: TrainOptions,
) -> None:
    """Load Keras, choose devices and precision, fit the network, and score its best epoch."""
    progress = options.progress
    join(options.process)  # before Keras starts JAX, which cannot join later
    progress.message(load_keras())
    from segkit.training.fit import fit_network
    from segkit.training.precision import measure_precision, read_precision
    from segkit.training.tracking import tracked

    wait_for_all(options.process)
    devices = choose_devices(config.train)
    devices.replicas.check(config.train.batch_size)
    if devices.replicas.leads:
        measure_precision(config, run, devices.replicas.count)
    share_start(options.process, config, parts, run)
    precision = read_precision(config, run)
    if precision.reason:
        progress.message(f"{precision.policy}: {precision.reason}")
    leads = devices.replicas.leads
    with tracked(config, run, leads, progress) as tracking:
        with use_devices(devices):
            prepare(config.train, precision.policy)
            every_callback = [*options.callbacks, tracking]
            fit_network(config, parts, run, devices.replicas, every_callback, progress)
        disconnect()
        if leads:
            if config.data.on_all:
                _write_scores_of_folds(folds, run)
            else:
                _score_best_epoch(config, parts, run, progress)
            _write_card(config, parts, run)
            tracking.log_scores()


def _write_card(config: RunConfig, parts: dict[str, Subset], run: Run) -> None:
    """Write README.md, unless there is one with scores, or one that somebody has edited."""
    name = run.path.resolve().name
    images = {part: len(subset) for part, subset in parts.items()}
    without_scores = model_card(name, config, images, None)
    if run.card.exists() and run.card.read_text(encoding="utf-8") != without_scores:
        return
    write_text(run.card, model_card(name, config, images, run.report()))


def _write_scores_of_folds(folds: FoldScores | None, run: Run) -> None:
    """Write the scores of the folds as scores.json, unless there are no folds."""
    run.check_not_removed()
    if folds is not None:
        write_text(run.scores, json.dumps({"part": "folds", **folds.report}, indent=2) + "\n")


@contextmanager
def _locked(run: Run, resume: bool) -> Iterator[None]:
    """Lock the run folder. Raises `RunError` if it is not free, or another process has it."""
    if not resume:
        run.require_empty()
    with run.training():
        yield


@contextmanager
def _attach_run_to_interruption(run: Run) -> Iterator[None]:
    """Add the run to an interruption, in the process that writes the run folder."""
    try:
        yield
    except KeyboardInterrupt as problem:
        if not run.keeps_models:
            raise
        raise TrainingInterrupted(run) from problem


def _prepare_run(
    config: Config, run: Run, options: TrainOptions
) -> tuple[RunConfig, dict[str, Subset]]:
    """Check folder, weights and data, and make the run folder; return its config and parts."""
    progress = options.progress
    if options.resume:
        run.reopen(config)
    else:
        run.require_empty()
        check_frozen(config.model)
    # The network was trained on the run's parts, and on images in the run's scale. With several
    # processes only the first one can read both from the run folder, so all find them again.
    keep_parts = options.resume and options.process is None
    if keep_parts:
        config = run.with_its_copies(config)
    if keep_parts and config.input is None:
        config = config.with_input(run.config_made_with().input)
    find_weights(config.model, progress.message)
    progress.message(config.task.explain())
    facts: list[DataSummary] = []
    run_config, parts = prepare_data(config, progress, keep_parts=keep_parts, describe=facts.append)
    check_memory(
        [subset for part, subset in parts.items() if part != "test"],
        run_config.data,
        run_config.task,
        run_config.input,
        run.cache,
    )
    if not options.resume:
        run.create(run_config, options.comments)
        write_text(run.data, json.dumps(facts[0].as_json(), indent=2, ensure_ascii=False) + "\n")
    return run_config, parts


def _score_best_epoch(
    config: RunConfig, parts: dict[str, Subset], run: Run, progress: Progress
) -> None:
    """Write scores and report, unless both the test and the validation part are empty."""
    from segkit.inference.runtimes.keras import open_keras

    run.check_not_removed()
    try:
        part = scored_part_name(config, parts)
    except ConfigError:
        return
    groups = find_groups(parts[part], config, progress)
    album = Album(config.task, side=PICTURE_SIDE)
    counts = run.image_counts if config.data.fold else None
    options = ScoreOptions(table=run.image_scores, groups=groups, seen=album.add, counts=counts)
    label = f"scoring the best epoch on the {part} part"
    with progress.counting(label, len(parts[part])) as counter:
        scores = score_part(open_keras(run), config, parts[part], counter, options=options)
    scores = {"part": part, **scores}
    write_text(run.scores, json.dumps(scores, indent=2) + "\n")
    write_report(run, config, part, scores, album, progress)
