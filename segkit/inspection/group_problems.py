"""Groups of samples, such as patients: proposals from names, and groups in two parts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from segkit.config import Config, DataConfig
from segkit.config.reading import as_line
from segkit.data.groups import groups_of, has_groups, image_name
from segkit.data.sources.csv_list import COLUMNS, read_list
from segkit.data.sources.pair_names import PARTS
from segkit.data.sources.source import Subset
from segkit.errors import DataError
from segkit.inspection.problem import Problem, problem_of

LEVELS = 3
"""Levels of sub-folders that are looked at."""
SHOWN = 3
"""Groups that a proposal names."""
LONGEST_NAME = 300
"""Longest name in which prefixes are looked for, so that the time is limited."""
MOST_SINGLE = 0.1
"""Largest share of groups with one image, above which names are not taken for groups."""
PREFIXES = (
    r"([^/\d]*\d+)[_ .-][^/]*$",
    r"([^/]*)[_ .-][^/_ .-]*$",
    r"([^/_ .-]+)[_ .-][^/]*$",
    r"([^/\d]+\d+)[^/\d]+\d+$",
)
"""Patterns of prefixes: up to the first number, up to the last separator, up to the first one, and
letters and a number before other letters and a number."""


class Proposal(NamedTuple):
    """A setting `data.groups` that divides the images into groups of several."""

    setting: Any
    """The value of the setting."""
    line: str
    """The setting as a line of a config, below `data`."""
    kind: str
    """Where the groups are: "prefixes", "sub-folders" or a column."""
    groups: tuple[str, ...]
    """The names of the groups, sorted."""


def count_groups(config: Config, parts: Mapping[str, Subset]) -> int | None:
    """Return the number of groups of all samples; None if they are not known."""
    if not has_groups(config):
        return None
    found: set[str] = set()
    for subset in parts.values():
        found.update(groups_of(subset.names, config) or [])
    return len(found)


def group_problems(
    config: Config, parts: Mapping[str, Subset], problems: Sequence[Problem]
) -> list[Problem]:
    """Return a warning about unknown groups, or about groups in two parts.

    Args:
        config: The config.
        parts: Its open parts.
        problems: The problems found before; they show whether images are nearly equal.
    """
    if has_groups(config):
        return _in_two_parts(config, parts)
    sentences = []
    if any(problem.code in ("near-leak", "near-duplicates") for problem in problems):
        sentences.append(
            "some images look nearly the same as others and no groups are known, so a score on a "
            "part of them is a score on neighbours of the training images. data.groups says which "
            "images belong together"
        )
    proposed = proposals(config, parts)
    if proposed:
        sentences.append(_describe(proposed, len(_image_names(parts))))
    if not sentences:
        return []
    return [problem_of("warning", "groups-unknown", ". ".join(sentences))]


def _describe(proposed: Sequence[Proposal], images: int) -> str:
    choices = []
    for proposal in proposed:
        listed = ", ".join(proposal.groups[:SHOWN])
        if len(proposal.groups) > SHOWN:
            listed += ", ..."
        choices.append(
            f"{images} images of {len(proposal.groups)} {proposal.kind} ({listed}): if these are "
            f"patients, scenes, slides or videos, write below `data:` in the config "
            f"`{proposal.line}`"
        )
    return "; or ".join(choices)


def _in_two_parts(config: Config, parts: Mapping[str, Subset]) -> list[Problem]:
    """Return a warning for groups that parts of the user divide."""
    parts_of_group: dict[str, list[str]] = {}
    for part, subset in parts.items():
        for group in dict.fromkeys(groups_of(subset.names, config) or []):
            parts_of_group.setdefault(group, []).append(part)
    torn = []
    for group, found in parts_of_group.items():
        if len(found) > 1:
            torn.append(f"{group} ({', '.join(found)})")
    if not torn:
        return []
    message = (
        f"the data set itself puts samples of one group into two parts: {torn[0]}. The scores will "
        f"be too good for images of new groups. Move the group into one part"
    )
    return [problem_of("warning", "group-in-two-parts", message, torn)]


def proposals(config: Config, parts: Mapping[str, Subset]) -> list[Proposal]:
    """Return settings that divide the images into 2 to n / 2 groups, most of them of several.

    Columns of the list and sub-folders come first. Prefixes of names are proposed only without
    them.

    Args:
        config: A config without groups.
        parts: Its open parts.
    """
    names = _image_names(parts)
    found = []
    for column in _columns(config):
        line = f"groups: {as_line({'column': column})}"
        found.append(_proposal(config, names, {"column": column}, line, f"values of {column}"))
    for level in range(1, LEVELS + 1):
        if not _are_parts(names, level):
            line = f"groups: {{folder: {level}}}"
            found.append(_proposal(config, names, {"folder": level}, line, "sub-folders"))
    if not any(found) and max(map(len, names), default=0) <= LONGEST_NAME:
        for pattern in PREFIXES:
            line = f"groups: '{pattern}'"
            found.append(_proposal(config, names, {"pattern": pattern}, line, "prefixes"))
    different: dict[tuple[str, ...], Proposal] = {}
    for proposal in found:
        if proposal is not None:
            different.setdefault(proposal.groups, proposal)
    return list(different.values())


def _image_names(parts: Mapping[str, Subset]) -> list[str]:
    """Return the names of the images of all parts; several samples may be regions of one image."""
    names: dict[str, None] = {}
    for subset in parts.values():
        names.update(dict.fromkeys(image_name(name) for name in subset.names))
    return list(names)


def _columns(config: Config) -> list[str]:
    """Return the columns of the list that are neither files nor parts."""
    if config.data.list_file is None:
        return []
    columns = read_list(config.data.list_file).columns
    return [name for name in columns if name and name not in (*COLUMNS, *config.task.classes)]


def _are_parts(names: Sequence[str], level: int) -> bool:
    """Return whether the folders of a level are called train, validation and test."""
    folders = {name.split("/")[level - 1].lower() for name in names if name.count("/") >= level}
    return bool(folders) and folders <= set(PARTS)


def _proposal(
    config: Config, names: Sequence[str], setting: dict[str, Any], line: str, kind: str
) -> Proposal | None:
    """Return the proposal, or None if the setting makes no groups of several images."""
    data = DataConfig.model_validate(
        {**config.data.model_dump(), "trust": config.data.trust, "groups": setting}
    )
    try:
        groups = groups_of(names, config.model_copy(update={"data": data}))
    except DataError:
        return None
    sizes = Counter(groups)
    single = sum(size == 1 for size in sizes.values())
    if not 2 <= len(sizes) <= len(names) / 2 or single > MOST_SINGLE * len(sizes):
        return None
    if {group.lower() for group in sizes} <= set(PARTS):
        return None
    return Proposal(setting, line, kind, tuple(sorted(sizes)))
