"""TODO."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from segkit.comparison.results import Answers
    from segkit.comparison.scoring import Scored
    from segkit.comparison.trainings import Training

Failures = dict[tuple[str, int], str]


def _train_all(trainings: Sequence[Training], minutes: float, console: Console) -> Failures:
    """Train what is not finished yet; return what failed, the others go on."""
    from segkit.comparison.trainings import train

    failed: Failures = {}
    left = [each for each in trainings if not each.is_finished]
    console.print(
        f"{len(trainings)} trainings of {minutes:g} min, {len(trainings) - len(left)} of them done before",
        highlight=False,
    )
    for number, training in enumerate(left, start=1):
        name, seed = training.setting.name, training.seed
        console.print(f"training {number}/{len(left)}: {name}, seed {seed}", highlight=False, markup=False)
        why = train(training)
        if why is not None:
            failed[name, seed] = why
            console.print(f"  failed: {why}", highlight=False, markup=False)
    return failed


def _score_all(trainings: Sequence[Training], failed: Failures, console: Console) -> dict[tuple[str, int], Scored]:
    """Return what every finished run answers; what was scored before is read, what cannot be scored is noted as failed."""
    from segkit.comparison.scoring import FILE, Scored
    from segkit.comparison.settings import scored_part
    from segkit.errors import SegkitError

    names = list(scored_part(trainings[0].setting.config)[1].names)
    scored: dict[tuple[str, int], Scored] = {}
    for training in trainings:
        name, seed = training.setting.name, training.seed
        if (name, seed) in failed:
            continue
        kept = training.run.path / FILE
        found = Scored.read(kept)
        if found is None or found.names.tolist() != names:  # images have come or gone since
            try:
                found = _score(training, console)
            except SegkitError as problem:
                failed[name, seed] = f"cannot be scored: {problem}"
                continue
            found.write(kept)
        scored[name, seed] = found
    return scored


def _score(training: Training, console: Console) -> Scored:
    from segkit.comparison.scoring import score
    from segkit.comparison.settings import scored_part
    from segkit.system.keras_start import load_keras
    from segkit.system.progress import counting

    load_keras()
    import keras

    from segkit.inference.runtimes.keras import as_predict, load

    keras.backend.clear_session()
    _, part = scored_part(training.setting.config)
    model = load(training.run)
    with counting(f"scoring {training.setting.name}, seed {training.seed}", len(part), console) as done:
        return score(as_predict(model), model.count_params(), training.run, part, done)


def _answers(trainings: Sequence[Training], scored: dict[tuple[str, int], Scored], failed: Failures) -> list[Answers]:
    from segkit.comparison.results import Answers

    settings = dict.fromkeys(training.setting.name for training in trainings)
    tasks = {training.setting.name: training.setting.config.task for training in trainings}
    return [
        Answers(
            name,
            tasks[name],
            {seed: found for (its, seed), found in scored.items() if its == name},
            {seed: why for (its, seed), why in failed.items() if its == name},
        )
        for name in settings
    ]


def _written(options: argparse.Namespace, part: str, answers: Sequence[Answers]) -> dict[str, Any]:
    from segkit.comparison.plot import plot
    from segkit.comparison.report import markdown, verdict
    from segkit.comparison.results import results_of
    from segkit.io.atomic import write_text
    from segkit.io.images import write_picture
    from segkit.run.environment import environment

    results = {"part": part, "minutes": options.minutes, **results_of(answers), "environment": environment()}
    results["verdict"] = verdict(results)
    write_text(options.out / "results.json", json.dumps(results, indent=2) + "\n")
    write_picture(options.out / "plot.png", plot(results))
    write_text(options.out / "table.md", markdown(results))
    return results
