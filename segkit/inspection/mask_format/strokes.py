"""Masks that may be strokes of a paint program, with pixels that nobody painted."""

from __future__ import annotations

from collections.abc import Sequence

from segkit.config import DataConfig
from segkit.inspection.mask_format.contents import Stored
from segkit.inspection.mask_format.guess import Doubt, Guess

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


def unpainted_doubts(guess: Guess, scanned: Sequence[Stored]) -> list[Doubt]:
    """Return a doubt if one value covers nearly all of every mask, beside two others at least.

    Args:
        guess: How the masks are read.
        scanned: The contents of the mask files.
    """
    readable = [stored.pixels for stored in scanned if stored.form != "broken" and stored.pixels]
    if not readable or not guess.task.stores_ids:
        return []
    common = {max(pixels, key=lambda value: pixels[value]) for pixels in readable}
    shares = [max(pixels.values()) / sum(pixels.values()) for pixels in readable]
    fewest = min(len(pixels) for pixels in readable)
    values = {value for pixels in readable for value in pixels}
    if len(common) > 1 or fewest < 3 or min(shares) < UNPAINTED or len(values) > MOST_PAINTED:
        return []
    value = common.pop()
    meanings = _meanings(guess)
    setting = "mask_values"
    text = str(value)
    if guess.data.mask_colours is not None:
        setting = "mask_colours"
        text = f"#{value:06x}"
    if meanings.get(text) in (None, "void"):
        return []
    meanings[text] = "void"
    listed = ", ".join(f"{key!r}: {name}" for key, name in meanings.items())
    if setting == "mask_values":
        listed = listed.replace("'", "")
    message = (
        f"{text} covers at least {100 * min(shares):.0f} % of every mask, and every mask has two "
        f"other values, as strokes of a paint program have. If nobody painted these pixels, set "
        f"data.{setting}: {{{listed}}}"
    )
    return [Doubt("strokes", message)]


def _meanings(guess: Guess) -> dict[str, str]:
    """Return what each value or colour of the masks means, as text."""
    data = guess.data
    if data.mask_colours is not None:
        return {colour: str(name) for colour, name in data.mask_colours.items()}
    if data.mask_values is not None:
        return {str(value): str(name) for value, name in data.mask_values.items()}
    return {str(value): name for value, name in enumerate(guess.task.classes)}
