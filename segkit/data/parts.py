"""The parts of a config's data: train, validation and test."""

from __future__ import annotations

from segkit.config import Config, DataConfig, PartConfig
from segkit.data.sources.source import Source, Subset, open_source
from segkit.data.split import fold, split
from segkit.errors import ConfigError, DataError

Names = dict[str, list[str]]
"""Sample names by part."""


def open_parts(config: Config) -> dict[str, Subset]:
    """Open the parts "train", "validation" and "test" of a config's data.

    These rules decide which samples are in a part:

    1. Own files: if `data.validation` or `data.test` is a `PartConfig`, that part consists of the
       samples in those files.
    2. Named by the data set: if the source lists the samples of a part, the part consists of them.
       If the source does not list the training part, it consists of the samples in no list.
    3. Split by hash: `data.validation` and `data.test` are shares of the training part. A hash of
       each training sample's name decides whether it moves to one of these parts. Only a part that
       rules 1 and 2 leave open gets a share.
    4. Fold: with `data.fold` (k/n) rules 2 and 3 decide only about the test part. All other samples
       are divided into n folds. Fold k is the validation part, the other folds are the training
       part.

    Args:
        config: The config, with its `data` section and its task.

    Returns:
        One subset per part; "validation" and "test" may be empty.

    Raises:
        ConfigError: If there are too few samples for the parts or folds.
        DataError: If the data cannot be opened.
    """
    data = config.data
    source = open_source(data, config.task)
    names = _named_by_data_set(source)
    if data.fold:
        names["train"] += names.pop("validation", [])
    names = _split_by_hash(names, data)
    if data.fold:
        names |= fold(names["train"], data.fold)
    parts = {part: Subset(source, names[part]) for part in ("train", "validation", "test")}
    for part, setting in (("validation", data.validation), ("test", data.test)):
        if isinstance(setting, PartConfig):
            parts[part] = _own_files(part, setting, config)
    return parts


def _named_by_data_set(source: Source) -> Names:
    """Return the parts that the source lists; without a list, train is all that no list names."""
    names = {part: list(listed) for part, listed in source.parts.items()}
    if "train" not in names:
        in_a_list: set[str] = set()
        for listed in names.values():
            in_a_list.update(listed)
        names["train"] = [name for name in source.names if name not in in_a_list]
    return names


def _split_by_hash(names: Names, data: DataConfig) -> Names:
    """Return all three parts; an open part gets its share of the training samples."""
    shares = {"validation": 0.0, "test": 0.0}
    for part, setting in (("validation", data.validation), ("test", data.test)):
        if part not in names and not isinstance(setting, PartConfig):
            shares[part] = setting
    if data.fold:
        shares["validation"] = 0.0
    by_hash: Names = {"train": [], "validation": [], "test": []}
    if names["train"]:
        by_hash = split(names["train"], shares["validation"], shares["test"])
    listed = {part: found for part, found in names.items() if part != "train"}
    return by_hash | listed


def _own_files(part: str, setting: PartConfig, config: Config) -> Subset:
    """Open the files of a part; if they list that part themselves, only the listed samples."""
    source = open_source(config.data.part(setting), config.task)
    return Subset(source, list(source.parts.get(part, source.names)))


def held_out(parts: dict[str, Subset]) -> str:
    """Choose the part that a run is scored on: "test", or "validation" if the test part is empty.

    Raises:
        ConfigError: If both parts are empty.
    """
    for part in ("test", "validation"):
        if len(parts[part]):
            return part
    raise ConfigError(
        "there is neither a test nor a validation part; "
        "set data.test or data.validation to a share",
        "too-few-samples",
        setting="data",
    )


def readable_part(part: Subset, config: Config) -> Subset:
    """Leave out the samples that training leaves out as broken, if `data.skip_broken` is set.

    Args:
        part: The samples. Each is read and encoded once.
        config: The config of the run.

    Returns:
        The samples that can be read and encoded, or `part` itself without `data.skip_broken`.
    """
    if not config.data.skip_broken:
        return part
    names = []
    for name in part.names:
        try:
            config.task.encode(part.read(name).mask, name)
        except DataError:
            continue
        names.append(name)
    return Subset(part.source, names)
