"""The parts of a config's data: train, validation, test."""

from __future__ import annotations

from segkit.config import Config, Folders
from segkit.data.source import Subset, open_source
from segkit.data.split import split
from segkit.errors import ConfigError


def open_parts(config: Config) -> dict[str, Subset]:
    """Return "train", "validation" and "test": by the hash of the names, or from folders of their own; some may be empty."""
    given = {"validation": config.data.validation, "test": config.data.test}
    shares = {part: share for part, share in given.items() if not isinstance(share, Folders)}
    source = open_source(config.data, config.task)
    names = split(list(source.names), shares.get("validation", 0.0), shares.get("test", 0.0))
    parts = {part: Subset(source, names[part]) for part in ("train", "validation", "test")}
    for part, folders in given.items():
        if isinstance(folders, Folders):
            own = open_source(config.data.model_copy(update=folders.model_dump()), config.task)
            parts[part] = Subset(own, list(own.names))
    return parts


def held_out(parts: dict[str, Subset]) -> str:
    """Return the part that a run is scored on: test, or validation where there is no test part.

    Raises `ConfigError` if there is neither.
    """
    for part in ("test", "validation"):
        if len(parts[part]):
            return part
    raise ConfigError("data: neither a test nor a validation part; give data.test or data.validation a share")
