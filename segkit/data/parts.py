"""The parts of a config's data: train, validation and test."""

from __future__ import annotations

from collections.abc import Mapping

from segkit.config import Config, DataConfig, PartConfig
from segkit.config.reading import AnyConfig
from segkit.data.groups import groups_of, units_of
from segkit.data.sources.source import Source, Subset, open_source, task_of_source
from segkit.data.split import fold, folds, split
from segkit.errors import ConfigError, DataError

Names = dict[str, list[str]]
"""Sample names by part."""


def open_parts(config: Config) -> dict[str, Subset]:
    """Open the parts "train", "validation" and "test" of a config's data.

    These rules decide which samples are in a part:

    1. Own files: if `data.validation` or `data.test` is a `PartConfig`, that part consists of the
       samples in those files. Samples that the main source lists for the part are not used.
    2. Named by the data set: if the source lists the samples of a part, the part consists of them.
       If the source does not list the training part, it consists of the samples in no list.
    3. Split by hash: `data.validation` and `data.test` are shares of the training part. A hash of
       each training sample's name decides whether it moves to one of these parts. Only a part that
       rules 1 and 2 leave open gets a share.
    4. Fold: with `data.fold` (k/n) the validation part of rules 2 and 3 is ignored. All samples
       outside the test part are divided into n folds. Fold k is the validation part, and the other
       folds are the training part.

    Rules 3 and 4 never divide a group (`data.groups`) or samples of `data.keep_together`. With
    `data.on_all` there is only the training part, with the samples of all parts of rule 2.

    Args:
        config: The config, with its `data` section and its task.

    Returns:
        One subset per part; "validation" and "test" may be empty.

    Raises:
        ConfigError: If there are too few samples for the parts or folds.
        DataError: If the data cannot be opened, or if a sample has no group.
    """
    data = config.data
    source = open_source(data, config.task)
    names = _divide(source, config)
    parts = {part: Subset(source, names[part]) for part in ("train", "validation", "test")}
    for part, setting in (("validation", data.validation), ("test", data.test)):
        if isinstance(setting, PartConfig):
            parts[part] = _own_files(part, setting, config)
            groups_of(parts[part].names, config)  # raises an error for a sample without a group
    return parts


def open_data(config: AnyConfig) -> tuple[AnyConfig, dict[str, Subset]]:
    """Open the parts, and complete the task by the sets of classes that the data need.

    Args:
        config: The config, with its `data` section and its task.

    Returns:
        The config, whose task can encode every mask, and the parts as `open_parts` returns them.

    Raises:
        ConfigError: As `open_parts`, or if there are too many sets for an 8-bit mask.
        DataError: As `open_parts`.
    """
    parts = open_parts(config)
    task = config.task
    for subset in parts.values():
        task = task_of_source(task, subset.source)
    if task == config.task:
        return config, parts
    config = config.model_copy(update={"task": task})
    return config, open_parts(config)


def _divide(source: Source, config: Config) -> Names:
    """Return the names of all three parts of a source, by the rules of `open_parts`."""
    data = config.data
    names = _named_by_data_set(source)
    if data.on_all:
        return _all_for_training(source, names)
    for listed in names.values():
        groups_of(listed, config)  # raises an error for a sample without a group
    if data.fold:
        names["train"] += names.pop("validation", [])
    units = units_of(names["train"], config)
    names = _split_by_hash(names, data, units)
    if data.fold:
        names |= fold(names["train"], data.fold, units)
    return names


def _all_for_training(source: Source, names: Names) -> Names:
    """Return the samples of all parts as the training part, in the order of the source."""
    chosen: set[str] = set()
    for listed in names.values():
        chosen.update(listed)
    train = [name for name in source.names if name in chosen]
    return {"train": train, "validation": [], "test": []}


def divided_parts(config: Config, parts: Mapping[str, Subset]) -> list[str]:
    """Return the parts among which segkit itself divides samples; the others are the user's.

    Args:
        config: The config.
        parts: Its open parts.

    Returns:
        "train" and one or two others, or nothing if the user has named all parts.
    """
    data = config.data
    if data.on_all:
        return []
    listed = parts["train"].source.parts
    divided = []
    for part, setting in (("validation", data.validation), ("test", data.test)):
        is_fold = part == "validation" and data.fold is not None
        is_share = not isinstance(setting, PartConfig) and setting > 0 and part not in listed
        if is_fold or is_share:
            divided.append(part)
    return ["train", *divided] if divided else []


def divide_again(config: Config, parts: Mapping[str, Subset]) -> dict[str, Subset]:
    """Return the parts of a config whose sources are open already.

    Args:
        config: The config, which reads the same files as the one that `parts` belong to.
        parts: The open parts.

    Raises:
        ConfigError: If there are too few groups for the parts or folds.
    """
    source = parts["train"].source
    names = _divide(source, config)
    again = {}
    for part, subset in parts.items():
        again[part] = Subset(source, names[part]) if subset.source is source else subset
    return again


def places_of(config: Config, parts: Mapping[str, Subset]) -> dict[str, str]:
    """Return where segkit has put each sample that it divides: a part, or in folds the fold.

    Two samples with different places are in different parts in at least one of the trainings.

    Args:
        config: The config.
        parts: Its open parts.
    """
    places: dict[str, str] = {}
    for part in divided_parts(config, parts):
        places.update(dict.fromkeys(parts[part].names, part))
    if config.data.fold:
        count = int(config.data.fold.partition("/")[2])
        names = [name for name, part in places.items() if part != "test"]
        for number, chosen in enumerate(folds(names, count, units_of(names, config)), start=1):
            places.update(dict.fromkeys(chosen, str(number)))
    return places


def _named_by_data_set(source: Source) -> Names:
    """Return the parts that the source lists; without a list, train is all that no list names."""
    names = {part: list(listed) for part, listed in source.parts.items()}
    if "train" not in names:
        in_a_list: set[str] = set()
        for listed in names.values():
            in_a_list.update(listed)
        names["train"] = [name for name in source.names if name not in in_a_list]
    return names


def _split_by_hash(names: Names, data: DataConfig, units: Mapping[str, str] | None) -> Names:
    """Return all three parts; a part without a list or own files gets its share."""
    shares = {"validation": 0.0, "test": 0.0}
    for part, setting in (("validation", data.validation), ("test", data.test)):
        if part not in names and not isinstance(setting, PartConfig):
            shares[part] = setting
    if data.fold:
        shares["validation"] = 0.0  # the fold becomes the validation part
    by_hash: Names = {"train": [], "validation": [], "test": []}
    if names["train"]:
        by_hash = split(names["train"], shares["validation"], shares["test"], units)
    listed = {part: found for part, found in names.items() if part != "train"}
    return by_hash | listed


def _own_files(part: str, setting: PartConfig, config: Config) -> Subset:
    """Open the files of a part; if that source lists samples for the part, use only those."""
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
