"""Addresses of planes, which are flat images of a file with further named axes such as Z."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from segkit.errors import DataError

AxisMeaning = Literal["samples", "channels"] | int
"""The meaning of an axis: its positions are images of their own, or channels of one image, or only
one position is read, which is counted from 1."""
Axes = Mapping[str, AxisMeaning]
"""The meaning of each axis by its letter (`data.axes`)."""
ADDRESS = re.compile(r"(?P<file>.+)#(?P<axes>[A-Z][0-9]*(_[A-Z][0-9]*)*)", re.DOTALL)
"""A file, and the axes of a plane: "a.tif#T001_Z003_C" is the first time and the third height."""
IMAGE_AXIS = "P"
"""The axis of the images of a file, which are also called series, scenes or positions."""
POSITIONS = re.compile(r"/[A-OQ-Z][0-9]{3,}(_[A-Z][0-9]{3,})*$")
"""The end of the name of a plane, after the name of its stack."""
IMAGE = re.compile(r"/P(?P<number>[0-9]{3,})$")
"""The end of the name of a stack that is one of several images of a file."""
MOST_DESCRIBED = 4
"""Images of a file that a message describes."""


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


def plane_name(file: str, positions: Mapping[str, int]) -> str:
    """Return the name of a plane; that of its file, if the file has one plane.

    Args:
        file: The name of the file.
        positions: The position, from 0, along each axis whose positions are samples.

    >>> plane_name("monday/cells", {"T": 0, "Z": 2}), plane_name("cells", {})
    ('monday/cells/T001_Z003', 'cells')
    >>> plane_name("cells", {"P": 1}), plane_name("cells", {"P": 1, "Z": 2})
    ('cells/P002', 'cells/P002/Z003')
    """
    within = dict(positions)
    name = file
    if IMAGE_AXIS in within:
        image = {IMAGE_AXIS: within.pop(IMAGE_AXIS)}
        name = f"{file}/{Plane(image, ())}"
    if not within:
        return name
    return f"{name}/{Plane(within, ())}"


def of_one_stack(one: str, other: str) -> bool:
    """Return whether two names are those of planes of one file.

    >>> of_one_stack("cells/T001", "cells/T002"), of_one_stack("a", "a")
    (True, False)
    """
    file = stack_file_name(one)
    return file != one and file == stack_file_name(other)


def stack_name(name: str) -> str:
    """Return the name of the stack of a plane: its file, or one of several images of its file.

    >>> stack_name("monday/cells/T001_Z003"), stack_name("cells")
    ('monday/cells', 'cells')
    >>> stack_name("cells/P002/Z003"), stack_name("cells/P002")
    ('cells/P002', 'cells/P002')
    """
    return POSITIONS.sub("", name, count=1)


def stack_file_name(name: str) -> str:
    """Return the name of the file of a plane.

    >>> stack_file_name("monday/cells/T001_Z003"), stack_file_name("cells/P002/Z003")
    ('monday/cells', 'cells')
    """
    return IMAGE.sub("", stack_name(name), count=1)


def image_number(
    path: Path, count: int, describe: Callable[[], Sequence[Mapping[str, int]]]
) -> int:
    """Return the number, from 0, of the image that an address names.

    Args:
        path: The address, or the path of a file with one image.
        count: The number of images in the file.
        describe: Returns the length of each axis of each image, for messages.

    Raises:
        DataError: If there is no such image, or several and the address names none.
    """
    if count == 1:
        return 0
    _, plane = split_plane(path)
    if plane is None or IMAGE_AXIS not in plane.fixed:
        raise several_images(path, describe())
    number = plane.fixed[IMAGE_AXIS]
    if not 0 <= number < count:
        raise DataError(f"{path}: has {count} images, not {number + 1}", "pages")
    return number


def several_images(path: Path, images: Sequence[Mapping[str, int]]) -> DataError:
    """Return the error that asks which of several images of a file are meant.

    Args:
        path: The file.
        images: The length of each axis of each image.
    """
    described = [axes_in_words(lengths) for lengths in images[:MOST_DESCRIBED]]
    if len(images) > MOST_DESCRIBED:
        described.append("...")
    asked = [IMAGE_AXIS]
    for axis in dict.fromkeys(axis for lengths in images for axis in lengths):
        is_long = any(lengths.get(axis, 1) > 1 for lengths in images)
        if axis not in "YXSC" and axis != IMAGE_AXIS and is_long:
            asked.append(axis)
    example = ", ".join(f"{axis}: samples" for axis in asked)
    return DataError(
        f"{path}: holds {len(images)} images ({'; '.join(described)}). Set data.axes (--axes of "
        f"segkit predict), for example {{{example}}}: {IMAGE_AXIS} is samples if each image is "
        f"read, or the number of the only image that is read, from 1",
        "pages",
    )


def check_axes(path: Path, lengths: Mapping[str, int], plane: Plane) -> None:
    """Check that a file has the plane of an address.

    Args:
        path: The address, for messages.
        lengths: The length of each axis of the file by its letter. Axes of length 1 may be missing.
        plane: The plane.

    Raises:
        DataError: If an axis has no such position, or the plane does not say what an axis means.
    """
    for axis, position in plane.fixed.items():
        if axis == IMAGE_AXIS and axis not in lengths:
            continue  # the number of the image in its file
        if not 0 <= position < lengths.get(axis, 1):
            raise DataError(
                f"{path}: has {lengths.get(axis, 1)} position(s) along {axis}, not {position + 1}; "
                f"its axes are {axes_in_words(lengths)}",
                "pages",
            )
    known = {"Y", "X", "S", *plane.fixed, *plane.channels}
    if not {"Y", "X"} <= set(lengths):
        raise not_flat(path, lengths)
    if any(axis not in known and length > 1 for axis, length in lengths.items()):
        raise unknown_axes(path, lengths)


def not_flat(path: Path, lengths: Mapping[str, int]) -> DataError:
    """Return the error for an image without rows and columns."""
    return DataError(
        f"{path}: has the axes {axes_in_words(lengths)}; segkit reads planes of Y and X", "pages"
    )


def axes_in_words(lengths: Mapping[str, int]) -> str:
    """Return axes and their lengths for messages.

    >>> axes_in_words({"Z": 3, "Y": 40, "X": 50})
    'Z (3), Y (40), X (50)'
    """
    return ", ".join(f"{axis} ({length})" for axis, length in lengths.items())


def unknown_axes(path: Path, lengths: Mapping[str, int], more: str = "") -> DataError:
    """Return the error that asks for the meaning of axes.

    Args:
        path: The file.
        lengths: The length of each axis of the file by its letter.
        more: The end of the message.
    """
    asked = [axis for axis, length in lengths.items() if axis not in "YXSC" and length > 1]
    example = ", ".join(f"{axis}: samples" for axis in asked)
    return DataError(
        f"{path}: has the axes {axes_in_words(lengths)}, and {' and '.join(asked)} can mean "
        f"different things. Set data.axes (--axes of segkit predict), for example {{{example}}}: "
        f"samples if each position is an image of its own, channels if they are the channels of "
        f"one image, or the number of the only position that is read, from 1{more}",
        "pages",
    )


def positions_in_name(name: str) -> dict[str, int]:
    """Return the position, from 0, along each axis of its stack that the name of a plane states.

    >>> positions_in_name("monday/cells/T001_Z003"), positions_in_name("cells")
    ({'T': 0, 'Z': 2}, {})
    >>> positions_in_name("cells/P002/Z003")
    {'Z': 2}
    """
    found = POSITIONS.search(name)
    if found is None:
        return {}
    return {part[0]: int(part[1:]) - 1 for part in found[0].removeprefix("/").split("_")}
