"""Masks that may be strokes of a paint program, with pixels that nobody painted."""

from __future__ import annotations

from collections.abc import Sequence

from segkit.config import DataConfig
from segkit.inspection.mask_format.contents import Stored
from segkit.inspection.mask_format.guess import Doubt, Guess
from segkit.task import VOID

UNPAINTED = 0.9
"""Least share of the most common value in each mask of strokes."""

MOST_PAINTED = 8
"""Most values of masks of strokes; more are often the numbers of single objects."""


def read_transparent(
    data: DataConfig, scanned: Sequence[Stored]
) -> tuple[DataConfig, list[Stored], list[Doubt]]:
    """Decide what transparent pixels are: unlabelled if all masks have some, otherwise an error.

    Args:
        data: The settings that find the files.
        scanned: The contents of the mask files.

    Returns:
        The settings, the contents, of which those with transparent pixels may be broken now, and
        the doubt about the decision.
    """
    readable = [stored for stored in scanned if stored.form != "broken"]
    if data.transparent == "void" or not any(stored.transparent for stored in readable):
        return data, list(scanned), []
    if not all(stored.transparent for stored in readable):
        return data, [_refused(stored) for stored in scanned], []
    message = (
        "all masks have transparent pixels, which are read as unlabelled (void). If they are the "
        "background, save the masks without alpha channel"
    )
    data = data.model_copy(update={"transparent": "void"})
    return data, list(scanned), [Doubt("void-value", message)]


def _refused(stored: Stored) -> Stored:
    """Return the content of a mask that is not read if it has transparent pixels."""
    if not stored.transparent:
        return stored
    message = "a mask with a transparent part; data.transparent: void reads it as unlabelled"
    return stored._replace(form="broken", description=message, code="mask-alpha", pixels={})


def ask_about_unpainted(guess: Guess, scanned: Sequence[Stored]) -> Guess:
    """Add a doubt if one value covers nearly all of the masks, beside two others at least.

    The values are then named in the settings, so that the user can change what they mean.

    Args:
        guess: How the masks are read.
        scanned: The contents of the mask files.
    """
    if not guess.task.stores_ids:
        return guess
    value, share = _unpainted_value(scanned)
    if value is None:
        return guess
    meanings = _meanings(guess)
    setting = "mask_values"
    text = str(value)
    if guess.data.mask_colours is not None:
        setting = "mask_colours"
        text = f"#{value:06x}"
    if meanings.get(text) in (None, "void"):
        return guess
    advised = meanings | {text: "void"}
    listed = ", ".join(f"{key!r}: {name}" for key, name in advised.items())
    if setting == "mask_values":
        listed = listed.replace("'", "")
        named = {int(key): name for key, name in meanings.items()}
        guess = guess._replace(data=guess.data.model_copy(update={"mask_values": named}))
    message = (
        f"{text} covers at least {100 * share:.0f} % of every mask that has it, beside two other "
        f"values at least, as in strokes of a paint program. If nobody painted these pixels, set "
        f"data.{setting}: {{{listed}}}"
    )
    return guess._replace(doubts=(*guess.doubts, Doubt("strokes", message)))


def _unpainted_value(scanned: Sequence[Stored]) -> tuple[int | None, float]:
    """Return the value that nobody may have painted, and its least share of a mask that has it.

    Masks without this value have transparent pixels instead.
    """
    readable = [stored for stored in scanned if stored.form != "broken" and stored.pixels]
    values: set[int] = set()
    common: set[int] = set()
    for stored in readable:
        values.update(stored.pixels)
        if not stored.transparent:
            common.add(max(stored.pixels, key=lambda value: stored.pixels[value]))
    if len(common) != 1 or len(values) > MOST_PAINTED:
        return None, 0.0
    value = common.pop()
    shares = []
    for stored in readable:
        if value not in stored.pixels:
            continue
        if len(stored.pixels) < 3:
            return None, 0.0
        shares.append(stored.pixels[value] / sum(stored.pixels.values()))
    if min(shares) < UNPAINTED:
        return None, 0.0
    return value, min(shares)


def _meanings(guess: Guess) -> dict[str, str]:
    """Return what each value or colour of the masks means, as text."""
    data = guess.data
    if data.mask_colours is not None:
        return {colour: str(name) for colour, name in data.mask_colours.items()}
    if data.mask_values is not None:
        return {str(value): str(name) for value, name in data.mask_values.items()}
    meanings = {str(value): name for value, name in enumerate(guess.task.classes)}
    return meanings | {str(VOID): "void"}
