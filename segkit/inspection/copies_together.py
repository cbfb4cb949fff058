"""Puts copies of an image into one part, where segkit itself divides the samples."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from segkit.config import Config
from segkit.config.reading import AnyConfig
from segkit.data.groups import has_groups
from segkit.data.parts import divide_again, divided_parts, places_of
from segkit.data.sources.source import Subset
from segkit.inspection.fingerprint import SampleFingerprint, Survey
from segkit.inspection.near_duplicates import near_groups, same_images
from segkit.inspection.problem import Problem, problem_of

BLOCKS = 10
"""Number of blocks into which a series of nearly equal images is cut, at least."""
Groups = list[list[str]]
"""Lists of names of samples that belong together."""


class Together(NamedTuple):
    """A division of the samples that keeps copies in one part."""

    config: Config
    """The config; `data.keep_together` lists the copies."""
    parts: dict[str, Subset]
    survey: Survey
    """The fingerprints with the parts in which the samples are now."""
    copies: Groups
    """The copies that were put into one part; empty if nothing has changed."""

    def problems(self) -> list[Problem]:
        """Return a warning if copies were put into one part."""
        if not self.copies:
            return []
        listed = [" = ".join(group[:3]) for group in self.copies]
        message = (
            f"copies of an image were in two parts of segkit's own split, and were put into one "
            f"part: {listed[0]}. data.keep_together lists them in the config of the run"
        )
        return [problem_of("warning", "copies-together", message, listed)]


def keep_copies_together(config: Config, parts: dict[str, Subset], found: Survey) -> Together:
    """Divide the samples again if segkit's own split has put equal images into several parts.

    Parts that the user has named do not change.

    Args:
        config: The config.
        parts: Its open parts.
        found: The fingerprints of their samples.

    Raises:
        ConfigError: If the copies leave too few groups for the parts.
    """
    places = places_of(config, parts)
    copies = equal_names(_divided_facts(config, parts, found))
    torn = [group for group in copies if len({places[name] for name in group}) > 1]
    if not torn:
        return Together(config, parts, found, [])
    config = with_copies(config, copies)
    divided = divide_again(config, parts)
    return Together(config, divided, placed_in(divided, parts, found), torn)


def with_copies(config: AnyConfig, copies: Sequence[Sequence[str]]) -> AnyConfig:
    """Return the config with more lists in `data.keep_together`."""
    together = (*config.data.keep_together, *(tuple(group) for group in copies))
    data = config.data.model_copy(update={"keep_together": together})
    return config.model_copy(update={"data": data})


def equal_names(facts: Sequence[SampleFingerprint]) -> Groups:
    """Return the names of samples with equal images, which are not blank, as sorted lists."""
    groups = []
    for group in same_images(facts):
        if not group[0].blank:
            groups.append(sorted(fact.name for fact in group))
    return sorted(groups)


def planned_together(config: Config, parts: Mapping[str, Subset], found: Survey) -> Groups:
    """Return the copies, and the series of nearly equal images, that a plan keeps together.

    A series that is longer than a tenth of the samples, such as the slices of a scan, is cut into
    blocks of neighbours. Nearly equal images are left out if `data.groups` says which images belong
    together, or if they would leave too few groups for the parts.

    Args:
        config: The config of the plan.
        parts: Its open parts.
        found: The fingerprints of their samples.
    """
    facts = _divided_facts(config, parts, found)
    equal = equal_names(facts)
    if has_groups(config):
        return equal
    longest = max(2, len(facts) // BLOCKS)
    near = []
    for series in near_groups(facts):
        near += _blocks(series, equal, longest)
    others = len(facts) - sum(map(len, near))
    if others + len(near) < len(parts):
        return equal
    kept: set[str] = set()
    for block in near:
        kept.update(block)
    # a block never divides equal images, so the first name shows whether it has all
    return sorted(near + [group for group in equal if group[0] not in kept])


def _blocks(series: Sequence[str], equal: Groups, longest: int) -> Groups:
    """Cut a series into blocks of at most `longest` names; equal images stay in one block."""
    if len(series) <= longest:
        return [sorted(series, key=_natural_order)]
    blocks: Groups = [[]]
    for members in _in_series(series, equal):
        if blocks[-1] and len(blocks[-1]) + len(members) > longest:
            blocks.append([])
        blocks[-1] += members
    return [block for block in blocks if len(block) > 1]


def _in_series(series: Sequence[str], equal: Groups) -> Groups:
    """Return lists of names of equal images, or of one name, in the order of the series.

    The order is that of the names. A copy has the place of the image that is named like most.
    """
    copies_of = {name: group for group in equal for name in group}
    forms = Counter(_form(name) for name in series)
    lists: dict[str, list[str]] = {}
    for name in series:
        members = copies_of.get(name, [name])
        usual = min(members, key=lambda member: (-forms[_form(member)], _natural_order(member)))
        lists[usual] = members
    return [lists[name] for name in sorted(lists, key=_natural_order)]


def _form(name: str) -> str:
    """Return a name without its numbers."""
    return re.sub(r"[0-9]+", "#", name)


def _natural_order(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts a2 before a10."""
    key = []
    for text in re.split(r"([0-9]+)", name):
        if re.fullmatch(r"[0-9]+", text):
            key.append((int(text), ""))
        else:
            key.append((-1, text))
    return key


def _divided_facts(
    config: Config, parts: Mapping[str, Subset], found: Survey
) -> list[SampleFingerprint]:
    """Return the fingerprints of the samples that segkit divides."""
    names: set[str] = set()
    for part in divided_parts(config, parts):
        names.update(parts[part].names)
    source = parts["train"].source
    own_files = [part for part, subset in parts.items() if subset.source is not source]
    return [fact for fact in found.facts if fact.name in names and fact.part not in own_files]


def placed_in(parts: Mapping[str, Subset], before: Mapping[str, Subset], found: Survey) -> Survey:
    """Return the fingerprints with the parts in which the samples are now.

    Args:
        parts: The new parts. Parts with files of their own may have the same sample names.
        before: The parts in which the samples were; their sources do not matter.
        found: The fingerprints of the samples in `before`.
    """
    source = parts["train"].source
    new_part: dict[str, str] = {}
    for part, subset in parts.items():
        if subset.source is source:
            new_part.update(dict.fromkeys(subset.names, part))
    main = before["train"].source
    moving = {part for part, subset in before.items() if subset.source is main}
    facts = []
    for fact in found.facts:
        part = new_part[fact.name] if fact.part in moving else fact.part
        facts.append(fact._replace(part=part))
    broken = []
    for sample in found.broken:
        part = new_part[sample.name] if sample.part in moving else sample.part
        broken.append(sample._replace(part=part))
    return found._replace(facts=facts, broken=broken)
