"""Python code that a config names is imported, and so run, only if the user trusts it."""

from __future__ import annotations

from collections.abc import Iterator

from segkit.config.config import Config
from segkit.config.data import DataConfig
from segkit.config.data_sets import set_configs
from segkit.config.networks import HUB
from segkit.config.soft_labels import annotator_configs
from segkit.errors import ConfigError


def check_imports(config: Config) -> None:
    """Check that a config without `data.trust` names no Python code.

    Args:
        config: The config.

    Raises:
        ConfigError: If it names Python code that would be imported.
    """
    if config.data.trust:
        return
    for setting, name in _named_code(config):
        raise untrusted(setting, name)


def untrusted(setting: str, name: str) -> ConfigError:
    """Return the error for Python code that would be imported without trust.

    Args:
        setting: The setting that names the code.
        name: Its value.
    """
    return ConfigError(
        f"{name} is Python code that would be imported, and so run. If you trust its author, add "
        f"--trust to the command (in Python data.trust, or trust=True where a file is read)",
        "untrusted",
        setting=setting,
    )


def names_imports(config: Config) -> bool:
    """Return whether a config names Python code to import, or is trusted to name some."""
    return config.data.trust or any(_named_code(config))


def _named_code(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the settings that name Python code, each with its value.

    A preset of KerasHub is not code, although its name contains a colon.
    """
    named = [("data.source", config.data.source), ("model.decoder", config.model.decoder)]
    for name, section in set_configs(config.data).items():
        named.append((f"data.sets.{name}.source", section.source))
        named += _of_annotators(section, f"data.sets.{name}.annotators")
    named += _of_annotators(config.data, "data.annotators")
    if not config.model.encoder.startswith(HUB):
        named.append(("model.encoder", config.model.encoder))
    named += [("loss", name) for name in config.loss]
    for setting, name in named:
        if ":" in name:
            yield setting, name


def _of_annotators(data: DataConfig, setting: str) -> list[tuple[str, str]]:
    """Return the setting and the source of each annotator."""
    return [(f"{setting}.{name}.source", x.source) for name, x in annotator_configs(data).items()]
