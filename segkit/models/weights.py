"""Files of weights that were trained before: found, fetched and checked without Keras."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import queue
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from segkit.config import ModelConfig, networks
from segkit.errors import ConfigError
from segkit.io.atomic import atomic

SECONDS = 10.0
"""How long an answer of the server is waited for; trying all its addresses would take minutes."""


def cached(network: networks.Network) -> Path:
    """Return where Keras, and segkit, keep a network's ImageNet weights: in `KERAS_HOME`, else ~/.keras."""
    home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    return home / "models" / Path(network.file).name


def check_frozen(settings: ModelConfig) -> None:
    """Raise `ConfigError` if a training would freeze statistics that come with no weights."""
    own = ":" in settings.encoder and not networks.has_own_stride(
        settings.encoder
    )  # it may bring some itself
    if settings.freeze_statistics and settings.weights == networks.NONE and not own:
        raise ConfigError(
            f"holds the statistics that came with weights, and without any they are 0 and 1 for "
            f"the whole training; set model.weights, or leave it out; found model.weights: "
            f"{networks.NONE}",
            "contradiction",
            setting="model.freeze_statistics",
        )


def find_weights(
    settings: ModelConfig, say: Callable[[str], None] = lambda line: None
) -> Path | None:
    """Return the file of weights that the settings name, None if they name none; ImageNet's are fetched once.

    Raises `ConfigError` if there is no such file, or it can neither be found nor fetched: within seconds, and before
    anything slow is imported.
    """
    if settings.encoder.startswith(networks.HUB) and importlib.util.find_spec("keras_hub") is None:
        raise ConfigError(
            f'{settings.encoder}: run `pip install "keras-segkit[kerashub]"`',
            "missing-package",
            setting="model.encoder",
        )
    network = networks.NETWORKS.get(settings.encoder)
    if network is None or settings.weights == networks.NONE:
        return None
    if settings.weights == networks.IMAGENET:
        return _imagenet(settings.encoder, network, say)
    path = Path(settings.weights)
    if not path.is_file():
        raise ConfigError(
            f"there is no file {path}; give one that Keras saved from "
            f"keras.applications.{network.maker}(include_top=False), {networks.IMAGENET}, or "
            f"{networks.NONE}",
            "missing-file",
            setting="model.weights",
        )
    return path


def _imagenet(encoder: str, network: networks.Network, say: Callable[[str], None]) -> Path:
    target, address = cached(network), networks.ADDRESS + network.file
    if target.is_file():
        _check(target, network)
        return target
    say(f"fetching {address}")
    try:
        with atomic(target) as part, _open(address) as source, part.open("wb") as stream:
            shutil.copyfileobj(source, stream)
            told = source.headers.get("Content-Length")
            if told and stream.tell() != int(
                told
            ):  # a connection that ends early is no error to Python
                raise OSError(f"{stream.tell():,} of {int(told):,} bytes arrived")
            stream.flush()
            _check(part, network)
    except OSError as problem:
        raise ConfigError(
            f"imagenet: the weights of {encoder} are not here, and could not be fetched "
            f"({problem}). Get {address} on a machine that can, and place it as {target}, or name "
            f"the file itself: model.weights: PATH",
            "not-fetched",
            setting="model.weights",
        ) from problem
    return target


def _open(address: str) -> Any:
    """Return what a server answers. Raises `OSError`, after `SECONDS` at the latest."""
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(urlopen(address, timeout=SECONDS))  # noqa: S310 (the address is ours)
        except OSError as problem:
            answers.put(problem)

    threading.Thread(target=ask, daemon=True).start()
    try:
        found = answers.get(timeout=SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer in {SECONDS:g} s") from None
    if isinstance(found, OSError):
        raise found
    return found


def _check(file: Path, network: networks.Network) -> None:
    """Raise `ConfigError` if a file is not the one that Keras knows."""
    if not network.digest:
        return
    kind = "md5" if len(network.digest) == 32 else "sha256"
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, kind).hexdigest()
    if found != network.digest:
        raise ConfigError(
            f"{file}: not the file that Keras knows, perhaps cut short ({kind} {found}, not {network.digest}); fetch it "
            f"again from {networks.ADDRESS}{network.file}",
            "damaged-file",
        )
