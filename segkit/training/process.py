"""One of several processes that train together, and the checks before Keras is loaded."""

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
    "and model.fit on several machines fails there (MultiWorkerMirroredStrategy, keras issue "
    "20585). Use JAX: set KERAS_BACKEND=jax and pass --coordinator HOST:PORT --process i/n to each "
    "process"
)


@dataclass(frozen=True)
class Process:
    """One of several processes that train together."""

    number: int
    """From 1; the first process writes the run folder."""
    count: int
    """Number of processes."""
    coordinator: str
    """HOST:PORT at which the first process listens."""

    @property
    def leads(self) -> bool:
        """Whether this process writes the run folder."""
        return self.number == 1

    @property
    def name(self) -> str:
        """A name for messages, such as "process 2 of 4"."""
        return f"process {self.number} of {self.count}"


def parse_process(coordinator: str | None, process: str | None) -> Process | None:
    """Read the options `--coordinator HOST:PORT --process i/n`.

    Args:
        coordinator: Address of the first process, HOST:PORT.
        process: Number of this process and number of processes, i/n.

    Returns:
        The process; None without both options.

    Raises:
        ConfigError: If one option is missing, or cannot be read.

    >>> parse_process("10.0.0.1:7000", "2/4").name
    'process 2 of 4'
    """
    if coordinator is None and process is None:
        return None
    if coordinator is None:
        raise _missing("--process", "--coordinator")
    if process is None:
        raise _missing("--coordinator", "--process")
    place = re.fullmatch(r"(\d+)/(\d+)", process)
    if not place or not 1 <= int(place[1]) <= int(place[2]):
        raise ConfigError(
            f"is 1/n to n/n for n processes, as 2/4 for the second of four; found {process}",
            setting="--process",
        )
    address = re.fullmatch(r"\S+:(\d+)", coordinator)
    if not address or not 1 <= int(address[1]) <= 65535:
        raise ConfigError(
            f"is HOST:PORT, the machine of the first process and a free port there, the same for "
            f"all processes; found {coordinator}",
            setting="--coordinator",
        )
    return Process(int(place[1]), int(place[2]), coordinator)


def _missing(option: str, missing: str) -> ConfigError:
    return ConfigError(
        f"needs {missing} beside it: --coordinator HOST:PORT --process i/n",
        "missing-setting",
        setting=option,
    )


def options_of(process: Process | None) -> str:
    """Return the options that `parse_process` reads, with a blank before each; empty for None."""
    if process is None:
        return ""
    return f" --coordinator {process.coordinator} --process {process.number}/{process.count}"


def check_process(process: Process | None, config: Config) -> None:
    """Check, before Keras is loaded, that the backend can train on the config's devices.

    Args:
        process: This process; None if there is only one.
        config: The config of the training.

    Raises:
        ConfigError: If the backend cannot, JAX is missing, or the batch cannot be split evenly.
    """
    backend = chosen_backend()
    if process is None:
        check_backend(config.train.devices, backend, config.train.accumulate)
        if backend == "tensorflow" and _tensorflow_workers() > 1:
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


def _tensorflow_workers() -> int:
    """Return the number of machines' processes that TF_CONFIG names."""
    cluster = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {})
    return sum(len(addresses) for addresses in cluster.values())


def chosen_backend() -> str:
    """Return the backend that Keras will use, without loading Keras.

    The environment variable KERAS_BACKEND comes first, then Keras' file keras.json, then
    TensorFlow.
    """
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"]
    folder = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        settings = json.loads((folder / "keras.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "tensorflow"
    return settings.get("backend", "tensorflow")
