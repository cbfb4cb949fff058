"""The command `segkit compare`. Keras is imported in the processes that train, and here once there is a run to score."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from segkit.compare.results import Answers
    from segkit.compare.scoring import Scored
    from segkit.compare.trainings import Training

Failures = dict[tuple[str, int], str]


def add_compare(parser: argparse.ArgumentParser) -> None:
    """The arguments of `segkit compare`."""
    parser.add_argument("config", type=Path, metavar="CONFIG", help="a YAML file, such as configs/shapes.yaml")
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="a.b=x,y",
        help="values of a setting to compare, e.g. model.encoder=plain,residual; repeated: every combination",
    )
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        type=Path,
        metavar="CONFIG",
        help="one more config to compare; repeatable",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="a.b=c", help="change a setting for all; repeatable"
    )
    parser.add_argument("--minutes", type=float, required=True, metavar="M", help="time of each training")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="trainings of each setting (default: 3)")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="a new folder for trainings, table and plot; or one that the same command has begun, to go on with "
        "(default: runs/compare-CONFIG)",
    )
    parser.set_defaults(run_command=_compare)


def _compare(options: argparse.Namespace) -> int:
    from rich.console import Console

    from segkit.compare.settings import check_same_masks, settings_of
    from segkit.compare.trainings import begun, in_turn
    from segkit.errors import ConfigError

    if options.seeds < 1:
        raise ConfigError(f"--seeds: a whole number from 1 on; found {options.seeds}")
    options.out = options.out or Path("runs", f"compare-{options.config.stem}")
    console = Console(soft_wrap=not sys.stdout.isatty())
    settings = settings_of(options.config, options.vary, options.also, options.set, options.minutes)
    part = check_same_masks(settings)
    trainings = in_turn(options.out, settings, options.seeds)
    with begun(options.out, settings, options.seeds):
        failed = _train_all(trainings, options.minutes, console)
        scored = _score_all(trainings, failed, console)
        results = _written(options, part, _answers(trainings, scored, failed))
    console.print(f"\n{(options.out / 'table.md').read_text(encoding='utf-8')}", highlight=False, markup=False)
    console.print(f"table.md, results.json and plot.png are in {options.out}", highlight=False)
    for (name, seed), why in failed.items():
        print(f"failed: {name}, seed {seed}: {why}", file=sys.stderr)
    return 1 if any(row["failed"] for row in results["settings"]) else 0


def _train_all(trainings: Sequence[Training], minutes: float, console: Console) -> Failures:
    """Train what is not finished yet; return what failed, the others go on."""
    from segkit.compare.trainings import train

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
    from segkit.compare.scoring import FILE, Scored
    from segkit.compare.settings import scored_part
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
    from segkit.compare.scoring import score
    from segkit.compare.settings import scored_part
    from segkit.devices import load_keras
    from segkit.progress import counting

    load_keras()
    import keras

    from segkit.runtimes.keras import as_predict, load

    keras.backend.clear_session()
    _, part = scored_part(training.setting.config)
    model = load(training.run)
    with counting(f"scoring {training.setting.name}, seed {training.seed}", len(part), console) as done:
        return score(as_predict(model), model.count_params(), training.run, part, done)


def _answers(trainings: Sequence[Training], scored: dict[tuple[str, int], Scored], failed: Failures) -> list[Answers]:
    from segkit.compare.results import Answers

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
    from segkit.compare.plot import plot
    from segkit.compare.results import results_of
    from segkit.compare.words import markdown, verdict
    from segkit.files import write_picture
    from segkit.run import environment, write_text

    results = {"part": part, "minutes": options.minutes, **results_of(answers), "environment": environment()}
    results["verdict"] = verdict(results)
    write_text(options.out / "results.json", json.dumps(results, indent=2) + "\n")
    write_picture(options.out / "plot.png", plot(results))
    write_text(options.out / "table.md", markdown(results))
    return results
