"""Warnings about tags of mask files that change the meaning of their values."""

from __future__ import annotations

from collections.abc import Sequence

from segkit.inspection.mask_format.contents import Stored
from segkit.inspection.mask_format.guess import Doubt
from segkit.task import Task

TAG_CODES = frozenset({"pages", "mask-white", "mask-palette", "mask-nodata", "colour-space"})
"""Error codes of undamaged files with a tag for which the user has to choose a meaning."""


def tag_doubts(task: Task, scanned: Sequence[Stored]) -> tuple[Doubt, ...]:
    """Return a doubt for each tag that changes the meaning of values."""
    doubts = []
    white = [stored for stored in scanned if stored.white]
    if white and not task.stores_ids:
        largest = max(max(stored.pixels, default=0) for stored in white) or 1
        message = (
            f"{len(white)} mask files say that 0 is white (WhiteIsZero). They are read as they are "
            f"displayed, so white is yes. If black is the object, set "
            f"data.mask_values: {{0: present, {largest}: absent}}"
        )
        doubts.append(Doubt("mask-white", message))
    zero = [stored for stored in scanned if stored.nodata == 0]
    if zero:
        message = (
            f"{len(zero)} mask files say that 0 is nodata (GDAL_NODATA 0), so 0 is read as "
            f"unlabelled (void). If it is the background, name it in data.mask_values"
        )
        doubts.append(Doubt("mask-nodata", message))
    return tuple(doubts)
