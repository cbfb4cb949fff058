"""The group of each sample, such as its patient, and what else stays together in a split."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from segkit.config import Config, DataConfig, PartConfig
from segkit.config.data_sets import set_configs
from segkit.data.sources.pairs import column_of_list
from segkit.errors import DataError
from segkit.io.films.frames import film_name
from segkit.io.plane_addresses import stack_file_name
from segkit.io.scans.slices import volume_name

NAMES_OF_GROUPS = {"scans": volume_name, "video": film_name}
"""Sources whose samples have a group by themselves, and the function that names it."""
MOST_LISTED = 5
"""Names that a message lists at most."""
BLOCK_OR_PAGE = re.compile(r"(#[0-9]+)?(@[0-9]+-[0-9]+)?$")
"""The end of the name of a block of an image, or of a page of a file."""


def has_groups(config: Config) -> bool:
    """Return whether the groups are known: by `data.groups`, or the files of the samples.

    Slices, planes and frames are grouped by their files.
    """
    sections = set_configs(config.data).values()
    for section in sections:
        if section.groups is not None or section.source in NAMES_OF_GROUPS:
            return True
    data = config.data
    return data.groups is not None or data.source in NAMES_OF_GROUPS or data.axes is not None


def groups_of(names: Sequence[str], config: Config) -> list[str] | None:
    """Return the group of each sample, as `data.groups` says.

    Without it the group of a slice is its volume, and that of a plane or a frame is its file.

    Args:
        names: Names of samples, of any part.
        config: The config that opens them.

    Returns:
        The groups in the order of the names; None if they are not known (`has_groups`).

    Raises:
        DataError: If a sample has no group: its name does not match the pattern, it is in no such
            folder, or its cell in the list is empty.
    """
    if config.data.sets is not None and has_groups(config):
        return _groups_in_sets(names, config)
    groups = config.data.groups
    if groups is None:
        if not has_groups(config):
            return None
        name_of_group = stack_file_name
        if config.data.axes is None:
            name_of_group = NAMES_OF_GROUPS[config.data.source]
        return [name_of_group(image_name(name)) for name in names]
    if groups.pattern is not None:
        found = [_by_pattern(name, groups.pattern) for name in names]
        rule = f"do not match the pattern {groups.pattern}"
    elif groups.folder is not None:
        found = [_by_folder(name, groups.folder) for name in names]
        rule = f"are not in {groups.folder} sub-folder(s)"
    else:
        found = _by_column(names, config.data, str(groups.column))
        rule = f"have no entry in the column {groups.column} of the list"
    without = [name for name, group in zip(names, found, strict=True) if not group]
    if without:
        raise _without_group(without, len(names), rule)
    return [str(group) for group in found]


def _groups_in_sets(names: Sequence[str], config: Config) -> list[str]:
    """Return the groups of samples of several sets, by the settings of their sets.

    Samples of two sets with the same group are in one group, but volumes of the same name are not.
    A sample of a set without groups is a group of its own.
    """
    sections = set_configs(config.data)
    alone = config.data.model_copy(update={"sets": None})
    found: dict[str, str] = {}
    for prefix in ("", *sections):
        own = [name for name in names if _set_in(name, sections) == prefix]
        start = len(prefix) + 1 if prefix else 0
        section = config.model_copy(update={"data": sections.get(prefix, alone)})
        groups = groups_of([name[start:] for name in own], section)
        if groups is not None and section.data.groups is None:
            groups = [f"{prefix}/{group}" for group in groups]
        found |= dict(zip(own, groups or own, strict=True))
    return [found[name] for name in names]


def _set_in(name: str, sections: Mapping[str, DataConfig]) -> str:
    """Return the set of a sample, or "" for a sample of a part with files of its own."""
    prefix = name.partition("/")[0]
    return prefix if prefix in sections else ""


def _without_group(without: Sequence[str], count: int, rule: str) -> DataError:
    listed = ", ".join(without[:MOST_LISTED])
    if len(without) > MOST_LISTED:
        listed += ", ..."
    return DataError(
        f"data.groups: {len(without)} of {count} samples {rule}, so their group is unknown: "
        f"{listed}. Change data.groups so that it fits all names",
        "no-group",
    )


def _by_pattern(name: str, pattern: str) -> str | None:
    """Return the groups in brackets of the first match, joined, or the whole match."""
    match = re.search(pattern, name)
    if match is None:
        return None
    if not match.re.groups:
        return match[0]
    found = [text or "" for text in match.groups()]
    return "/".join(found) if any(found) else None


def _by_folder(name: str, level: int) -> str | None:
    """Return the path of the sub-folder of that level."""
    *folders, _ = name.split("/")
    if len(folders) < level:
        return None
    return "/".join(folders[:level])


def image_name(name: str) -> str:
    """Return the name of the image file of a sample that is a block or a page of it.

    >>> image_name("a/b#003@1-2"), image_name("a/b")
    ('a/b', 'a/b')
    """
    return BLOCK_OR_PAGE.sub("", name, count=1)


def _by_column(names: Sequence[str], data: DataConfig, column: str) -> list[str | None]:
    """Return the cells of the list that has all names, or of the first list with most of them."""
    best: list[str | None] = [None] * len(names)
    for section in _sections(data):
        if section.list_file is None:
            continue
        cells = column_of_list(section.list_file, column)
        found = [cells.get(name, cells.get(image_name(name))) for name in names]
        if found.count(None) < best.count(None):
            best = found
    return best


def _sections(data: DataConfig) -> list[DataConfig | PartConfig]:
    """Return the section and its parts with files of their own."""
    sections: list[DataConfig | PartConfig] = [data]
    for part in (data.validation, data.test):
        if isinstance(part, PartConfig):
            sections.append(part)
    return sections


def units_of(names: Sequence[str], config: Config) -> dict[str, str] | None:
    """Return the unit of each sample; samples of one unit stay in one part.

    A unit is a group or a single sample, or several of them that `data.keep_together` joins.

    Args:
        names: Unique names of samples.
        config: The config that opens them.

    Returns:
        A key of the unit by name. It does not depend on the order of the names. None if each
        sample is a unit of its own.

    Raises:
        DataError: If `data.groups` does not fit a name.
    """
    groups = groups_of(names, config)
    if groups is None and not config.data.keep_together:
        return None
    units = dict(zip(names, groups or names, strict=True))
    joined = _Joined()
    for together in config.data.keep_together:
        for name in together:
            joined.join(("name", together[0]), ("name", name))
    for name, unit in units.items():
        joined.join(("name", name), ("unit", unit))
    keys: dict[tuple[str, str], str] = {}
    for name, unit in units.items():
        root = joined.root(("name", name))
        keys[root] = min(unit, keys.get(root, unit))
    return {name: keys[joined.root(("name", name))] for name in units}


class _Joined:
    """Sets that are joined pair by pair (union-find)."""

    def __init__(self) -> None:
        self._parents: dict[tuple[str, str], tuple[str, str]] = {}

    def root(self, member: tuple[str, str]) -> tuple[str, str]:
        """Return the member that stands for the set."""
        parent = self._parents.setdefault(member, member)
        while parent != member:
            self._parents[member] = self._parents[parent]
            member = parent
            parent = self._parents[member]
        return member

    def join(self, one: tuple[str, str], other: tuple[str, str]) -> None:
        """Join the sets of two members."""
        self._parents[self.root(one)] = self.root(other)
