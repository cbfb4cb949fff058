"""Masks of an evaluation that are stored in another way than those of the training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from segkit.config import DataConfig, RunConfig
from segkit.config.reading import changed
from segkit.errors import ConfigError, DataError, SegkitWarning
from segkit.evaluation.open_pixels import is_sparse, labelled_share
from segkit.task import VOID

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


@contextmanager
def advising_set(is_own_data: bool, settings: Sequence[str]) -> Iterator[None]:
    """Add to errors of mask files that `--set` says how they are stored.

    Args:
        is_own_data: Whether the masks are those of the run's own data; then errors are unchanged.
        settings: The settings that `--set` has; with any, errors are unchanged.
    """
    try:
        yield
    except DataError as problem:
        if is_own_data or settings or not problem.code.startswith("mask-"):
            raise
        advice = (
            "The masks are read as in the training. If they are stored in another way, give "
            "settings of data with --set"
        )
        raise problem.with_message(f"{problem}. {advice}") from problem


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
    if not is_sparse(report):
        return None
    missing = []
    for name in report.get("open", {}):
        if report["classes"][name]["pixels_true"] == 0:
            missing.append(name)
    if not missing:
        return None
    share = labelled_share(report) or 0.0
    return SegkitWarning(
        f"only {100 * share:.3g} % of the pixels of these masks are labelled, and none is "
        f"{' or '.join(missing)}. Read as unlabelled, as in the training: "
        f"{', '.join(_read_as_void(config.data))}. If these pixels mean something else here, say "
        f"how these masks are stored, for example "
        f"--set 'data.mask_values={{0: {missing[0]}, ...}}'",
        "masks-stored-otherwise",
    )


def _read_as_void(data: DataConfig) -> list[str]:
    """Return the values, colours and pixels that a run reads as unlabelled, as text."""
    found = []
    for name in ("mask_values", "mask_colours"):
        meanings = getattr(data, name) or {}
        values = [str(value) for value, meaning in meanings.items() if meaning == "void"]
        if values:
            found.append(f"{', '.join(values)} (data.{name})")
    if data.others_void:
        found.append("everything that has no entry (data.other_values)")
    if data.transparent == "void":
        found.append("pixels that are not opaque (data.transparent)")
    return found or [str(VOID)]
