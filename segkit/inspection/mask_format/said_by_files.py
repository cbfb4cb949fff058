"""What mask files say of themselves and the user should know, because it decides what the masks are."""

from __future__ import annotations

from collections.abc import Sequence

from segkit.inspection.mask_format.contents import Stored
from segkit.task import Task

SAID_BY_FILES = frozenset({"pages", "mask-white", "mask-palette", "mask-nodata", "colour-space"})
"""Codes of files that are whole, but that say something which has to be decided."""


def said_by_files(task: Task, looked: Sequence[Stored]) -> tuple[tuple[str, str], ...]:
    """Return a code and a sentence for each decision that the files leave to how their tags are understood."""
    doubts = []
    white = [stored for stored in looked if stored.white]
    if white and not task.stores_ids:
        most = max(max(stored.pixels, default=0) for stored in white) or 1
        doubts.append(
            (
                "mask-white",
                f"{len(white)} mask files say that 0 is white (WhiteIsZero): they are read as they are seen, and white is "
                f"yes. If black is the object, set data.mask_values: {{0: present, {most}: absent}}",
            )
        )
    zero = [stored for stored in looked if stored.nodata == 0]
    if zero:
        doubts.append(
            (
                "mask-nodata",
                f"{len(zero)} mask files say that 0 is no data (GDAL_NODATA 0): it is read as unlabelled (void). If it is "
                f"the background, name it in data.mask_values",
            )
        )
    return tuple(doubts)
