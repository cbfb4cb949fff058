"""Examples of a data set: images beside their masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from segkit.inspection.fingerprint import SampleFingerprint
from segkit.inspection.inspect import Inspection
from segkit.io.images import as_display, write_picture_for_user
from segkit.io.overlay import FEW_LABELLED, overlay, panel
from segkit.task import VOID, Task

EXAMPLES = 6
"""Number of examples, if these show every class."""
SHEET_WIDTH = 224
"""Width of a picture on the sheet, pixels."""
GAP = 6
"""Distance between an image and its mask, pixels."""


def choose_examples(task: Task, facts: Sequence[SampleFingerprint]) -> list[SampleFingerprint]:
    """Return samples that together show every foreground class that occurs.

    The samples with the most classes that are not shown yet are chosen first. Then samples with
    objects are added, spread over the data set, until there are `EXAMPLES`.

    Returns:
        The samples in the order of `facts`; none if there are no samples.
    """
    candidates = [fact for fact in facts if fact.classes[list(task.foreground)].any()] or facts
    chosen = _cover_classes(task, candidates)
    missing = max(0, min(EXAMPLES, len(candidates)) - len(chosen))
    others = [place for place in range(len(candidates)) if place not in chosen]
    spread = np.linspace(0, len(others) - 1, missing).round().astype(int)
    chosen |= {others[place] for place in spread}
    return [candidates[place] for place in sorted(chosen)]


def _cover_classes(task: Task, candidates: Sequence[SampleFingerprint]) -> set[int]:
    """Return the places of samples that together show every foreground class that occurs."""
    if not candidates:
        return set()
    shows = np.array([fact.classes > 0 for fact in candidates])
    is_missing = np.zeros(task.channels, bool)
    is_missing[list(task.foreground)] = True
    is_missing &= shows.any(axis=0)
    chosen = set()
    while is_missing.any():
        place = int((shows & is_missing).sum(axis=1).argmax())
        chosen.add(place)
        is_missing &= ~shows[place]
    return chosen


def example_pair(inspection: Inspection, fact: SampleFingerprint, width: int) -> list[np.ndarray]:
    """Return an image, and the image with its mask.

    Args:
        inspection: The inspection of the data set.
        fact: The sample.
        width: Largest width of each picture, pixels; its height is at most twice this width.

    Returns:
        Two pictures of one size, (H, W, 3) uint8.
    """
    task = inspection.task
    sample = inspection.parts[fact.part].read(fact.name)
    target = task.encode(sample.mask, fact.name, void=VOID)
    image = as_display(sample.image, sample.valid)
    sparse = has_strokes(inspection)
    labelled = overlay(task, sample.image, target, valid=sample.valid, has_strokes=sparse)
    return [_fit_width(picture, width) for picture in (image, labelled)]


def side_by_side(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Return pictures of equal height as one picture, with grey gaps."""
    gap = np.full((pictures[0].shape[0], GAP, 3), 128, np.uint8)
    columns = [pictures[0]]
    for picture in pictures[1:]:
        columns += [gap, picture]
    return np.concatenate(columns, axis=1)


def examples(inspection: Inspection) -> np.ndarray | None:
    """Return a sheet of examples with their names, two per row, (H, W, 3) uint8.

    Returns:
        The sheet; None if no sample can be read.
    """
    pictures = []
    names = []
    for fact in choose_examples(inspection.task, inspection.survey.facts):
        pictures += example_pair(inspection, fact, SHEET_WIDTH)
        names += [fact.name, ""]
    if not pictures:
        return None
    if len(pictures) % 4:
        pictures += [np.full((8, 8, 3), 255, np.uint8)] * 2
    starts = range(0, len(pictures), 4)
    rows = [pictures[start : start + 4] for start in starts]
    names_of_rows = [names[start : start + 4] for start in starts]
    titles = ("image", "mask", "image", "mask")
    return panel(inspection.task, rows, titles, names_of_rows, has_strokes(inspection))


def has_strokes(inspection: Inspection) -> bool:
    """Return whether most pixels of the masks are unlabelled, as around strokes."""
    facts = inspection.survey.facts
    labelled = sum(fact.labelled for fact in facts)
    return labelled < FEW_LABELLED * sum(fact.pixels for fact in facts)


def write_examples(inspection: Inspection, path: Path) -> bool:
    """Write the sheet of examples; return False, and write nothing, if there is none."""
    sheet = examples(inspection)
    if sheet is None:
        return False
    write_picture_for_user(path, sheet)
    return True


def _fit_width(picture: np.ndarray, width: int) -> np.ndarray:
    """Return the picture with this width, or with twice this height if it is very tall.

    It is averaged if it is reduced, and has sharp pixels if it is enlarged.
    """
    height, own_width = picture.shape[:2]
    scale = min(width / own_width, 2 * width / height)
    size = (max(1, round(own_width * scale)), max(1, round(height * scale)))
    method = Image.Resampling.BOX
    if scale > 1:
        method = Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(picture).resize(size, method))
