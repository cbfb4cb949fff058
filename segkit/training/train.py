"""Training from a config to scores. Keras is imported once the settings and the data are known to be right."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from segkit.config import Config, ConfigLike, RunConfig, as_config
from segkit.data.batches.cache import check_memory
from segkit.data.parts import held_out
from segkit.data.sources.source import Subset
from segkit.errors import ConfigError
from segkit.evaluation.evaluate import score_part
from segkit.io.atomic import write_text
from segkit.models.weights import check_frozen, find_weights
from segkit.run import Run
from segkit.system.keras_start import load_keras
from segkit.system.progress import Progress
from segkit.training.data import prepare_data
from segkit.training.devices import prepare, use_devices
from segkit.training.distributed import disconnect, join, meet, opened_run, share_start
from segkit.training.process import Process, check_process

if TYPE_CHECKING:
    import keras


class TrainingInterrupted(KeyboardInterrupt):
    """A training that Ctrl-C ended. What it has learned is in its run folder, and `resume=True` goes on with it."""

    def __init__(self, run: Run) -> None:
        super().__init__(f"the training in {run.path} was interrupted")
        self.run = run


def train(
    config: ConfigLike,
    run: str | PathLike[str],
    *,
    resume: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    progress: Progress | None = None,
    process: Process | None = None,
) -> Run:
    """Train a network, score its best epoch, and leave all that prediction needs in a run folder.

    Args:
        config: A `segkit.Config`, a dictionary of its sections, or the path of a YAML file.
        run: The run folder to make. It must not hold anything yet, unless the training is resumed.
        resume: Go on with the run in the folder from its last checkpoint, instead of making a new one.
        callbacks: Keras callbacks, called after segkit's own and before the checkpoint of each epoch is written.
        progress: Receives messages, warnings and the status of the training; by default only warnings are shown.
        process: Which of several processes this is; see `segkit.training.process`.

    Returns:
        The run. `run.report()` holds the scores: of the test part, or of the validation part if there is no test part;
        None if there is neither. Of several processes only the first writes the folder.

    Raises:
        ConfigError: For settings that do not fit together, or a package that is missing.
        DataError: If `segkit inspect` calls something in the data an error.
        RunError: If the folder holds another run, or with `resume` none; if a checkpoint does not fit, the loss is not a
            number, or the disk is full.
        TrainingInterrupted: After Ctrl-C, once there is a run to go on with; before, a plain `KeyboardInterrupt`.
    """
    config = as_config(config)
    progress = progress or Progress()
    check_process(process, config)
    with opened_run(process, Path(run)) as folder, _held(folder, resume):
        settings, parts = _begin(config, folder, resume, process is None, progress)
        try:
            _train(settings, parts, folder, callbacks, progress, process)
        except KeyboardInterrupt as problem:
            if not folder.keeps_models:
                raise
            raise TrainingInterrupted(folder) from problem
    return Run(Path(run))


@contextmanager
def _held(run: Run, resume: bool) -> Iterator[None]:
    """Hold the run folder for this training. Raises `RunError` if it is not free, or another process trains into it."""
    if not resume:
        run.require_empty()
    with run.training():
        yield


def _begin(
    config: Config, run: Run, resume: bool, alone: bool, progress: Progress
) -> tuple[RunConfig, dict[str, Subset]]:
    """Check folder, weights and data, and make the run folder. Return the run's config and the parts of the data.

    Of several processes (not `alone`) only the first has the run folder, so all measure the images again to resume it.
    """
    _check_folder(config, run, resume)
    if (
        resume and alone and config.input is None
    ):  # what was learned holds for the images as they were scaled then
        config = config.with_input(run.config_made_with().input)
    find_weights(config.model, progress.message)
    progress.message(config.task.explain())
    settings, parts = prepare_data(config, progress)
    check_memory(
        [parts["train"], parts["validation"]],
        settings.data,
        settings.task,
        settings.input,
        run.cache,
    )
    if not resume:
        run.create(settings)
    return settings, parts


def _train(
    config: RunConfig,
    parts: dict[str, Subset],
    run: Run,
    callbacks: Sequence[keras.callbacks.Callback],
    progress: Progress,
    process: Process | None,
) -> None:
    """Load Keras, choose precision and devices, fit the network, and score its best epoch."""
    join(process)  # before Keras starts JAX, which cannot join later
    progress.message(load_keras())
    from segkit.training.fit import fit_network

    meet(process)
    precision, reason = _choose_precision(process, config, parts, run)
    with use_devices(config.train) as replicas:
        prepare(config.train, precision)
        if reason:
            progress.message(f"{precision}: {reason}")
        fit_network(config, parts, run, replicas, callbacks, progress)
    disconnect()
    if replicas.leads:
        _score_best_epoch(config, parts, run, progress)


def _check_folder(config: Config, run: Run, resume: bool) -> None:
    """Raise an error before the data are read if the training could not begin, or not go on."""
    if resume:
        run.reopen(config)
    else:
        run.require_empty()
        check_frozen(config.model)


def _choose_precision(
    process: Process | None, config: RunConfig, parts: Mapping[str, Subset], run: Run
) -> tuple[str, str]:
    """Return the precision and the reason. The first of several processes measures it, the others read its file."""
    from segkit.training.precision import choose_precision

    if run.keeps_models:
        choose_precision(config, run)
    share_start(process, config, parts, run)
    return choose_precision(config, run)


def _score_best_epoch(
    config: RunConfig, parts: dict[str, Subset], run: Run, progress: Progress
) -> None:
    """Write scores.json; nothing if there is neither a test nor a validation part."""
    from segkit.inference.runtimes.keras import open_keras

    run.check_not_removed()
    try:
        part = "validation" if config.data.fold else held_out(parts)
    except ConfigError:
        return
    with progress.counting(f"scoring the best epoch on the {part} part", len(parts[part])) as done:
        report = {"part": part, **score_part(open_keras(run), config, parts[part], done)}
    write_text(run.scores, json.dumps(report, indent=2) + "\n")
