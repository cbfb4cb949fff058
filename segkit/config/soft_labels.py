"""Settings of the section `data` about soft labels: a probability per class and pixel."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator

from segkit import catalog
from segkit.config.section import Section
from segkit.errors import ConfigError

if TYPE_CHECKING:
    from segkit.config.data import DataConfig

PLACES = ("masks", "annotations", "list_file")
"""Settings that say where the masks of an annotator are."""
OF_AN_ANNOTATOR = (
    *PLACES,
    "source",
    "mask_suffix",
    "image_suffix",
    "mask_values",
    "mask_colours",
    "colour_tolerance",
    "other_values",
    "mask_threshold",
    "mask_ids",
    "on_top",
    "labels",
    "label_attribute",
    "line_width",
    "overlaps",
    "without_labels",
    "run_lengths",
    "crowds",
    "unlabelled",
    "labelled_classes",
    "missing_masks",
    "transparent",
    "outside_shapes",
    "point_radius",
    "boxes",
    "labelled_area",
)
"""The settings that an annotator may have; others are those of `data`."""
OF_HARD_MASKS = (
    "mask_values",
    "mask_colours",
    "other_values",
    "mask_threshold",
    "mask_ids",
    "on_top",
    "unlabelled",
    "labelled_classes",
    "point_radius",
    "transparent",
)
"""Settings that say what values of a mask mean, which probabilities do not need."""
_NOT_OF_AN_ANNOTATOR = (
    "annotators",
    "sets",
    "blocks",
    "validation",
    "test",
    "fold",
    "on_all",
    "keep_together",
    "groups",
    "relative_to",
)
"""Settings of `data` that mean nothing for the masks of one annotator."""


def by_name(value: Any) -> Any:
    """Return annotators by name, also where each is only a folder of masks.

    Args:
        value: A list of folders, or folders or settings by name; anything else is returned.

    Raises:
        ValueError: If two folders of a list have equal names.

    >>> by_name(["masks/anna", "masks/ben"])
    {'anna': {'masks': 'masks/anna'}, 'ben': {'masks': 'masks/ben'}}
    """
    if isinstance(value, list | tuple):
        folders = [str(folder) for folder in value]
        names = [Path(folder).name for folder in folders]
        if len(set(names)) < len(names):
            raise ValueError(
                f"folders of equal names need a name for each annotator, as in {{anna: "
                f"masks/anna}}; found {', '.join(folders)}"
            )
        value = dict(zip(names, folders, strict=True))
    if not isinstance(value, Mapping):
        return value
    named: dict[Any, Any] = {}
    for name, own in value.items():
        named[name] = {"masks": str(own)} if isinstance(own, str | Path) else own
    return named


Annotators = Annotated[dict[str, dict[str, Any]], BeforeValidator(by_name)]
"""Settings of each annotator by name."""


class SoftLabels(Section):
    """Labels that are probabilities."""

    annotators: Annotators | None = None
    """The masks of several people for the same images: a list of folders, or for each name a folder
    or settings of this section such as masks and mask_values. A label is then the share of the
    annotators who chose the class."""
    mask_probabilities: bool = False
    """Whether mask files store the probability of each class from 0 to 1, as floating-point numbers
    (TIFF, NPY) or with the highest value of an image of 8 or 16 bits as 1: one file with a band
    per class, or one folder per class (source folder)."""

    @property
    def are_soft(self) -> bool:
        """Whether the settings make labels soft."""
        return self.annotators is not None or self.mask_probabilities


def check_probability_masks(data: DataConfig) -> None:
    """Check that no setting contradicts masks of probabilities.

    Args:
        data: The section `data`. Nothing is checked without `mask_probabilities`; each of several
            data sets checks its own settings.

    Raises:
        ConfigError: If one does.
    """
    if not data.mask_probabilities or data.sets is not None:
        return
    if data.source != "folder":
        raise ConfigError(
            f"masks of probabilities are files in folders or in a list (data.source: folder); "
            f"found the source {data.source}",
            "contradiction",
            setting="data.mask_probabilities",
        )
    if data.missing_masks == "void":
        raise ConfigError(
            "a class without a file has no probability; leave out such images (leave_out)",
            "contradiction",
            setting="data.missing_masks",
        )
    for name in OF_HARD_MASKS:
        if getattr(data, name) not in (None, "error"):
            raise ConfigError(
                "says what the values of masks mean, but data.mask_probabilities says that they "
                "are probabilities; use one of both",
                "contradiction",
                setting=f"data.{name}",
            )


def checked_annotators(data: DataConfig) -> dict[str, dict[str, Any]] | None:
    """Check the annotators, and return their settings with absolute paths; None without them.

    Args:
        data: The section `data`.

    Raises:
        ConfigError: If a setting is wrong, or contradicts the settings of `data`.
    """
    if data.annotators is None:
        return None
    annotators = data.annotators
    for setting in (*PLACES, "mask_probabilities"):
        if getattr(data, setting):
            raise ConfigError(
                "data.annotators says where the masks are and what they mean; use one of both "
                "settings",
                "contradiction",
                setting=f"data.{setting}",
            )
    if data.sets is not None:
        raise ConfigError(
            "name the annotators of each set, as in data.sets.NAME.annotators",
            "contradiction",
            setting="data.annotators",
        )
    if len(annotators) < 2:
        raise ConfigError(
            f"needs the masks of two annotators or more; found {', '.join(annotators) or 'none'}. "
            f"Masks of one person are data.masks",
            setting="data.annotators",
        )
    found = {}
    for name, own in annotators.items():
        section = _section_of(data, name, own)
        catalog.find(catalog.SOURCES, section.source, f"data.annotators.{name}.source")
        stored = section.model_dump(mode="json", include=set(own))
        found[name] = {key: stored[key] for key in own}
    return found


def annotator_configs(data: DataConfig) -> dict[str, DataConfig]:
    """Return the section `data` of each annotator by name; none without annotators."""
    return {name: _section_of(data, name, own) for name, own in (data.annotators or {}).items()}


def _section_of(data: DataConfig, name: str, own: Mapping[str, Any]) -> DataConfig:
    """Return the settings of an annotator; those that it does not name are those of `data`."""
    for setting in own:
        if setting not in OF_AN_ANNOTATOR:
            raise ConfigError(
                f"an annotator may have the settings {', '.join(OF_AN_ANNOTATOR)}; others are in "
                f"the section data",
                "unknown-setting",
                setting=f"data.annotators.{name}.{setting}",
            )
    values = data.model_dump(exclude=set(_NOT_OF_AN_ANNOTATOR))
    values |= {"trust": data.trust, **own}
    try:
        return type(data)(**values)
    except ConfigError as problem:
        inner = (problem.setting or "").removeprefix("data.")
        setting = f"data.annotators.{name}.{inner}".removesuffix(".")
        named = problem.with_message(f"data.annotators.{name}: {problem}")
        named.setting = setting
        raise named from problem
