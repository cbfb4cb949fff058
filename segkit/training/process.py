"""One process of several that train together, and what is checked before Keras is loaded."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from segkit.config import Config
from segkit.errors import ConfigError
from segkit.system.replicas import Replicas, check_backend

_USE_JAX = (
    "and model.fit on several machines fails there (MultiWorkerMirroredStrategy, keras issue 20585). "
    "Use JAX: set KERAS_BACKEND=jax and give each process --coordinator HOST:PORT --process i/n"
)


@dataclass(frozen=True)
class Process:
    """Number `number` (from 1) of `count`; the first one answers at `coordinator`, HOST:PORT."""

    number: int
    count: int
    coordinator: str

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes the run folder."""
        return self.number == 1

    @property
    def name(self) -> str:
        """Such as "process 2 of 4"."""
        return f"process {self.number} of {self.count}"


def parse_process(coordinator: str | None, process: str | None) -> Process | None:
    """Return what `--coordinator HOST:PORT --process i/n` say, None without them. Raises `ConfigError`.

    >>> parse_process("10.0.0.1:7000", "2/4").name
    'process 2 of 4'
    """
    if coordinator is None and process is None:
        return None
    if coordinator is None or process is None:
        given, missing = (
            ("--process", "--coordinator")
            if coordinator is None
            else ("--coordinator", "--process")
        )
        raise ConfigError(
            f"needs {missing} beside it: --coordinator HOST:PORT --process i/n",
            "missing-setting",
            setting=given,
        )
    place = re.fullmatch(r"(\d+)/(\d+)", process)
    if not place or not 1 <= int(place[1]) <= int(place[2]):
        raise ConfigError(
            f"is 1/n to n/n for n processes, as 2/4 for the second of four; found {process}",
            setting="--process",
        )
    address = re.fullmatch(r"\S+:(\d+)", coordinator)
    if not address or not 1 <= int(address[1]) <= 65535:
        raise ConfigError(
            f"is HOST:PORT, the machine of the first process and a port that is free there, the same for all "
            f"processes; found {coordinator}",
            setting="--coordinator",
        )
    return Process(int(place[1]), int(place[2]), coordinator)


def options_of(process: Process | None) -> str:
    """Return the options that `parse_process` reads, with a blank before each; nothing for None."""
    return (
        ""
        if process is None
        else f" --coordinator {process.coordinator} --process {process.number}/{process.count}"
    )


def check_process(process: Process | None, config: Config) -> None:
    """Raise `ConfigError`, before Keras is loaded, if several devices or machines are asked for in a way that cannot work."""
    backend = chosen_backend()
    if process is None:
        check_backend(config.train.devices, backend, config.train.accumulate)
        workers = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {})
        if backend == "tensorflow" and sum(map(len, workers.values())) > 1:
            raise ConfigError(
                f"names several machines, {_USE_JAX}, and unset TF_CONFIG",
                "not-for-backend",
                setting="TF_CONFIG",
            )
        return
    if backend != "jax":
        raise ConfigError(
            f"Keras runs on {backend} here, {_USE_JAX}", "not-for-backend", setting="--coordinator"
        )
    try:
        import jax  # noqa: F401
    except ImportError as problem:
        raise ConfigError(
            'needs JAX; pip install "keras-segkit[jax]"', "missing-package", setting="--coordinator"
        ) from problem
    if config.train.devices != "all":
        Replicas(config.train.devices * process.count).check(config.train.batch_size)


def chosen_backend() -> str:
    """Return the backend that Keras will take, without loading it: KERAS_BACKEND, else Keras' own file, else TensorFlow."""
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"]
    folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        return json.loads((folder / "keras.json").read_text(encoding="utf-8")).get(
            "backend", "tensorflow"
        )
    except (OSError, ValueError):
        return "tensorflow"
