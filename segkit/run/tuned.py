"""tuned.yaml: what `segkit tune` found for a run, kept beside its config and merged into it."""

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
    """Settings for decoding, where they come from, and the scores of that part before and after."""

    made: str
    """Date and time, UTC."""
    part: str
    images: int
    goal: str
    thresholds: tuple[float, ...] | None
    """One a class; None in an exclusive task."""
    decode: DecodeConfig
    before: dict[str, Any]
    after: dict[str, Any]
    notes: tuple[str, ...] = ()
    """What could not be done or gets worse, each a code and words."""


def read_tuned(path: Path) -> Tuned:
    """Return what a tuned.yaml holds. Raises `RunError` naming the file if it cannot be read."""
    try:
        return Tuned.model_validate(read_yaml(path))
    except (ConfigError, ValidationError) as problem:
        first = str(problem).replace("\n", " ")
        raise RunError(
            f"{path}: cannot be read ({first}). `segkit tune` writes it anew, --reset removes it",
            "damaged-file",
        ) from problem


def write(path: Path, tuned: Tuned) -> None:
    """Write it whole or not at all."""
    write_text(
        path, yaml.safe_dump(tuned.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    )


def merged(config: RunConfig, path: Path) -> RunConfig:
    """Return the config with the thresholds and the `decode` section of a tuned.yaml; as it is if there is no such file.

    Raises `RunError` if the file cannot be read or was made for another task.
    """
    return apply(config, read_tuned(path), str(path)) if path.is_file() else config


def apply(config: RunConfig, tuned: Tuned, where: str = "tuned") -> RunConfig:
    """Return the config with what was tuned. Raises `RunError`, naming `where`, if it does not fit the task."""
    try:
        thresholds = tuned.thresholds or config.task.thresholds
        task = Task.model_validate({**config.task.model_dump(), "thresholds": thresholds})
        tuned.decode.rules(task)
    except ConfigError as problem:
        raise RunError(
            f"{where}: was made for another task ({problem}). Tune again, or --reset", "mismatch"
        ) from problem
    return config.model_copy(update={"task": task, "decode": tuned.decode})
