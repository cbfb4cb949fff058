"""Experiment trackers behind one interface: trackio, wandb and MLflow.

trackio has wandb's interface: `init`, `log`, `finish` and `Image`. MLflow has another one, which
`MlflowTracker` adapts. A run has one name in all of them, and a resumed training continues the run
of that name.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from segkit.config import TrainConfig
from segkit.errors import ConfigError

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_ERROR_REPORTING": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}
"""Variables that switch off reports about the use of the packages to servers."""
IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
"""By default MLflow holds the training for minutes when its server does not respond."""
LARGEST_BATCH = 100
"""The largest number of parameters in one request to MLflow."""
LONGEST_PARAMETER = 500
"""The largest number of characters of a parameter that every store of MLflow accepts."""


class Tracker(Protocol):
    """What segkit needs of an experiment tracker. Every method may raise any exception."""

    def init(self, project: str, name: str, config: Mapping[str, Any]) -> None:
        """Begin a run, or continue the run of this name.

        Args:
            project: The project of the run.
            name: The name of the run, which no other run has.
            config: The settings of the training, in nested sections.
        """

    def log(self, values: Mapping[str, float], step: int, pictures: Mapping[str, Path]) -> None:
        """Add values and pictures to the run.

        Args:
            values: Numbers by their names.
            step: Number of the epoch, from 1.
            pictures: PNG files by their names.
        """

    def finish(self, failed: bool) -> None:
        """End the run.

        Args:
            failed: Whether the training ended by an error or an interruption.
        """


class ModuleTracker:
    """A module with the functions `init`, `log` and `finish` and the class `Image`: trackio.

    Args:
        module: The module.
    """

    def __init__(self, module: Any) -> None:
        self.module = module

    def init(self, project: str, name: str, config: Mapping[str, Any]) -> None:
        """Begin or continue a run; see `Tracker`."""
        self.module.init(project=project, name=name, config=dict(config), resume="allow")

    def log(self, values: Mapping[str, float], step: int, pictures: Mapping[str, Path]) -> None:
        """Add values and pictures; see `Tracker`."""
        logged: dict[str, Any] = dict(values)
        for name, path in pictures.items():
            logged[name] = self.module.Image(str(path))
        self.module.log(logged, step=step)

    def finish(self, failed: bool) -> None:
        """End the run; see `Tracker`. trackio does not record that a run failed."""
        self.module.finish()


class WandbTracker(ModuleTracker):
    """wandb, which continues a run by its id and records whether it failed."""

    def init(self, project: str, name: str, config: Mapping[str, Any]) -> None:
        """Begin or continue a run; see `Tracker`."""
        self.module.init(project=project, name=name, id=name, config=dict(config), resume="allow")

    def finish(self, failed: bool) -> None:
        """End the run; see `Tracker`."""
        self.module.finish(exit_code=int(failed))


class MlflowTracker:
    """MLflow, by a client of its own, so that a run that the user has begun is not touched.

    Args:
        module: The module `mlflow`.
    """

    def __init__(self, module: Any) -> None:
        self.entities = importlib.import_module("mlflow.entities")
        self.client = module.MlflowClient()
        self.run_id = ""

    def init(self, project: str, name: str, config: Mapping[str, Any]) -> None:
        """Begin or continue a run; see `Tracker`."""
        experiment = self._experiment(project)
        wanted = f"attributes.run_name = '{name}'"
        found = self.client.search_runs([experiment], filter_string=wanted, max_results=1)
        if found:
            self.run_id = found[0].info.run_id
            self.client.update_run(self.run_id, status="RUNNING")
            return
        self.run_id = self.client.create_run(experiment, run_name=name).info.run_id
        self._log_config(config)

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        return str(self.client.create_experiment(name))

    def _log_config(self, config: Mapping[str, Any]) -> None:
        """Log the settings as parameters, and whole in a file because parameters are cut."""
        self.client.log_dict(self.run_id, dict(config), "config.yaml")
        parameters = []
        for name, value in flat_values(config):
            parameters.append(self.entities.Param(name, str(value)[:LONGEST_PARAMETER]))
        for first in range(0, len(parameters), LARGEST_BATCH):
            batch = parameters[first : first + LARGEST_BATCH]
            self.client.log_batch(self.run_id, params=batch)

    def log(self, values: Mapping[str, float], step: int, pictures: Mapping[str, Path]) -> None:
        """Add values and pictures; see `Tracker`. A picture keeps the name of its file."""
        now = int(1000 * time.time())
        metrics = []
        for name, value in values.items():
            metrics.append(self.entities.Metric(mlflow_name(name), value, now, step))
        for first in range(0, len(metrics), LARGEST_BATCH):
            batch = metrics[first : first + LARGEST_BATCH]
            self.client.log_batch(self.run_id, metrics=batch)
        for name, path in pictures.items():
            self.client.log_artifact(self.run_id, str(path), name)

    def finish(self, failed: bool) -> None:
        """End the run; see `Tracker`."""
        status = "FINISHED"
        if failed:
            status = "FAILED"
        self.client.set_terminated(self.run_id, status)


def flat_values(values: Mapping[str, Any], parent: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the names and values of nested sections.

    Args:
        values: Values and sections by their names.
        parent: Text before each name.

    >>> list(flat_values({"train": {"epochs": 5}, "input": None}))
    [('train.epochs', 5), ('input', None)]
    """
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flat_values(value, f"{parent}{key}.")
        else:
            yield mlflow_name(f"{parent}{key}"), value


def mlflow_name(name: str) -> str:
    """Return a name without characters that MLflow refuses in names.

    >>> mlflow_name("test/dice/cell (large)")
    'test/dice/cell _large_'
    """
    text = "".join(sign if sign.isalnum() or sign in "_-. /" else "_" for sign in name)
    parts = [part for part in text.split("/") if part.strip(".")]
    return "/".join(parts) or "_"


def check_tracker(settings: TrainConfig) -> None:
    """Check that the package of the tracker is installed, without loading it.

    Args:
        settings: Section `train` of the config.

    Raises:
        ConfigError: If it is not.
    """
    tracker = settings.tracker
    if tracker is None:
        return
    found = importlib.util.find_spec(tracker)
    if found is not None and found.origin is not None:  # a mere folder such as wandb/ has no origin
        return
    raise ConfigError(
        f"needs the package {tracker}, which is not installed; run `pip install {tracker}`, or "
        f"leave the setting out",
        "missing-package",
        setting="train.tracker",
    )


def load_tracker(name: str) -> Tracker:
    """Import the package of a tracker.

    Args:
        name: A value of the setting `train.tracker`.
    """
    for variable, value in {**QUIET, **IMPATIENT}.items():
        os.environ.setdefault(variable, value)
    module = importlib.import_module(name)
    if name == "mlflow":
        return MlflowTracker(module)
    if name == "wandb":
        return WandbTracker(module)
    return ModuleTracker(module)
