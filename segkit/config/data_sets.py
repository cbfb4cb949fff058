"""Several data sets in one training, each with its own settings (`data.sets`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from segkit.errors import ConfigError

if TYPE_CHECKING:
    from segkit.config.data import DataConfig

PLACES = ("images", "masks", "annotations", "annotators", "list_file", "data_dir", "name")
"""Settings that say where samples are, which each set has for itself."""
ONE_FOR_ALL = (
    "relative_to",
    "trust",
    "sets",
    "cache",
    "cache_folder",
    "validation",
    "test",
    "fold",
    "on_all",
    "keep_together",
    "skip_broken",
    "max_pixels",
    "pixel_size",
    "pixel_unit",
    "axis",
    "neighbours",
    "window",
)
"""Settings that hold for all sets together, so that no set has its own."""
OF_NEW_IMAGES = ("bands", "pages")
"""Settings by which new images are read, too."""
_NOT_OF_A_SET = (
    "relative_to",
    "sets",
    "validation",
    "test",
    "fold",
    "on_all",
    "keep_together",
)
"""Settings of `data` that mean nothing for a single set."""


def checked_sets(data: DataConfig) -> dict[str, dict[str, Any]]:
    """Check the sets, and return them with absolute paths.

    Args:
        data: The section `data`, with sets.

    Raises:
        ConfigError: If a name or a setting is wrong, or contradicts the settings of `data`.
    """
    sets = data.sets or {}
    _check_names(sets)
    for setting in PLACES:
        if getattr(data, setting) is not None:
            raise ConfigError(
                f"each set says where its samples are; set data.sets.NAME.{setting} instead",
                "contradiction",
                setting=f"data.{setting}",
            )
    found = {}
    sources = set()
    for name, own in sets.items():
        section = section_of_set(data, name, own)
        sources.add(section.source)
        stored = section.model_dump(mode="json", include=set(own))
        found[name] = {key: stored[key] for key in own}
    if "scans" in sources and {data.source, *sources} != {"scans"}:
        raise ConfigError(
            f"scans are divided by volumes and predicted as volumes, so all sets are scans, or "
            f"none; found {', '.join(sorted({data.source, *sources}))}. Set data.source: scans for "
            f"all sets",
            "contradiction",
            setting="data.sets",
        )
    return found


def set_configs(data: DataConfig) -> dict[str, DataConfig]:
    """Return the settings of each set, by its name; none without sets.

    Settings that a set does not name are those of `data`.
    """
    return {name: section_of_set(data, name, own) for name, own in (data.sets or {}).items()}


def section_of_set(data: DataConfig, name: str, own: Mapping[str, Any]) -> DataConfig:
    """Return the settings of a set.

    Args:
        data: The section `data`.
        name: The name of the set.
        own: The settings of the set that differ from those of `data`.

    Raises:
        ConfigError: If a setting is wrong.
    """
    for setting in own:
        _check_own(data, name, setting, own[setting])
    values = data.model_dump(exclude=set(_NOT_OF_A_SET))
    values |= {"trust": data.trust, **own}
    try:
        return type(data)(**values)
    except ConfigError as problem:
        inner = (problem.setting or "").removeprefix("data.")
        setting = f"data.sets.{name}.{inner}".removesuffix(".")
        named = problem.with_message(f"data.sets.{name}: {problem}")
        named.setting = setting
        raise named from problem


def _check_own(data: DataConfig, name: str, setting: str, value: Any) -> None:
    """Raise `ConfigError` if a set has a setting that is one for all, or that new images lack."""
    if setting in ONE_FOR_ALL:
        raise ConfigError(
            f"holds for all sets; set data.{setting}",
            "contradiction",
            setting=f"data.sets.{name}.{setting}",
        )
    if setting in OF_NEW_IMAGES and value is not None and getattr(data, setting) is None:
        raise ConfigError(
            f"new images are read by data.{setting}, which is not set; set it, too",
            "missing-setting",
            setting=f"data.sets.{name}.{setting}",
        )


def _check_names(sets: Mapping[str, Any]) -> None:
    """Raise `ConfigError` unless the names can begin the names of samples."""
    if not sets:
        raise ConfigError(
            "needs at least one set; otherwise leave out the setting",
            "missing-setting",
            setting="data.sets",
        )
    for name in sets:
        if not re.fullmatch(r"\w([\w .-]*\w)?", name):
            raise ConfigError(
                f"the name of a set consists of letters, digits, spaces, '.', '-' and '_'; found "
                f"{name!r}",
                setting="data.sets",
            )
