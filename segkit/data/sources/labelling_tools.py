"""Files by which the folder of a labelling tool is recognised, so that a message can say what to do with it."""

from __future__ import annotations

import json
from pathlib import Path

MOST = 1_000_000
"""Bytes of a JSON file that is opened to see who wrote it."""


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
