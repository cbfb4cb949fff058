"""A run folder: all that prediction needs, and all that tells how it came about."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from segkit.config import Config, RunConfig, read_made
from segkit.config.reading import as_line
from segkit.errors import RunError
from segkit.io.atomic import remove_leftovers, write_text
from segkit.io.files import make_folder
from segkit.io.json_files import read_object
from segkit.io.locks import lock_or_fail
from segkit.run import tuned
from segkit.run.checkpoint import Checkpoints, Position
from segkit.run.environment import environment

Row = dict[str, float]


class Run:
    """The files of one training.

    config.yaml (with the task, and what the images were), model.keras (the best epoch, image -> probabilities),
    last.keras (the last one), history.csv, scores.json, environment.json, pictures/, tensorboard/, checkpoints/ to
    resume from, while it trains cache/ with decoded samples if `data.cache` says so, and tuned.yaml once `segkit tune`
    has found better settings for decoding.
    """

    keeps_models = True

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / "config.yaml"
        self.tuned = path / "tuned.yaml"
        self.model = path / "model.keras"
        self.last = path / "last.keras"
        self.history = path / "history.csv"
        self.scores = path / "scores.json"
        self.environment = path / "environment.json"
        self.precision = path / "precision.json"
        self.pictures = path / "pictures"
        self.tensorboard = path / "tensorboard"
        self.checkpoints = Checkpoints(path / "checkpoints")
        self.fitted = path / "checkpoints" / "fitted"
        """A file that says that the minutes of the training are over: the clock of a resumed run would not know."""
        self.cache = path / "cache"
        self.lock = path / ".lock"

    @classmethod
    def open(cls, path: Path) -> Run:
        """Return the run in a folder, ready to predict. Raises `RunError` if there is none, or no model yet."""
        run = cls(path)
        if not run.config_file.is_file():
            raise RunError(
                f"{path}: not a run folder (no config.yaml); give the folder that segkit train made",
                "not-a-run",
            )
        if not run.model.is_file():
            raise RunError(
                f"{path}: has no model.keras yet; its training has not finished an epoch",
                "no-model",
            )
        return run

    def config(self, trust: bool = False) -> RunConfig:
        """Return the config that the run predicts with: the one it was made with, and what `segkit tune` found."""
        return tuned.merged(self.config_made_with(trust), self.tuned)

    def config_made_with(self, trust: bool = False) -> RunConfig:
        """Return the config that the run was made with, without what `segkit tune` found.

        `trust` says whether Python that its data section names may be imported to open the data. Raises `RunError` if it
        does not say what the training images were.
        """
        config = read_made(self.config_file)
        if config.input is None:
            raise RunError(
                f"{self.config_file}: has no `input` section, so it was not written by a training",
                "missing-setting",
            )
        data = config.data.model_copy(update={"trust": trust})
        return config.model_copy(update={"data": data}).with_input(config.input)

    def report(self) -> dict[str, Any] | None:
        """Return scores.json: the scores of the best epoch; None where nothing was scored."""
        if not self.scores.is_file():
            return None
        return self.scored()

    def scored(self) -> dict[str, Any]:
        """Return scores.json. Raises `RunError` if it is missing or damaged."""
        advice = "remove it, and score the run again with --resume"
        return read_object(self.scores, ("images", "classes", "mean"), advice)

    def require_empty(self) -> None:
        """Raise `RunError` if the folder holds anything but what a killed process left half written."""
        remove_leftovers(self.path, below=False)
        if self.path.exists() and (
            not self.path.is_dir() or any(path != self.lock for path in self.path.iterdir())
        ):
            raise RunError(
                f"{self.path}: is not empty, and a run is never overwritten. Choose another folder with --run, or go on "
                f"with the run that is there with --resume",
                "exists-already",
            )

    @contextmanager
    def training(self) -> Iterator[None]:
        """Hold the folder while one process trains into it.

        A new folder in which nothing was begun is removed at the end, and so are folders that were made for it.
        Raises `RunError` if another process trains into it.
        """
        made = []
        for folder in (self.path, *self.path.parents):
            if folder.exists():
                break
            made.append(folder)
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with lock_or_fail(self.lock, f"trains into {self.path}"):
                yield
        finally:
            with suppress(OSError):  # one of them is not empty
                for folder in made:
                    folder.rmdir()

    def check_not_removed(self) -> None:
        """Raise `RunError` if the folder was removed: to write into it would make a run without a config."""
        if self.keeps_models and not self.config_file.is_file():
            raise RunError(
                f"{self.config_file}: was removed while the run trains; begin the training again",
                "missing-file",
            )

    def create(self, config: RunConfig) -> None:
        """Begin a new run in a free folder."""
        self.require_empty()
        make_folder(self.path)
        write_text(self.config_file, config.as_yaml())
        write_text(self.environment, json.dumps(environment(), indent=2) + "\n")

    def reopen(self, config: Config) -> None:
        """Check that the folder's run was made with this config. Raises `RunError` naming what differs."""
        if not self.config_file.is_file():
            raise RunError(
                f"{self.path}: holds no run to resume; leave --resume out to begin one",
                "not-a-run",
            )
        self.check_made_with(config)
        self.checkpoints.recover()
        remove_leftovers(self.path)

    def check_made_with(self, config: Config) -> None:
        """Raise `RunError` naming what differs, unless the folder's run was made with this config."""
        differences = _differences(
            self.config_made_with().model_dump(mode="json"), config.model_dump(mode="json")
        )
        if differences:
            raise RunError(
                f"{self.path}: was begun with other settings, so going on would mix two runs: {'; '.join(differences)}. "
                f"Resume with the same config and --set, or begin a new run",
                "mismatch",
            )

    def saved(self) -> Position:
        """Return where the last checkpoint stands."""
        return self.checkpoints.position()

    def rows(self) -> list[Row]:
        """Return the history, one row an epoch; a row that a kill cut short is left out.

        Raises `RunError` if the file is damaged.
        """
        if not self.history.is_file():
            return []
        try:
            with self.history.open(newline="", encoding="utf-8") as stream:
                table = list(csv.DictReader(stream))
            rows = [_numbers(row) for row in table if all(row.values()) and None not in row]
            for row in rows:
                int(row["epoch"])
        except (ValueError, OverflowError, KeyError, csv.Error) as problem:
            raise RunError(
                f"{self.history}: not a history that a training wrote, or damaged ({problem}); begin a new run",
                "damaged-file",
            ) from problem
        return rows

    def cut_history(self, epochs: int) -> list[Row]:
        """Keep the first `epochs` rows of the history, and return them."""
        rows = self.rows()[:epochs]
        if self.history.is_file():
            text = io.StringIO()
            if rows:
                writer = csv.DictWriter(text, list(rows[0]))
                writer.writeheader()
                writer.writerows([{**row, "epoch": int(row["epoch"])} for row in rows])
            write_text(self.history, text.getvalue())
        return rows


def _numbers(row: dict[str, str]) -> Row:
    """Return a row of the history as numbers; NA stands where there is no validation."""
    return {key: float("nan" if value == "NA" else value) for key, value in row.items()}


_FREE = (
    "input",
    "mask_files",
    "data.cache",
    "data.cache_folder",
    "data.download",
    "train.devices",
    "train.checkpoint_minutes",
    "train.pictures",
    "train.tensorboard",
)
"""Settings that change no weight: what is measured, kept, or drawn beside, and what computes."""


def _differences(old: dict[str, Any], new: dict[str, Any], where: str = "") -> list[str]:
    """Return "setting: old -> new" of what differs and makes another run."""
    found = []
    for key in {**old, **new}:
        before, after, name = old.get(key), new.get(key), f"{where}{key}"
        if name in _FREE or before == after:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            found += _differences(before, after, f"{name}.")
        else:
            found.append(f"{name}: {as_line(before)} -> {as_line(after)}")
    return found
