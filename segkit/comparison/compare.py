"""Train settings for equal times and compare their scores on the same images."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from segkit.comparison.plot import plot
from segkit.comparison.report import markdown, verdict
from segkit.comparison.results import SettingRuns, results_of
from segkit.comparison.scoring import FILE, Scored, score
from segkit.comparison.settings import (
    Setting,
    check_same_masks,
    list_settings,
    name_of,
    scored_part,
)
from segkit.comparison.trainings import Training, begun, in_turn, run_training
from segkit.config import ConfigLike
from segkit.data.sources.source import Subset
from segkit.errors import ConfigError, SegkitError
from segkit.evaluation.evaluate import find_groups
from segkit.io.atomic import write_text
from segkit.io.images import write_picture
from segkit.run.environment import environment
from segkit.system.keras_start import load_keras
from segkit.system.progress import Progress

Failures = dict[tuple[str, int], str]
"""Reason of a failed training, by the setting's name and the seed."""


class Comparison(NamedTuple):
    """The results of a comparison and the folder that holds them."""

    folder: Path
    """The folder with table.md, results.json, plot.png and the run of each training."""
    results: dict[str, Any]
    """The content of results.json."""
    failed: Failures
    """Reasons of failed trainings; empty if all were finished and scored."""

    @property
    def table(self) -> str:
        """The content of table.md."""
        return (self.folder / "table.md").read_text(encoding="utf-8")


def compare(
    config: ConfigLike,
    *,
    minutes: float,
    vary: Sequence[str] = (),
    also: Sequence[ConfigLike] = (),
    settings: Sequence[str] = (),
    seeds: int = 3,
    out: str | os.PathLike[str] | None = None,
    trust: bool = False,
    progress: Progress | None = None,
) -> Comparison:
    """Train settings for equal times, and find out which is better and whether by more than chance.

    Every training runs in a process of its own. The same call continues an interrupted comparison.

    Args:
        config: A `segkit.Config`, a dictionary of its sections, or the path of a YAML file.
        minutes: Time of each training.
        vary: Values to compare, as "model.encoder=plain,residual"; several make all combinations.
        also: More configs to compare.
        settings: Changes for all of them, such as "train.batch_size=4".
        seeds: Trainings of each setting.
        out: A new folder, or that of the same comparison; by default runs/compare-CONFIG.
        trust: Whether Python that the configs name may be imported.
        progress: Receives the training that runs, and the images that are scored.

    Returns:
        The results. A setting whose trainings have all failed is listed without scores.

    Raises:
        ConfigError: The settings cannot be compared.
        DataError: The data cannot be opened.
        RunError: The folder holds something else, or another process compares there.
    """
    chosen = list_settings(config, vary, also, settings, minutes, trust)
    folder = Path("runs", f"compare-{name_of(config)}") if out is None else Path(out)
    return _compare(chosen, minutes, seeds, folder, progress or Progress())


def _compare(
    settings: Sequence[Setting], minutes: float, seeds: int, folder: Path, progress: Progress
) -> Comparison:
    if seeds < 1:
        raise ConfigError(f"a whole number from 1 on; found {seeds}", setting="--seeds")
    part = check_same_masks(settings)
    trainings = in_turn(folder, settings, seeds)
    with begun(folder, settings, seeds):
        failed = _train_all(trainings, minutes, progress)
        scored = _score_all(trainings, failed, progress)
        results = {
            "part": part,
            "minutes": minutes,
            **results_of(_collect(settings, scored, failed), groups=_groups(trainings, progress)),
            "environment": environment(),
        }
        results["verdict"] = verdict(results)
        _write(results, folder)
    return Comparison(folder, results, failed)


def _train_all(trainings: Sequence[Training], minutes: float, progress: Progress) -> Failures:
    """Run the trainings that are not finished, and return the failed ones with their reasons."""
    failed: Failures = {}
    unfinished = [each for each in trainings if not each.is_finished]
    finished = len(trainings) - len(unfinished)
    progress.message(
        f"{len(trainings)} trainings of {minutes:g} min, {finished} of them finished before"
    )
    for number, training in enumerate(unfinished, start=1):
        name = training.setting.name
        progress.message(f"training {number}/{len(unfinished)}: {name}, seed {training.seed}")
        reason = run_training(training)
        if reason is not None:
            failed[name, training.seed] = reason
            progress.message(f"  failed: {reason}")
    return failed


def _score_all(
    trainings: Sequence[Training], failed: Failures, progress: Progress
) -> dict[tuple[str, int], Scored]:
    """Return the scores of every finished run; add a run that cannot be scored to `failed`.

    Scores that an earlier call wrote are read if they belong to the same images.
    """
    scored: dict[tuple[str, int], Scored] = {}
    names: list[str] = []
    for training in trainings:
        key = (training.setting.name, training.seed)
        if key in failed:
            continue
        names = names or list(_scored_part(training).names)
        path = training.run.path / FILE
        found = Scored.read(path)
        if found is None or found.names.tolist() != names:
            try:
                found = _score(training, progress)
            except SegkitError as problem:
                failed[key] = f"cannot be scored: {problem}"
                continue
            found.write(path)
        scored[key] = found
    return scored


def _scored_part(training: Training) -> Subset:
    """Return the samples that a run is scored on; its training may have moved copies."""
    config = training.run.with_its_copies(training.setting.config)
    return scored_part(config)[1]


def _groups(trainings: Sequence[Training], progress: Progress) -> list[str] | None:
    """Return the group of each scored image by the config of the first run; None without groups."""
    for training in trainings:
        if training.run.config_file.is_file():
            config = training.run.config_made_with()
            return find_groups(_scored_part(training), config, progress)
    return None


def _score(training: Training, progress: Progress) -> Scored:
    load_keras()
    import keras

    from segkit.inference.runtimes.keras import as_predict, load_model

    keras.backend.clear_session()
    part = _scored_part(training)
    model = load_model(training.run)
    label = f"scoring {training.setting.name}, seed {training.seed}"
    with progress.counting(label, len(part)) as counter:
        return score(as_predict(model), model.count_params(), training.run, part, counter)


def _collect(
    settings: Sequence[Setting], scored: dict[tuple[str, int], Scored], failed: Failures
) -> list[SettingRuns]:
    """Return the scores and failures of each setting, in the order of the settings."""
    collected = []
    for setting in settings:
        runs = {seed: run for (name, seed), run in scored.items() if name == setting.name}
        reasons = {seed: reason for (name, seed), reason in failed.items() if name == setting.name}
        collected.append(SettingRuns(setting.name, setting.config.task, runs, reasons))
    return collected


def _write(results: dict[str, Any], folder: Path) -> None:
    write_text(folder / "results.json", json.dumps(results, indent=2) + "\n")
    write_picture(folder / "plot.png", plot(results))
    write_text(folder / "table.md", markdown(results))
