"""Files by which the folder of a labelling tool is recognised, so that a message can say what to do with it."""

from __future__ import annotations

import json
import re
from pathlib import Path

MOST = 1_000_000
"""Bytes of a JSON file that is opened to see who wrote it."""


def classes_of_cvat(masks: Path) -> dict[int, str]:
    """Return the name of each colour (packed 0xrrggbb) as CVAT's labelmap.txt beside the masks says; nothing without one.

    Its lines are NAME:RED,GREEN,BLUE:PARTS:ACTIONS.
    """
    found: dict[int, str] = {}
    for line in _lines(masks, "labelmap.txt"):
        parts = re.fullmatch(r"([^#].*?):(\d{1,3}),(\d{1,3}),(\d{1,3}):[^:]*:[^:]*", line)
        if parts:
            red, green, blue = (int(value) for value in parts.groups()[1:])
            found[(red << 16) | (green << 8) | blue] = parts[1]
    return found


def classes_of_labelme(masks: Path) -> list[str]:
    """Return the names of the ids as class_names.txt of labelme2voc.py says beside the masks; nothing without one.

    The first name of such a file is `_background_`; other files of this name may count from another number.
    """
    names = [line for line in _lines(masks, "class_names.txt") if line and line != "__ignore__"]
    if names[:1] != ["_background_"]:
        return []
    return ["background", *names[1:]]


def _lines(masks: Path, name: str) -> list[str]:
    for place in (masks / name, masks.parent / name):
        if place.is_file() and place.stat().st_size < MOST:
            return [
                line.strip()
                for line in place.read_text(encoding="utf-8", errors="replace").splitlines()
            ]
    return []


def of_a_tool(images: Path | None, masks: Path | None) -> str:
    """Return what to do with folders that a labelling tool wrote; "" if none is recognised."""
    folders = [folder for folder in (masks, images) if folder is not None]
    for folder in folders:
        for place in (folder, folder.parent):
            if (place / "labelmap.txt").is_file():
                return (
                    f"{place / 'labelmap.txt'} is CVAT's list of classes and their colours: take its SegmentationClass as "
                    f"data.masks and its JPEGImages as data.images, and name the colours in data.mask_colours"
                )
    for folder in folders:
        if _has_labelme_files(folder):
            return (
                f"{folder} holds labelme's JSON files, which are polygons and no masks: make masks of them by labelme's "
                f"own labelme2voc.py or labelme2coco.py (docs/how-to/labelme.md)"
            )
    return ""


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
