"""The run folder: all files that prediction needs, and a record of the training."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from segkit.config import Config, RunConfig, read_made
from segkit.config.comments import with_comments
from segkit.config.reading import AnyConfig, as_line
from segkit.errors import RunError
from segkit.io.atomic import remove_leftovers, write_text
from segkit.io.files import make_folder
from segkit.io.json_files import read_object
from segkit.io.locks import lock_or_fail
from segkit.run import tuned
from segkit.run.checkpoint import Checkpoints, Position
from segkit.run.environment import environment

Row = dict[str, float]
"""A row of history.csv: the values of one epoch by their names."""


class Run:
    """The folder of one training.

    | file | content |
    |---|---|
    | config.yaml | the config, with the statistics of the training images |
    | model.keras | the model of the best epoch: image to probabilities |
    | last.keras | the model of the last epoch |
    | history.csv, curves.png | losses and scores of each epoch, and their curves |
    | scores.json | scores of the best epoch |
    | scores.csv | scores of the best epoch on each image |
    | report.html | the report: scores, curves, pictures of the worst images, settings |
    | data.json | facts of the data, as `segkit inspect --json` writes them |
    | image_counts.npz | pixel counts of each image, in the folds of a cross-validation |
    | README.md | the model card: intended use, data, scores and limits |
    | environment.json, precision.json | versions and machine, the choice of the precision |
    | pictures/, tensorboard/ | pictures of validation images, the history for TensorBoard |
    | tracker.json | the name of the run in the experiment tracker |
    | checkpoints/ | the state of the training, from which it resumes |
    | cache/ | decoded samples, during training and only if `data.cache` says so |
    | tuned.yaml | settings for decoding that `segkit tune` chose |

    Args:
        path: The folder. It need not exist.
    """

    keeps_models = True
    """Whether this process writes models and checkpoints."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / "config.yaml"
        self.tuned = path / "tuned.yaml"
        self.model = path / "model.keras"
        self.last = path / "last.keras"
        self.history = path / "history.csv"
        self.curves = path / "curves.png"
        self.scores = path / "scores.json"
        self.image_scores = path / "scores.csv"
        self.report_page = path / "report.html"
        self.data = path / "data.json"
        self.image_counts = path / "image_counts.npz"
        self.card = path / "README.md"
        self.environment = path / "environment.json"
        self.precision = path / "precision.json"
        self.pictures = path / "pictures"
        self.tensorboard = path / "tensorboard"
        self.tracker = path / "tracker.json"
        self.checkpoints = Checkpoints(path / "checkpoints")
        self.fitted = path / "checkpoints" / "fitted"
        """A file that marks the end of a time budget, which a resumed run could not see from its
        clock."""
        self.cache = path / "cache"
        self.lock = path / ".lock"

    @classmethod
    def open(cls, path: Path) -> Run:
        """Return the run in a folder with a model.

        Args:
            path: The folder.

        Raises:
            RunError: If the folder holds no run, or if the run has no model yet.
        """
        run = cls(path)
        if not run.config_file.is_file():
            raise RunError(
                f"{path}: is not a run folder, because it has no config.yaml. Name a folder that "
                f"segkit train made",
                "not-a-run",
            )
        if not run.model.is_file():
            raise RunError(
                f"{path}: has no model.keras yet, because its training has not finished an epoch",
                "no-model",
            )
        return run

    def config(self, trust: bool = False) -> RunConfig:
        """Return the config for prediction, which includes the settings that `segkit tune` chose.

        Args:
            trust: Whether Python code that the section `data` names may be imported.

        Raises:
            RunError: If the statistics of the training images are missing, or if tuned.yaml is
                damaged.
        """
        return tuned.merged(self.config_made_with(trust), self.tuned)

    def config_made_with(self, trust: bool = False) -> RunConfig:
        """Return the config of the training, without the settings that `segkit tune` chose.

        Args:
            trust: Whether Python code that the section `data` names may be imported.

        Raises:
            RunError: If the statistics of the training images are missing.
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
        """Return the content of scores.json; None if the file does not exist.

        Raises:
            RunError: If the file is damaged.
        """
        if not self.scores.is_file():
            return None
        return self.scored()

    def scored(self) -> dict[str, Any]:
        """Return the content of scores.json.

        Raises:
            RunError: If the file is missing or damaged.
        """
        advice = "remove it, and score the run again with --resume"
        return read_object(self.scores, ("images", "classes", "mean"), advice)

    def require_empty(self) -> None:
        """Check that a new run can be made in the folder.

        Incomplete files that a killed process left are removed.

        Raises:
            RunError: If the folder is not empty.
        """
        remove_leftovers(self.path, below=False)
        if not self.path.exists():
            return
        if self.path.is_dir() and all(path == self.lock for path in self.path.iterdir()):
            return
        raise RunError(
            f"{self.path}: is not empty, and a run is never overwritten. Choose another folder "
            f"with --run, or continue the run in this folder with --resume",
            "exists-already",
        )

    @contextmanager
    def training(self) -> Iterator[None]:
        """Lock the folder while this process trains into it.

        Folders that this makes and that are still empty at the end are removed.

        Raises:
            RunError: If another process trains into the folder.
        """
        new_folders = []
        for folder in (self.path, *self.path.parents):
            if folder.exists():
                break
            new_folders.append(folder)
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with lock_or_fail(self.lock, f"trains into {self.path}"):
                yield
        finally:
            with suppress(OSError):  # the first folder that is not empty ends the loop
                for folder in new_folders:
                    folder.rmdir()

    def check_not_removed(self) -> None:
        """Check that the folder exists; writing to a removed one would make a run without a config.

        Raises:
            RunError: If it was removed during training.
        """
        if self.keeps_models and not self.config_file.is_file():
            raise RunError(
                f"{self.config_file}: was removed during training. Start the training again",
                "missing-file",
            )

    def create(self, config: RunConfig, comments: Mapping[str, str] | None = None) -> None:
        """Write the first files of a new run.

        Args:
            config: The config of the run.
            comments: Comments on its settings, from `segkit.config.comments.read_comments`.

        Raises:
            RunError: If the folder is not empty.
        """
        self.require_empty()
        make_folder(self.path)
        write_text(self.config_file, with_comments(config.as_yaml(), comments or {}))
        write_text(self.environment, json.dumps(environment(), indent=2) + "\n")

    def reopen(self, config: Config) -> None:
        """Prepare the run in the folder to be resumed.

        Args:
            config: The config of the resumed training.

        Raises:
            RunError: If there is no run, if it was made with another config, or if its checkpoints
                are damaged.
        """
        if not self.config_file.is_file():
            raise RunError(
                f"{self.path}: has no run to resume. Start a new one without --resume",
                "not-a-run",
            )
        self.check_made_with(config)
        self.checkpoints.recover()
        remove_leftovers(self.path)

    def check_made_with(self, config: Config) -> None:
        """Check that the run was made with a config, except for settings that change no weight.

        Args:
            config: The config.

        Raises:
            RunError: If another setting differs.
        """
        old = self.config_made_with().model_dump(mode="json")
        new = self.with_its_copies(config).model_dump(mode="json")
        differences = _differences(old, new)
        if differences:
            raise RunError(
                f"{self.path}: was started with other settings, which would mix two runs: "
                f"{'; '.join(differences)}. Resume with the same config and --set, or start a "
                f"new run",
                "mismatch",
            )

    def with_its_copies(self, config: AnyConfig) -> AnyConfig:
        """Return the config with the copies that the training of this run kept in one part.

        They are added only after those that the config lists in `data.keep_together` itself.

        Args:
            config: A config, such as the one that the run was started with.

        Raises:
            RunError: If the statistics of the training images are missing.
        """
        together = self.config_made_with().data.keep_together
        listed = config.data.keep_together
        if together[: len(listed)] != listed:
            return config
        data = config.data.model_copy(update={"keep_together": together})
        return config.model_copy(update={"data": data})

    def picture(self, epoch: int) -> Path:
        """Return the file of the pictures after an epoch.

        Args:
            epoch: Number of the epoch, from 1.
        """
        return self.pictures / f"epoch_{epoch:04d}.png"

    def saved(self) -> Position:
        """Return the position of the latest checkpoint; the beginning if there is none."""
        return self.checkpoints.position()

    def rows(self) -> list[Row]:
        """Return the history, one row per epoch.

        An incomplete row, which a killed process leaves, is left out.

        Raises:
            RunError: If the file is damaged.
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
                f"{self.history}: was not written by a training, or is damaged ({problem}). Start "
                f"a new run",
                "damaged-file",
            ) from problem
        return rows

    def cut_history(self, epochs: int) -> list[Row]:
        """Remove the rows of later epochs from the history.

        Args:
            epochs: The number of epochs to keep.

        Returns:
            The remaining rows.

        Raises:
            RunError: If the file is damaged.
        """
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
    """Return a row of the history as numbers; NA, which means no validation, becomes NaN."""
    numbers = {}
    for key, value in row.items():
        numbers[key] = math.nan if value == "NA" else float(value)
    return numbers


_FREE = (
    "input",
    "mask_files",
    "task.sets",  # they follow from the section `data` and from the data
    "data.cache",
    "data.cache_folder",
    "data.download",
    "data.pixel_size",
    "data.pixel_unit",
    "predict.skip_glass",
    "train.devices",
    "train.checkpoint_minutes",
    "train.pictures",
    "train.tensorboard",
    "train.tracker",
    "train.tracker_project",
)
"""Settings that change no weight, so that a resumed training may change them."""
_FILLED_IN = ("data.axis",)
"""Settings that training finds out where the config leaves them open."""


def _differences(old: dict[str, Any], new: dict[str, Any], parent: str = "") -> list[str]:
    """Return "setting: old -> new" for each setting that differs and may not be changed."""
    differences = []
    for key in {**old, **new}:
        name = f"{parent}{key}"
        before = old.get(key)
        after = new.get(key)
        if name in _FREE or before == after:
            continue
        if name in _FILLED_IN and after is None:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            differences += _differences(before, after, f"{name}.")
        else:
            differences.append(f"{name}: {as_line(before)} -> {as_line(after)}")
    return differences
