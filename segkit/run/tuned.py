"""tuned.yaml: the settings that `segkit tune` chose for a run; they replace those of its config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from segkit.config import DecodeConfig, RunConfig
from segkit.config.section import Section
from segkit.errors import ConfigError, RunError
from segkit.io.atomic import write_text
from segkit.io.yaml_text import read_yaml
from segkit.task import Task


class Tuned(Section):
    """The content of tuned.yaml: settings for decoding, and scores with and without them."""

    made: str
    """Date and time in UTC."""
    part: str
    """The part of the data on which the settings were chosen."""
    images: int
    """The number of images of that part."""
    goal: str
    """The score that was maximized."""
    thresholds: tuple[float, ...] | None
    """One threshold per class; None in an exclusive task."""
    decode: DecodeConfig
    """The new section `decode`."""
    before: dict[str, Any]
    """Scores of the part with the settings of the run's config."""
    after: dict[str, Any]
    """Scores of the part with the new settings."""
    change: dict[str, Any] = {}
    """By how much the Dice of the part changes, with intervals; empty in files of older
    versions."""
    groups: int | None = None
    """The number of groups of that part; None if there are no groups."""
    notes: tuple[str, ...] = ()
    """Warnings, each of which begins with its code."""


def read_tuned(path: Path) -> Tuned:
    """Return the content of a tuned.yaml.

    Args:
        path: The file.

    Raises:
        RunError: If the file cannot be read.
    """
    try:
        return Tuned.model_validate(read_yaml(path))
    except (ConfigError, ValidationError) as problem:
        first = str(problem).replace("\n", " ")
        raise RunError(
            f"{path}: cannot be read ({first}). Run `segkit tune` again to replace it, or with "
            f"--reset to remove it",
            "damaged-file",
        ) from problem


def write(path: Path, tuned: Tuned) -> None:
    """Write a tuned.yaml.

    Args:
        path: The file.
        tuned: Its content.
    """
    text = yaml.safe_dump(tuned.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    write_text(path, text)


def merged(config: RunConfig, path: Path) -> RunConfig:
    """Return a config with the settings of a tuned.yaml.

    Args:
        config: The config of the run.
        path: The file; if it does not exist, the config does not change.

    Raises:
        RunError: If the file cannot be read or was made for another task.
    """
    if not path.is_file():
        return config
    return apply(config, read_tuned(path), str(path))


def apply(config: RunConfig, tuned: Tuned, where: str = "tuned") -> RunConfig:
    """Return a config with the thresholds and the section `decode` of a tuning.

    Args:
        config: The config of the run.
        tuned: The tuning.
        where: A name for the tuning in errors, such as its file.

    Raises:
        RunError: If the tuning was made for another task.
    """
    try:
        thresholds = tuned.thresholds or config.task.thresholds
        task = Task.model_validate({**config.task.model_dump(), "thresholds": thresholds})
        tuned.decode.rules(task)
    except ConfigError as problem:
        raise RunError(
            f"{where}: was made for another task ({problem}). Run `segkit tune` again, or with "
            f"--reset to remove it",
            "mismatch",
        ) from problem
    return config.model_copy(update={"task": task, "decode": tuned.decode})
