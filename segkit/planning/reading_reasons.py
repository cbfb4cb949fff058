"""The reasons for those settings of a plan by which its files are read."""

from __future__ import annotations

from segkit.config import DataConfig
from segkit.inspection.mask_format.guess import Guess
from segkit.inspection.verdict import Verdict
from segkit.task import Task

PLACES = (
    "images",
    "masks",
    "image_suffix",
    "mask_suffix",
    "list_file",
    "annotations",
    "vector",
    "bands",
    "name",
    "data_dir",
    "split",
    "image_key",
    "mask_key",
)
"""The settings of `data` that say where the files are."""
VALUES = (
    "mask_values",
    "mask_colours",
    "other_values",
    "mask_threshold",
    "mask_ids",
    "mask_probabilities",
    "labels",
    "unlabelled",
    "missing_masks",
    "transparent",
)
"""The settings of `data` that say how the values of a mask are read."""
FROM_CONFIG = "Your config says so."


def explain_task(task: Task, verdict: Verdict, guess: Guess | None) -> dict[str, str]:
    """Return the reasons for the settings of the section `task`.

    Args:
        task: The task of the plan.
        verdict: The task that the masks suggest.
        guess: How the masks were detected to be stored; None if the config is the user's own.
    """
    reasons = {}
    if guess:
        reasons["task.kind"] = f"The masks show: {verdict}"
        reasons["task.classes"] = (
            "The classes are in the order of their values. You may change their names."
        )
    else:
        reasons["task.kind"] = f"{FROM_CONFIG} The masks show: {verdict}"
    if task.sets:
        reasons["task.sets"] = "These are the sets of classes that pixels of the masks can have."
    if task.flip_pairs:
        reasons["task.flip_pairs"] = "Mirroring an image exchanges left and right."
    return reasons


def explain_reading(data: DataConfig, guess: Guess | None) -> dict[str, str]:
    """Return the reasons for the settings of the section `data` that are not at their default.

    Args:
        data: The section.
        guess: How the masks were detected to be stored; None if the section is the user's own.
    """
    source = FROM_CONFIG
    parts = FROM_CONFIG
    values = FROM_CONFIG
    if guess:
        source = f"The masks are stored as follows: {guess.read_as}."
        parts = "The data set itself says which sample belongs to which part."
        values = "These values were found in the masks. You may change the names of the classes."
    if guess and guess.doubts:
        values = " ".join(_as_sentence(doubt.message) for doubt in guess.doubts)
    reasons = dict.fromkeys(PLACES, "This is where the files are, or how they are paired.")
    reasons |= dict.fromkeys(("validation", "test"), parts)
    if guess:
        reasons["axis"] = "The volumes were scanned in this direction."
    reasons |= dict.fromkeys(VALUES, values)
    changed = data.model_dump(exclude_defaults=True)
    explained = {f"data.{setting}": reasons[setting] for setting in reasons if setting in changed}
    return {**explained, "data.source": source}


def _as_sentence(text: str) -> str:
    """Return text with a capital letter at its beginning and a full stop at its end."""
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."
