"""Addresses of planes: flat images of a file whose pixels have further named axes, such as Z."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

AxisMeaning = Literal["samples", "channels"] | int
"""The meaning of an axis: its positions are images of their own, or channels of one image, or only
one position is read, which is counted from 1."""
Axes = Mapping[str, AxisMeaning]
"""The meaning of each axis by its letter (`data.axes`)."""
ADDRESS = re.compile(r"(?P<file>.+)#(?P<axes>[A-Z][0-9]*(_[A-Z][0-9]*)*)", re.DOTALL)
"""A file, and the axes of a plane: "a.tif#T001_Z003_C" is the first time and the third height."""
POSITIONS = re.compile(r"/[A-Z][0-9]{3,}(_[A-Z][0-9]{3,})*$")
"""The end of the name of a plane, after the name of its file."""


class Plane(NamedTuple):
    """A flat image of a file with further axes."""

    fixed: Mapping[str, int]
    """The position along each axis of which one position is read, from 0."""
    channels: tuple[str, ...]
    """The axes whose positions are channels; the last one varies fastest."""

    def __str__(self) -> str:
        fixed = [f"{axis}{position + 1:03d}" for axis, position in self.fixed.items()]
        return "_".join([*fixed, *self.channels])


def plane_path(path: Path, plane: Plane) -> Path:
    """Return the address of a plane.

    >>> plane_path(Path("a/b.tif"), Plane({"T": 0, "Z": 2}, ("C",))).name
    'b.tif#T001_Z003_C'
    """
    return path.with_name(f"{path.name}#{plane}")


def split_plane(path: Path) -> tuple[Path, Plane | None]:
    """Return the file and the plane of an address; the plane of another path is None.

    >>> split_plane(Path("b.tif#T001_Z003_C"))[1]
    Plane(fixed={'T': 0, 'Z': 2}, channels=('C',))
    >>> split_plane(Path("b.tif"))[1]
    """
    if "#" not in path.name:
        return path, None
    found = ADDRESS.fullmatch(path.name)
    if found is None or path.exists():
        return path, None
    fixed: dict[str, int] = {}
    channels: list[str] = []
    for part in found["axes"].split("_"):
        axis = part[0]
        position = part[1:]
        if position:
            fixed[axis] = int(position) - 1
        else:
            channels.append(axis)
    return path.with_name(found["file"]), Plane(fixed, tuple(channels))


def plane_name(stack: str, positions: Mapping[str, int]) -> str:
    """Return the name of a plane; that of its file, if the file has one plane.

    Args:
        stack: The name of the file.
        positions: The position, from 0, along each axis whose positions are samples.

    >>> plane_name("monday/cells", {"T": 0, "Z": 2}), plane_name("cells", {})
    ('monday/cells/T001_Z003', 'cells')
    """
    if not positions:
        return stack
    return f"{stack}/{Plane(positions, ())}"


def stack_name(name: str) -> str:
    """Return the name of the file of a plane.

    >>> stack_name("monday/cells/T001_Z003"), stack_name("cells")
    ('monday/cells', 'cells')
    """
    return POSITIONS.sub("", name, count=1)
