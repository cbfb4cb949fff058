"""Python that a config names: imported, and so run, only for those who say that they trust it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from segkit.config.config import Config
from segkit.config.networks import HUB
from segkit.errors import ConfigError


def check_imports(config: Config) -> None:
    """Raise `ConfigError` if a config that is not trusted names Python to import: a part of one's own, or a preset's file."""
    if config.data.trust:
        return
    for setting, name in _imported(config):
        raise untrusted(setting, name)


def untrusted(setting: str, name: str) -> ConfigError:
    """Return the error that something names Python to import and is not trusted."""
    return ConfigError(
        f"{name} names Python that would be imported, and so run. If you trust whoever wrote it, say --trust (in Python "
        f"data.trust, or trust=True where a file is read)",
        "untrusted",
        setting=setting,
    )


def names_imports(config: Config) -> bool:
    """Return whether a config names Python to import, or was trusted to."""
    return config.data.trust or any(_imported(config))


def _imported(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the settings that name Python to import, with the names."""
    if ":" in config.data.source:
        yield "data.source", config.data.source
    encoder = config.model.encoder
    if encoder.startswith(HUB):
        preset = encoder.removeprefix(HUB)
        if _may_hold_code(preset):
            yield "model.encoder", encoder
    elif ":" in encoder:
        yield "model.encoder", encoder
    if ":" in config.model.decoder:
        yield "model.decoder", config.model.decoder
    for name in config.loss:
        if ":" in name:
            yield "loss", name


def _may_hold_code(preset: str) -> bool:
    """A preset in a folder, or of a user of a hub, names the classes that Keras imports for it."""
    return "/" in preset or os.sep in preset or ":" in preset or Path(preset).exists()
