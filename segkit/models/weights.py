"""Files of pretrained weights: found, downloaded and checked without Keras."""

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
from segkit.errors import ConfigError, one_line
from segkit.io.atomic import atomic

SECONDS = 10.0
"""Longest wait for the server; trying all its addresses would take minutes."""
_MD5_DIGITS = 32


def cached(network: networks.Network) -> Path:
    """Return the file of a network's ImageNet weights, in `KERAS_HOME` or ~/.keras."""
    home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    return home / "models" / Path(network.file).name


def check_frozen(settings: ModelConfig) -> None:
    """Check that frozen batch statistics come with pretrained weights.

    Args:
        settings: Section `model` of the config.

    Raises:
        ConfigError: If the statistics would stay 0 and 1 for the whole training.
    """
    # An encoder of the user may bring statistics of its own.
    is_users = ":" in settings.encoder and not networks.has_own_stride(settings.encoder)
    if settings.freeze_statistics and settings.weights == networks.NONE and not is_users:
        raise ConfigError(
            f"keeps the statistics of pretrained weights; without any they would be 0 and 1 for "
            f"the whole training. Set model.weights, or remove this setting; found model.weights: "
            f"{networks.NONE}",
            "contradiction",
            setting="model.freeze_statistics",
        )


def find_weights(
    settings: ModelConfig, message: Callable[[str], None] = lambda line: None
) -> Path | None:
    """Return the file of the pretrained weights that the settings name.

    ImageNet weights are downloaded once. This takes seconds to fail, before Keras is imported.

    Args:
        settings: Section `model` of the config.
        message: Called with a line of text before a download.

    Returns:
        The file; None if the settings name no weights.

    Raises:
        ConfigError: If there is no such file, or it cannot be downloaded, or KerasHub is missing.
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
        return _imagenet(settings.encoder, network, message)
    path = Path(settings.weights)
    if not path.is_file():
        raise ConfigError(
            f"there is no file {path}; name one that Keras saved from "
            f"keras.applications.{network.maker}(include_top=False), {networks.IMAGENET}, or "
            f"{networks.NONE}",
            "missing-file",
            setting="model.weights",
        )
    return path


def _imagenet(encoder: str, network: networks.Network, message: Callable[[str], None]) -> Path:
    target = cached(network)
    address = networks.ADDRESS + network.file
    if target.is_file():
        _check(target, network)
        return target
    message(f"downloading {address}")
    try:
        with atomic(target) as part:
            _download(address, part)
            _check(part, network)
    except OSError as problem:
        reason = one_line(problem)
        raise ConfigError(
            f"imagenet: the weights of {encoder} are not here, and could not be downloaded "
            f"({reason}). Download {address} on another machine and place it as {target}, or name "
            f"the file itself: model.weights: PATH",
            "not-fetched",
            setting="model.weights",
        ) from problem
    return target


def _download(address: str, file: Path) -> None:
    """Write the content of an address into a file. Raises `OSError`, also for a short content."""
    with _open(address) as source, file.open("wb") as stream:
        shutil.copyfileobj(source, stream)
        size = source.headers.get("Content-Length")
        # Python raises no error if a connection ends early.
        if size and stream.tell() != int(size):
            raise OSError(f"{stream.tell():,} of {int(size):,} bytes arrived")


def _open(address: str) -> Any:
    """Return the response of a server. Raises `OSError`, after `SECONDS` at the latest."""
    responses: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def request() -> None:
        try:
            responses.put(urlopen(address, timeout=SECONDS))  # noqa: S310 (the address is a constant)
        except OSError as problem:
            responses.put(problem)

    threading.Thread(target=request, daemon=True).start()
    try:
        response = responses.get(timeout=SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer in {SECONDS:g} s") from None
    if isinstance(response, OSError):
        raise response
    return response


def _check(file: Path, network: networks.Network) -> None:
    """Raise `ConfigError` if the digest of a file is not the one that Keras publishes."""
    if not network.digest:
        return
    kind = "md5" if len(network.digest) == _MD5_DIGITS else "sha256"
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, kind).hexdigest()
    if found != network.digest:
        raise ConfigError(
            f"{file}: not the file that Keras publishes, perhaps cut short ({kind} {found}, not "
            f"{network.digest}); download it again from {networks.ADDRESS}{network.file}",
            "damaged-file",
        )
