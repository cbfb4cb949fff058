"""Checks a VRT, GDAL's XML file that puts an image together from other files."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

from segkit.errors import DataError
from segkit.io.files import read_bytes

MOST_BYTES = 2**26
"""Bytes of a VRT; one of 100,000 sources has half of them."""
DEEPEST = 3
"""VRTs that may refer to one another."""
SOURCES = ("SourceFilename", "SourceDataset")
KNOWN = (".tif", ".tiff", ".jp2", ".png", ".jpg", ".jpeg", ".vrt", ".msk", ".ovr")
"""Suffixes of files that a VRT may refer to. Others may be descriptions of servers."""


def sources_of(path: Path) -> list[Path]:
    """Return the files that a VRT names, each once.

    Raises:
        DataError: If the file is no VRT.
    """
    try:
        root = ElementTree.fromstring(read_bytes(path, MOST_BYTES))  # noqa: S314 (expat limits entities)
    except ElementTree.ParseError as problem:
        message = f"{path}: is not a VRT, or a damaged one ({problem})"
        raise DataError(message) from problem
    except FileNotFoundError as problem:
        raise DataError(f"{path}: there is no such file", "missing-file") from problem
    if root.tag != "VRTDataset":
        raise DataError(f"{path}: is not a VRT of GDAL; its first element is {root.tag}")
    found: dict[Path, None] = {}
    for kind in SOURCES:
        for element in root.iter(kind):
            text = element.text or ""
            if element.get("relativeToVRT") == "1":
                found[path.parent / text] = None
            else:
                found[Path(text)] = None
    return list(found)


def check_vrt(path: Path, depth: int = 1) -> None:
    """Check that a VRT names image files of this machine only.

    Args:
        path: The VRT.
        depth: How many VRTs refer to one another up to this one.

    Raises:
        DataError: If it names a file that is missing or no image, or an address on a network.
    """
    if depth > DEEPEST:
        raise DataError(f"{path}: more than {DEEPEST} VRTs refer to one another", "vrt-source")
    for source in sources_of(path):
        if source.suffix.lower() not in KNOWN or not os.path.isfile(source):  # noqa: PTH113 (is_file raises for long names)
            raise DataError(
                f"{path}: refers to {source}, which is no image file on this machine. A VRT is "
                f"read if all its sources are files of {', '.join(KNOWN)}",
                "vrt-source",
            )
        if source.suffix.lower() == ".vrt":
            check_vrt(source, depth + 1)
