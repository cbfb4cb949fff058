"""Python that a config names: imported, and so run, only for those who say that they trust it."""

from __future__ import annotations

from collections.abc import Iterator

from segkit.config.config import Config
from segkit.config.networks import HUB
from segkit.errors import ConfigError


def check_imports(config: Config) -> None:
    """Raise `ConfigError` if a config that is not trusted names Python to import, a part of one's own."""
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
    """Yield the settings that name Python to import, with the names; presets of KerasHub import nothing but Keras."""
    named = [("data.source", config.data.source), ("model.decoder", config.model.decoder)]
    if not config.model.encoder.startswith(HUB):
        named.append(("model.encoder", config.model.encoder))
    named += [("loss", name) for name in config.loss]
    yield from ((setting, name) for setting, name in named if ":" in name)
