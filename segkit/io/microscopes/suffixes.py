"""The suffixes of the files of microscopes."""

from __future__ import annotations

from pathlib import Path

from segkit.io.plane_addresses import split_plane

CZI = ".czi"
LIF = ".lif"
ND2 = ".nd2"
SUFFIXES = (CZI, LIF, ND2)
"""Suffixes in lower case."""


def is_microscope_file(path: Path) -> bool:
    """Return whether a file, or the address of a plane in it, has one of the suffixes."""
    return split_plane(path)[0].suffix.lower() in SUFFIXES
