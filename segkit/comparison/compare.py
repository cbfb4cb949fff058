"""Settings trained for equal times and compared on the same images."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from segkit.comparison.plot import plot
from segkit.comparison.report import markdown, verdict
from segkit.comparison.results import Answers, results_of
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
from segkit.errors import ConfigError, SegkitError
from segkit.io.atomic import write_text
from segkit.io.images import write_picture
from segkit.run.environment import environment
from segkit.system.keras_start import load_keras
from segkit.system.progress import Progress

Failures = dict[tuple[str, int], str]
"""Why a training failed, by the setting's name and the seed."""


class Comparison(NamedTuple):
    """What was compared."""

    folder: Path
    """It holds table.md, results.json, plot.png and the run of each training."""
    results: dict[str, Any]
    """The content of results.json."""
    failed: Failures

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

    Every training runs in a process of its own. The same call goes on where an earlier one was interrupted.

    Args:
        config: A `segkit.Config`, a dictionary of its sections, or the path of a YAML file.
        minutes: Time of each training.
        vary: Values to compare, such as "model.encoder=plain,residual"; of several, every combination.
        also: More configs to compare.
        settings: Changes for all of them, such as "train.batch_size=4".
        seeds: Trainings of each setting.
        out: A new folder, or the one of the same comparison; by default runs/compare-CONFIG.
        trust: Whether Python that the configs' files name may be imported.
        progress: Receives which training runs, and what is scored.

    Returns:
        The results. A setting whose trainings have all failed is among them, without scores.

    Raises:
        ConfigError: For settings that cannot be compared.
        DataError: If the data cannot be opened.
        RunError: If the folder holds something else, or another process compares there.
    """
    if seeds < 1:
        raise ConfigError(f"a whole number from 1 on; found {seeds}", setting="--seeds")
    progress = progress or Progress()
    folder = Path(out) if out is not None else Path("runs", f"compare-{name_of(config)}")
    chosen = list_settings(config, vary, also, settings, minutes, trust)
    part = check_same_masks(chosen)
    trainings = in_turn(folder, chosen, seeds)
    with begun(folder, chosen, seeds):
        failed = _train_all(trainings, minutes, progress)
        scored = _score_all(trainings, failed, progress)
        results = {
            "part": part,
            "minutes": minutes,
            **results_of(_collect(trainings, scored, failed)),
            "environment": environment(),
        }
        results["verdict"] = verdict(results)
        _write(results, folder)
    return Comparison(folder, results, failed)


def _train_all(trainings: Sequence[Training], minutes: float, progress: Progress) -> Failures:
    """Train what is not finished yet; return what failed, the others go on."""
    failed: Failures = {}
    left = [each for each in trainings if not each.is_finished]
    done_before = len(trainings) - len(left)
    progress.message(
        f"{len(trainings)} trainings of {minutes:g} min, {done_before} of them done before"
    )
    for number, training in enumerate(left, start=1):
        name = training.setting.name
        progress.message(f"training {number}/{len(left)}: {name}, seed {training.seed}")
        why = run_training(training)
        if why is not None:
            failed[name, training.seed] = why
            progress.message(f"  failed: {why}")
    return failed


def _score_all(
    trainings: Sequence[Training], failed: Failures, progress: Progress
) -> dict[tuple[str, int], Scored]:
    """Return the scores of every finished run. Those of an earlier call are read; what cannot be scored has failed."""
    names = list(scored_part(trainings[0].setting.config)[1].names)
    scored: dict[tuple[str, int], Scored] = {}
    for training in trainings:
        key = (training.setting.name, training.seed)
        if key in failed:
            continue
        kept = training.run.path / FILE
        found = Scored.read(kept)
        if found is None or found.names.tolist() != names:  # images have come or gone since
            try:
                found = _score(training, progress)
            except SegkitError as problem:
                failed[key] = f"cannot be scored: {problem}"
                continue
            found.write(kept)
        scored[key] = found
    return scored


def _score(training: Training, progress: Progress) -> Scored:
    load_keras()
    import keras

    from segkit.inference.runtimes.keras import as_predict, load_model

    keras.backend.clear_session()
    _, part = scored_part(training.setting.config)
    model = load_model(training.run)
    with progress.counting(
        f"scoring {training.setting.name}, seed {training.seed}", len(part)
    ) as done:
        return score(as_predict(model), model.count_params(), training.run, part, done)


def _collect(
    trainings: Sequence[Training], scored: dict[tuple[str, int], Scored], failed: Failures
) -> list[Answers]:
    """Return the scores and failures of each setting, in the order in which the settings were given."""
    found = []
    for setting in _settings(trainings):
        runs = {seed: each for (name, seed), each in scored.items() if name == setting.name}
        failures = {seed: why for (name, seed), why in failed.items() if name == setting.name}
        found.append(Answers(setting.name, setting.config.task, runs, failures))
    return found


def _settings(trainings: Sequence[Training]) -> list[Setting]:
    by_name = {training.setting.name: training.setting for training in trainings}
    return list(by_name.values())


def _write(results: dict[str, Any], folder: Path) -> None:
    write_text(folder / "results.json", json.dumps(results, indent=2) + "\n")
    write_picture(folder / "plot.png", plot(results))
    write_text(folder / "table.md", markdown(results))
