"""The verdict of a report in three sentences, and the commands that reproduce its run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segkit.evaluation.error_causes import CONFUSED
from segkit.evaluation.intervals import PROMISED
from segkit.evaluation.open_pixels import ALL_PIXELS, is_sparse, scored_pixels
from segkit.run.folder import Row

CAUSES = {
    "boundary": "at the outline, within 2 pixels of the true one",
    "missed": "of objects that are missed",
    "invented": "of objects that are invented",
    "rest": "of holes, missing halves, or objects that run into each other",
}
"""Where the wrong pixels of each cause are."""


def verdict_sentences(
    scores: Mapping[str, Any] | None, where: str, rows: Sequence[Row]
) -> list[str]:
    """Return the verdict in three sentences: the score, the weakest class, and the bad images.

    Args:
        scores: The report of an evaluation, also of an older version; None if there is none.
        where: The images that were scored, such as "the test part".
        rows: The history of the training.
    """
    if scores is None or not scores["images"]:
        return _without_scores(rows)
    return [_score(scores, where), _weakest(scores), _bad_images(scores)]


def _without_scores(rows: Sequence[Row]) -> list[str]:
    trained = "Nothing is known about its training."
    if rows:
        losses = f"{rows[0]['loss']:.4g} to {rows[-1]['loss']:.4g}"
        trained = f"The training loss went from {losses} over {len(rows)} epochs."
    return [
        "The run has neither a test nor a validation part, so its quality is not known.",
        "Images with masks that it was not trained on would show it (--images and --masks).",
        trained,
    ]


def _score(scores: Mapping[str, Any], where: str) -> str:
    dice = scores["mean"]["dice_foreground"]
    images = f"{scores['images']} image{'s' if scores['images'] > 1 else ''}"
    if dice is None:
        return f"No foreground class occurs in {images} of {where}, so there is no score."
    sentence = f"The foreground Dice is {dice:.3f} on {images} of {where}"
    ends = scores.get("intervals", {}).get("mean", {}).get("dice_foreground")
    if ends is not None and ends["low"] is not None:
        unit = "images" if scores["groups"] is None else "groups"
        sentence += (
            f", with a 95 % interval from {ends['low']:.3f} to {ends['high']:.3f} over "
            f"{ends['groups']} {unit}"
        )
    elif ends is not None and ends["lowest"] is not None:
        unit = "image" if scores["groups"] is None else "group"
        sentence += (
            f", and from {ends['lowest']:.3f} to {ends['highest']:.3f} on a single {unit}; for "
            f"fewer than {PROMISED} {unit}s no interval can be promised"
        )
    pixels = scored_pixels(scores)
    if pixels != ALL_PIXELS:
        sentence += f"; it counts only {pixels}"
    if is_sparse(scores):
        sentence += ", so what this page says about outlines and objects means little"
    if scores.get("part") == "validation":
        sentence += "; it is optimistic, because the best epoch was chosen on these images"
    return f"{sentence}."


def _weakest(scores: Mapping[str, Any]) -> str:
    """Return a sentence about the foreground class with the lowest Dice, and its main loss."""
    known = {}
    for name in scores.get("lost", scores["classes"]):
        dice = scores["classes"][name]["dice"]
        if dice is not None:
            known[name] = dice
    if not known:
        return "No class has a Dice."
    name = min(known, key=lambda each: known[each])
    subject = f"The weakest class is {name} with a Dice of {known[name]:.3f}"
    if len(known) == 1:
        subject = f"The Dice of {name} is {known[name]:.3f}"
    losses = scores.get("lost", {}).get(name, {})
    lost = sum(losses.values())
    if not lost or is_sparse(scores):
        return f"{subject}."
    cause = max(losses, key=lambda each: losses[each])
    return (
        f"{subject}, and {100 * losses[cause] / lost:.0f} % of its loss comes from pixels "
        f"{describe_cause(cause)}."
    )


def describe_cause(cause: str) -> str:
    """Return where the wrong pixels of a cause are.

    Args:
        cause: A key of "lost" in a report.

    >>> describe_cause("confused with liver")
    'that are confused with liver'
    """
    if cause.startswith(CONFUSED):
        return f"that are {cause}"
    return CAUSES[cause]


def _bad_images(scores: Mapping[str, Any]) -> str:
    if "stands_out" in scores:
        return str(scores["stands_out"])
    return "Scores of single images are unknown, because an older version made them."


def reproduction(
    runs: Sequence[Path], environment: Mapping[str, Any], arguments: Sequence[str] = ()
) -> list[tuple[str, str]]:
    """Return commands with what they do: train again, report again, and predict.

    Args:
        runs: The run folders, at least one.
        environment: The content of environment.json; empty if it is missing.
        arguments: Further arguments of `segkit report`, such as those that name the images.
    """
    folders = " ".join(shlex.quote(str(run)) for run in runs)
    config = shlex.quote(str(runs[0] / "config.yaml"))
    report = " ".join(["segkit report", folders, *map(shlex.quote, arguments)])
    commands = [
        ("train again with the same settings", f"segkit train {config} --run runs/again"),
        ("make this report again", f"{report} --out report.html"),
        ("predict masks of new images", f"segkit predict {folders} IMAGES --out MASKS"),
    ]
    if environment.get("command"):
        commands.insert(0, ("the run was made by", str(environment["command"])))
    return commands
