"""Masks of an evaluation that are stored in another way than those of the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from segkit.config import RunConfig
from segkit.config.reading import changed
from segkit.errors import ConfigError, SegkitWarning
from segkit.evaluation.open_pixels import labelled_share

MEANINGS = ("mask_values", "mask_colours", "mask_threshold", "mask_ids")
"""Settings of `data` that say what a mask file means. One replaces the others."""
SETTINGS = (
    *MEANINGS,
    "colour_tolerance",
    "other_values",
    "transparent",
    "mask_suffix",
    "image_suffix",
    "on_top",
)
"""Settings of `data` that say how masks are read."""
FEW_LABELLED = 0.5
"""Share of labelled pixels below which a class that has none of them is reported."""


def with_stored_masks(config: RunConfig, settings: Sequence[str]) -> RunConfig:
    """Return the config of a run that reads masks which are stored in another way.

    Args:
        config: The config of the run.
        settings: Changes such as "data.mask_values={0: background, 1: leaf}". One that says what
            the values mean replaces all of the run that do.

    Raises:
        ConfigError: If a setting is no setting of how masks are read, or is wrong.
    """
    if not settings:
        return config
    names = []
    for setting in settings:
        section, _, name = setting.partition("=")[0].strip().partition(".")
        if section != "data" or name not in SETTINGS:
            allowed = ", ".join(f"data.{each}" for each in SETTINGS)
            raise ConfigError(
                f"says how the masks are stored, by {allowed}; found {setting}",
                "unknown-setting",
                setting="--set",
            )
        names.append(name)
    if any(name in MEANINGS for name in names):
        replaced: dict[str, Any] = dict.fromkeys(MEANINGS)
        replaced |= {"colour_tolerance": 0, "other_values": "error", "transparent": "error"}
        config = config.model_copy(update={"data": config.data.model_copy(update=replaced)})
    return changed(config, settings)


def missing_class_warning(config: RunConfig, report: Mapping[str, Any]) -> SegkitWarning | None:
    """Return a warning if most pixels are unlabelled and no pixel has some class.

    The masks may be stored in another way than those of the training: a run on strokes reads 0 as
    unlabelled, and complete masks have 0 for the background.

    Args:
        config: The config of the run, by which the masks were read.
        report: The report.

    Returns:
        The warning; None if there is nothing to report.
    """
    share = labelled_share(report)
    if share is None or share >= FEW_LABELLED:
        return None
    missing = []
    for name in report.get("open", {}):
        if report["classes"][name]["pixels_true"] == 0:
            missing.append(name)
    void = _stored_as_void(config)
    if not missing or not void:
        return None
    return SegkitWarning(
        f"only {100 * share:.3g} % of the pixels of these masks are labelled, and none is "
        f"{' or '.join(missing)}. {void} is read as unlabelled, as in the training. If it means "
        f"something else here, say how these masks are stored, for example "
        f"--set 'data.mask_values={{0: {missing[0]}, ...}}'",
        "masks-stored-otherwise",
    )


def _stored_as_void(config: RunConfig) -> str:
    """Return the values or colours that the run reads as unlabelled; "" without any."""
    for name in ("mask_values", "mask_colours"):
        meanings = getattr(config.data, name) or {}
        values = [str(value) for value, meaning in meanings.items() if meaning == "void"]
        if values:
            return f"{', '.join(values)} (data.{name})"
    return ""
