"""Recognises the folders of labelling tools by their files."""

from __future__ import annotations

import json
import re
from pathlib import Path

MOST = 1_000_000
"""Largest file that is opened to find out which tool wrote it, in bytes."""


def classes_of_cvat(masks: Path) -> dict[int, str]:
    """Read CVAT's labelmap.txt, whose lines are NAME:RED,GREEN,BLUE:PARTS:ACTIONS.

    Args:
        masks: The folder of masks. The file is in it or in the folder above.

    Returns:
        The name of each colour, packed as 0xrrggbb; empty without such a file.
    """
    names: dict[int, str] = {}
    for line in _lines(masks, "labelmap.txt"):
        parts = re.fullmatch(r"([^#].*?):(\d{1,3}),(\d{1,3}),(\d{1,3}):[^:]*:[^:]*", line)
        if parts:
            red, green, blue = (int(value) for value in parts.groups()[1:])
            names[(red << 16) | (green << 8) | blue] = parts[1]
    return names


def classes_of_labelme(masks: Path) -> list[str]:
    """Read the class_names.txt that labelme2voc.py writes.

    Its first name, apart from `__ignore__`, is `_background_`. Other files of this name may number
    their classes from another number and are ignored.

    Args:
        masks: The folder of masks. The file is in it or in the folder above.

    Returns:
        The names in the order of their ids, the first one "background"; empty without such a file.
    """
    names = [line for line in _lines(masks, "class_names.txt") if line and line != "__ignore__"]
    if names[:1] != ["_background_"]:
        return []
    return ["background", *names[1:]]


def of_a_tool(images: Path | None, masks: Path | None) -> str:
    """Describe what to do with folders that a labelling tool wrote.

    Args:
        images: The folder of images, if there is one.
        masks: The folder of masks, if there is one.

    Returns:
        A sentence; "" if no tool is recognised.
    """
    folders = [folder for folder in (masks, images) if folder is not None]
    for folder in folders:
        for place in (folder, folder.parent):
            if (place / "labelmap.txt").is_file():
                return (
                    f"{place / 'labelmap.txt'} is CVAT's list of classes and their colours: set "
                    f"data.source: voc, and data.images to the folder with JPEGImages and "
                    f"SegmentationClass; or name the colours in data.mask_colours"
                )
    for folder in folders:
        if _has_labelme_files(folder):
            return (
                f"{folder} contains JSON files of labelme, which are polygons and not masks: set "
                f"data.source: labelme, and data.annotations to this folder "
                f"(docs/how-to/labels.md)"
            )
    return ""


def _lines(masks: Path, name: str) -> list[str]:
    """Return the lines of a file in the folder of masks or the one above; [] without a file."""
    for place in (masks / name, masks.parent / name):
        if place.is_file() and place.stat().st_size < MOST:
            text = place.read_text(encoding="utf-8", errors="replace")
            return [line.strip() for line in text.splitlines()]
    return []


def _has_labelme_files(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    if any((inside / "label_names.txt").is_file() for inside in folder.glob("*_json")):
        return True
    found = next((path for path in sorted(folder.glob("*.json")) if path.is_file()), None)
    if found is None or found.stat().st_size > MOST:
        return False
    try:
        content = json.loads(found.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and "shapes" in content and "imagePath" in content
