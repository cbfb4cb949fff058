"""The file DIR-coding.json, which describes the coding of a folder of masks by settings."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from segkit.io.atomic import write_text
from segkit.io.coding import Coding, as_text

LARGEST = 2**20
"""Bytes that a record may have."""


class Record(NamedTuple):
    """The coding of masks: the layout of their files, and settings of a config's `data` section."""

    layout: str
    mask_suffix: str
    way: str
    """The setting that gives values a meaning: "mask_values" or "mask_colours"."""
    meanings: dict[str, str]
    """The meaning of each value, or colour as "#rrggbb": a class, absent, present or void."""

    def as_settings(self) -> dict[str, Any]:
        """Return the record as the settings that the file holds."""
        return {"layout": self.layout, "mask_suffix": self.mask_suffix, self.way: self.meanings}

    def in_words(self) -> str:
        """Return the meaning of each value or colour as text."""
        return ", ".join(f"{stored}: {name}" for stored, name in self.meanings.items())


def record_path(masks: Path) -> Path:
    """Return the path of the record of a folder of masks, which is beside the folder.

    >>> record_path(Path("/out/masks")).as_posix()
    '/out/masks-coding.json'
    """
    folder = Path(os.path.abspath(masks))  # noqa: PTH100 (it keeps links)
    return folder.with_name(f"{folder.name}-coding.json")


def record_of(coding: Coding) -> Record:
    """Return the record of a coding.

    >>> from segkit import Task
    >>> from segkit.io.coding import segkit_coding
    >>> record_of(segkit_coding(Task.binary("crack"))).in_words()
    '0: absent, 255: present, 128: void'
    """
    meanings = {as_text(stored): name for name, stored in coding.names().items()}
    way = "mask_values"
    if coding.in_colours:
        way = "mask_colours"
    return Record(coding.layout, coding.mask_suffix, way, meanings)


def read_record(masks: Path) -> Record | None:
    """Return the record of a folder of masks; None if there is none, or it cannot be read."""
    path = record_path(masks)
    if not path.is_file() or path.stat().st_size > LARGEST:
        return None
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        way = "mask_values"
        if "mask_colours" in settings:
            way = "mask_colours"
        meanings = {str(stored): str(name) for stored, name in settings[way].items()}
        return Record(str(settings["layout"]), str(settings["mask_suffix"]), way, meanings)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def write_record(coding: Coding, name: str, masks: Path) -> None:
    """Write the record of a folder of masks.

    Args:
        coding: The coding.
        name: The name of the coding, "data" or "segkit".
        masks: The folder.
    """
    record = record_of(coding)
    if read_record(masks) != record:
        text = json.dumps({"coding": name, **record.as_settings()}, indent=2, ensure_ascii=False)
        write_text(record_path(masks), text + "\n")
