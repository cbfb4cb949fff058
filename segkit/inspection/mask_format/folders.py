"""The content of the mask files of an opened data set, and the reuse of decoded masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segkit.config import DataConfig
from segkit.config.data_sets import set_configs
from segkit.data.sources.data_sets import DataSets
from segkit.data.sources.folder import FolderSource
from segkit.data.sources.source import Source, Subset
from segkit.data.sources.wrapped import WrappedSource
from segkit.inspection.mask_format.contents import Stored, describe_kinds, objects_in, scan_masks
from segkit.inspection.mask_format.instances import Objects
from segkit.inspection.mask_format.other_values import describe_others
from segkit.task.sets import in_words

MOST_VALUES = 24
"""Largest number of values or colours that are listed."""


class MaskDescription(NamedTuple):
    """The content of the mask files of a data set."""

    words: str
    """Kinds, values, and how the config reads them; "" if there are no mask files."""
    objects: Mapping[str, Objects]
    """The numbers that may be single objects, by the name of their data set (`data.sets`); the name
    is "" without sets."""


def describe_masks(
    data: DataConfig, parts: Mapping[str, Subset], progress: Callable[[], None] = lambda: None
) -> MaskDescription:
    """Read the mask files of all parts, and describe them.

    The sources of the parts get the decoded masks, and do not read these files again.

    Args:
        data: The settings that read the masks.
        parts: The samples of each part.
        progress: Called after each file.
    """
    sets = _parts_of_sets(parts)
    if not sets:
        words, objects = _describe_files(data, parts, progress)
        return MaskDescription(words, {"": objects} if objects else {})
    listed = []
    numbered = {}
    for name, section in set_configs(data).items():
        own = sets.get(name, {})
        if not mask_files_of(own):
            continue
        words, objects = _describe_files(section, own, progress)
        listed.append(f"set {name}: {words}")
        if objects:
            numbered[name] = objects
    return MaskDescription("; ".join(listed), numbered)


def _describe_files(
    data: DataConfig, parts: Mapping[str, Subset], progress: Callable[[], None]
) -> tuple[str, Objects | None]:
    """Return the description of mask files, and the numbers in them that may be single objects."""
    paths = mask_files_of(parts)
    scanned = scan_masks(paths, progress, data.pages)
    reuse_masks(parts, decoded_masks(paths, scanned))
    objects = None
    if data.mask_ids != "classes":
        objects = objects_in(paths, scanned)
    if objects and objects.kind == "unclear":
        objects = None
    words = [describe_kinds(scanned), _describe_values(scanned)]
    if objects:
        words.append(str(objects))
    words.append(_describe_settings(data) + describe_others(data, scanned))
    return "; ".join(word for word in words if word), objects


def mask_files_of(parts: Mapping[str, Subset]) -> list[Path]:
    """Return the mask files of all samples whose source has files of its own."""
    paths: dict[Path, None] = {}
    for own in _parts_of_sets(parts).values():
        paths.update(dict.fromkeys(mask_files_of(own)))
    for subset in parts.values():
        source = _folder_of(subset)
        if source is None or source.data.mask_probabilities:
            continue
        for name in subset.names:
            paths.update(dict.fromkeys(source.pairs[name].masks.values()))
    return list(paths)


def decoded_masks(paths: Sequence[Path], scanned: Sequence[Stored]) -> dict[Path, np.ndarray]:
    """Return the masks that are in memory after a scan."""
    decoded = {}
    for path, stored in zip(paths, scanned, strict=True):
        if stored.array is not None:
            decoded[path] = stored.array
    return decoded


def reuse_masks(parts: Mapping[str, Subset], decoded: dict[Path, np.ndarray]) -> None:
    """Hand decoded masks to the sources, which then do not read these files again.

    Args:
        parts: The samples of each part.
        decoded: Masks as they are stored. A source removes each mask that it uses.
    """
    for subset in parts.values():
        source = _folder_of(subset)
        if source is not None:
            source.masks_in_memory = decoded


def _folder_of(subset: Subset) -> FolderSource | None:
    """Return the source of mask files behind the samples of a part; None if there is none."""
    source = _innermost(subset.source)
    return source if isinstance(source, FolderSource) else None


def _parts_of_sets(parts: Mapping[str, Subset]) -> dict[str, dict[str, Subset]]:
    """Return the parts of each data set, with the names of its own source; none without sets."""
    found: dict[str, dict[str, Subset]] = {}
    for part, subset in parts.items():
        source = _innermost(subset.source)
        if not isinstance(source, DataSets):
            continue
        for name, own in source.sources.items():
            beginning = f"{name}/"
            names = [
                sample.removeprefix(beginning)
                for sample in subset.names
                if sample.startswith(beginning)
            ]
            found.setdefault(name, {})[part] = Subset(own, names)
    return found


def _innermost(source: Source) -> Source:
    """Return a source without the ones that are wrapped around it."""
    while isinstance(source, WrappedSource):
        source = source.source
    return source


def _describe_values(scanned: Sequence[Stored]) -> str:
    """Return the values, or the colours if a file has some, such as "values 0, 1"."""
    has_colours = any(stored.form == "colours" for stored in scanned)
    pixels: Counter[int] = Counter()
    for stored in scanned:
        if (stored.form == "colours") == has_colours:
            pixels.update(stored.pixels)
    if not pixels:
        return ""
    values = sorted(pixels)[:MOST_VALUES]
    if has_colours:
        text = "colours " + ", ".join(f"#{value:06x}" for value in values)
    else:
        text = "values " + ", ".join(map(str, values))
    if len(pixels) > MOST_VALUES:
        text += f", ... ({len(pixels)} in all)"
    return text


def _describe_settings(data: DataConfig) -> str:
    """Return what the config says about the meaning of values."""
    if data.mask_threshold is not None:
        return f"yes from {data.mask_threshold} on"
    if data.mask_ids == "instances":
        return "any number above 0 is the object"
    meanings = data.mask_values or data.mask_colours or {}
    return ", ".join(f"{value} is {in_words(name)}" for value, name in meanings.items())
