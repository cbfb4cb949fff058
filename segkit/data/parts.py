"""The parts of a config's data: train, validation, test."""

from __future__ import annotations

from segkit.config import Config, PartConfig
from segkit.data.sources.source import Subset, open_source
from segkit.data.split import fold, split
from segkit.errors import ConfigError, DataError


def open_parts(config: Config) -> dict[str, Subset]:
    """Return "train", "validation" and "test"; some may be empty.

    A part has files of its own (a `PartConfig`), or is what the data set itself calls so, or gets a share of the training
    names by their hash. With `data.fold` the validation part is a fold of all that is not the test part.
    """
    given = {"validation": config.data.validation, "test": config.data.test}
    source = open_source(config.data, config.task)
    named = {part: list(names) for part, names in source.parts.items()}
    shares = {
        part: 0.0 if part in named or isinstance(share, PartConfig) else share
        for part, share in given.items()
    }
    elsewhere = {name for names in named.values() for name in names}
    unnamed = [name for name in source.names if name not in elsewhere]
    training = named.get("train", unnamed)
    if config.data.fold:
        shares["validation"], training = 0.0, [*training, *named.pop("validation", [])]
    names = split(training, shares["validation"], shares["test"]) if training else {"train": []}
    names |= {part: named[part] for part in given if part in named}
    if config.data.fold:
        names |= fold(names["train"], config.data.fold)
    parts = {part: Subset(source, names.get(part, [])) for part in ("train", "validation", "test")}
    for part, own in given.items():
        if isinstance(own, PartConfig):
            other = open_source(config.data.part(own), config.task)
            parts[part] = Subset(other, list(other.parts.get(part, other.names)))
    return parts


def held_out(parts: dict[str, Subset]) -> str:
    """Return the part that a run is scored on: test, or validation where there is no test part.

    Raises `ConfigError` if there is neither.
    """
    for part in ("test", "validation"):
        if len(parts[part]):
            return part
    raise ConfigError(
        "neither a test nor a validation part; give data.test or data.validation a share",
        "too-few-samples",
        setting="data",
    )


def readable_part(part: Subset, config: Config) -> Subset:
    """Return the part, with `data.skip_broken` without the samples that training leaves out."""
    if not config.data.skip_broken:
        return part
    names = []
    for name in part.names:
        try:
            config.task.encode(part.read(name).mask, name)
            names.append(name)
        except DataError:
            continue
    return Subset(part.source, names)
