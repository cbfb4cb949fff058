"""Reads configs from YAML files and dictionaries, and overrides single settings."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from segkit.config.config import Config
from segkit.config.data import PATH_SETTINGS
from segkit.config.soft_labels import by_name
from segkit.config.trust import check_imports
from segkit.errors import ConfigError
from segkit.io.yaml_text import parse_yaml, read_yaml
from segkit.task.readable import describe_validation_error


def as_line(value: Any) -> str:
    """Return a value of a setting as YAML on one line.

    >>> as_line([1, None, "é"])
    '[1, null, é]'
    """
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.splitlines()[0]


ConfigLike = Config | Mapping[str, Any] | str | PathLike[str]
"""A config, a dictionary of its sections, or the path of a YAML file."""
AnyConfig = TypeVar("AnyConfig", bound=Config)


def as_config(config: ConfigLike, overrides: Sequence[str] = (), *, trust: bool = False) -> Config:
    """Return a config.

    Args:
        config: A config, a dictionary of its sections, or the path of a YAML file.
        overrides: Changes of single settings, such as "train.epochs=5". The value is YAML.
        trust: Whether Python code that a file names may be imported.

    Raises:
        ConfigError: If a file cannot be read, or if a setting is wrong.
    """
    if isinstance(config, Config):
        if overrides:
            return changed(config, overrides)
        return config
    if isinstance(config, Mapping):
        return _validated(copy.deepcopy(dict(config)), overrides, "config")
    if isinstance(config, str | PathLike):
        return read(config, overrides, trust=trust)
    raise ConfigError(
        f"must be a segkit.Config, a dictionary or a path; found {type(config).__name__}",
        setting="config",
    )


def read(
    path: str | PathLike[str], overrides: Sequence[str] = (), *, trust: bool = False
) -> Config:
    """Return the config in a YAML file.

    Args:
        path: The file, in UTF-8.
        overrides: Changes of single settings, such as "train.epochs=5". The value is YAML.
        trust: Whether Python code that the file names ("module:attribute") may be imported.

    Raises:
        ConfigError: If the file cannot be read, or if a setting is wrong. The code is "untrusted"
            if the file names Python code and `trust` is false.
    """
    path = Path(path)
    config = read_made(path, overrides)
    if trust:
        return config.model_copy(update={"data": config.data.model_copy(update={"trust": True})})
    try:
        check_imports(config)
    except ConfigError as problem:
        raise problem.with_message(f"{path}: {problem}") from problem
    return config


def read_made(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Return the config in a YAML file without checking whether it names Python code.

    The config is not trusted. Use this only where nothing that it names is imported.

    Args:
        path: The file, in UTF-8.
        overrides: Changes of single settings, such as "train.epochs=5". The value is YAML.

    Raises:
        ConfigError: If the file cannot be read, or if a setting is wrong.
    """
    values = read_yaml(path)
    data = values.get("data") if isinstance(values, dict) else None
    if isinstance(data, dict) and "trust" in data:
        raise ConfigError(
            f"{path}: cannot be set in a file; add --trust to the command",
            "unknown-setting",
            setting="data.trust",
        )
    if isinstance(data, dict) and data.get("relative_to") == "config":
        folder = path.absolute().parent
        values = {**values, "data": _anchored(data, folder)}
        if isinstance(values.get("train"), dict):
            values["train"] = _anchored(values["train"], folder)
    return _validated(values, overrides, str(path))


def _anchored(section: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the section `data`, or a part in it, with relative paths that start at a folder."""
    anchored: dict[str, Any] = {}
    for key, value in section.items():
        if key == "annotators":
            with suppress(ValueError):  # the check of the config reports it
                value = by_name(value)
        if isinstance(value, Mapping):
            anchored[key] = _anchored(value, folder)
        elif key in PATH_SETTINGS and isinstance(value, str):
            anchored[key] = os.path.normpath(folder / Path(value).expanduser())
        else:
            anchored[key] = value
    return anchored


def changed(config: AnyConfig, overrides: Sequence[str]) -> AnyConfig:
    """Return a config with other settings.

    Args:
        config: The config.
        overrides: Changes of single settings, such as "data.mask_threshold=128". The value is YAML.

    Raises:
        ConfigError: If a setting is unknown or wrong.
    """
    values = config.model_dump(mode="json")
    try:
        for override in overrides:
            _override(values, override)
        values["data"].setdefault("trust", config.data.trust)
        return type(config).model_validate(values)
    except ValidationError as problem:
        described = describe_validation_error(problem, Config)
        raise described.with_message(f"--set: {described}") from problem


def _validated(values: Any, overrides: Sequence[str], where: str) -> Config:
    """Return the config with these sections. Errors begin with `where`."""
    try:
        if not isinstance(values, dict):
            raise ConfigError(
                "a config must be a table of sections (task, data, model, train, ...)",
                "not-a-config",
            )
        for override in overrides:
            _override(values, override)
        return Config.model_validate(values)
    except ValidationError as problem:
        described = describe_validation_error(problem, Config)
        raise described.with_message(f"{where}: {described}") from problem
    except ConfigError as problem:
        raise problem.with_message(f"{where}: {problem}") from problem


def _override(values: dict[str, Any], override: str) -> None:
    """Change one setting in the sections of a config."""
    keys, equals, value = override.partition("=")
    if not equals:
        raise ConfigError(
            f"must have the form section.setting=value, as in train.epochs=5; found {override}",
            setting="--set",
        )
    *parents, last = keys.strip().split(".")
    section = values
    for parent in parents:
        if section.get(parent) is None:
            section[parent] = {}
        section = section[parent]
        if not isinstance(section, dict):
            raise ConfigError(
                f"{override}: {parent} is a value, not a section",
                "unknown-setting",
                setting="--set",
            )
    try:
        section[last] = parse_yaml(value)
    except ConfigError as problem:
        raise ConfigError(
            f"{override[:200]}: {problem}", problem.code, setting="--set"
        ) from problem
