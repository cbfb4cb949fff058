"""Scores finished runs with the code of `segkit compare`: a table with intervals, and a plot.

python benchmarks/scored_runs.py OUT NAME=RUN[,RUN...] [NAME=RUN[,RUN...] ...]

Each NAME is a setting, and its runs are trainings that differ in their seeds. All runs need the
same test images and the same foreground classes. `segkit compare` itself gives all trainings the
same time; this is for trainings of equal steps. OUT gets results.json and plot.png.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from segkit.comparison.plot import plot
from segkit.comparison.report import verdict
from segkit.comparison.results import SettingRuns, results_of
from segkit.comparison.scoring import FILE, Scored, score
from segkit.comparison.settings import scored_part
from segkit.inference.runtimes.keras import as_predict, load_model
from segkit.io.images import write_picture
from segkit.run import Run


def scored(run: Run) -> Scored:
    """Return the scores of a run on its test images, from a file of the run if it has them."""
    stored = Scored.read(run.path / FILE)
    if stored is not None:
        return stored
    import keras

    keras.backend.clear_session()
    model = load_model(run)
    _, part = scored_part(run.config_made_with())
    found = score(as_predict(model), model.count_params(), run, part)
    found.write(run.path / FILE)
    return found


def compare_runs(settings: dict[str, Sequence[Path]]) -> dict[str, Any]:
    """Return the content of results.json.

    Args:
        settings: The folders of the runs of each setting, in the order of their seeds.

    Raises:
        SystemExit: If the runs were scored on different images.
    """
    compared = []
    images: list[str] = []
    for name, folders in settings.items():
        runs = {seed: scored(Run(folder)) for seed, folder in enumerate(folders)}
        for found in runs.values():
            images = images or found.names.tolist()
            if found.names.tolist() != images:
                raise SystemExit(f"{name}: scored on other images than the first run")
        task = Run(folders[0]).config_made_with().task
        compared.append(SettingRuns(name, task, runs, {}))
    return results_of(compared)


def table_of(results: dict[str, Any]) -> Table:
    """Return a row per setting: Dice, that of each seed, and how far it is behind the best."""
    behind = {pair["other"]: pair for pair in results["comparisons"]}
    table = Table(box=box.MARKDOWN)
    for heading in ("setting", "foreground Dice", "by seed", "behind the best"):
        table.add_column(heading)
    for row in results["settings"]:
        name = row["name"]
        seeds = ", ".join(f"{value:.3f}" for value in row["dice_foreground"]["by_seed"])
        difference = "-"
        if name in behind:
            difference = with_interval(behind[name], "difference")
        table.add_row(name, with_interval(row["dice_foreground"], "value"), seeds, difference)
    return table


def with_interval(score: dict[str, float], key: str) -> str:
    """Return a score with its interval."""
    return f"{score[key]:.3f} ({score['low']:.3f} to {score['high']:.3f})"


def main() -> None:
    """Score the runs, and write and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("settings", nargs="+", metavar="NAME=RUN[,RUN...]")
    options = parser.parse_args()
    settings = {}
    for text in options.settings:
        name, _, folders = text.partition("=")
        settings[name] = [Path(folder) for folder in folders.split(",")]
    results = compare_runs(settings)
    options.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, indent=2) + "\n"
    (options.out / "results.json").write_text(text, encoding="utf-8")
    write_picture(options.out / "plot.png", plot(results))
    Console(width=120).print(table_of(results))
    print(verdict(results))


if __name__ == "__main__":
    main()
