"""OME-TIFF: one mask for each stack, with the axes and the pixel size of the stack."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.errors import DataError
from segkit.inference.outputs.parts import (
    Part,
    PartsOutput,
    damaged_part,
    read_part,
    write_part,
)
from segkit.inference.outputs.prediction import PredictedImage
from segkit.io.atomic import together
from segkit.io.coding import Coding
from segkit.io.plane_addresses import positions_in_name, split_plane, stack_name
from segkit.io.planes import axes_of, distance_along_z

AXES = "TZC"
"""The axes of which OME-TIFF has positions, in the order of the file."""
MICROMETRES = "µm"


class Stack(NamedTuple):
    """What the planes of a stack have in common."""

    lengths: dict[str, int]
    """The number of positions along each axis whose positions are planes."""
    pixel: tuple[float, float] | None
    """Height and width of a pixel, µm."""
    distance: float | None
    """The distance of planes along Z, µm."""
    shape: tuple[int, ...]
    """The shape of the mask of a plane."""


class OmeTiff(PartsOutput):
    """Writes DIR-ome-tiff/NAME.tif, or DIR-ome-tiff/CLASS/NAME.tif if each class has a folder.

    The values are those of the masks, as the data set stores them or by --coding.
    """

    ending = "-ome-tiff"

    def write(self, predicted: PredictedImage, paths: Sequence[Path]) -> None:
        positions = _positions(predicted)
        lengths = axes_of(predicted.path) if positions else {}
        pixel = predicted.geometry.size_in(MICROMETRES) if predicted.geometry else None
        about = {
            "positions": positions,
            "lengths": {axis: lengths[axis] for axis in positions},
            "pixel": pixel,
            "distance": distance_along_z(predicted.path) if "Z" in positions else None,
        }
        write_part(paths[0], Part(predicted.mask, about))

    def whole_of(self, name: str) -> str:
        return stack_name(name)

    def paths_of_whole(self, whole: str) -> list[Path]:
        return self.coding.paths(self.folder, whole, tiff=True)

    def merge_whole(self, whole: str, parts: Mapping[str, Path]) -> None:
        paths = list(parts.values())
        stack, _, _ = _read_plane(paths[0])
        if len(paths) < int(np.prod(list(stack.lengths.values()))):
            return  # planes failed, or another process predicts them
        values = np.zeros((*stack.lengths.values(), *stack.shape), np.uint8)
        for path in paths:
            found, position, mask = _read_plane(path)
            if found != stack:
                raise DataError(
                    f"{path}: was predicted of another image than the other planes of {whole}; "
                    f"remove the folder {path.parent} and predict the image again",
                    "pages",
                )
            values[position] = mask
        self._write_stack(stack, values, self.paths_of_whole(whole))

    def _write_stack(self, stack: Stack, values: np.ndarray, paths: Sequence[Path]) -> None:
        """Write a mask (..., H, W) or (..., H, W, P) of a stack."""
        with together(paths) as temporaries:
            for number, temporary in enumerate(temporaries):
                stored = _encoded(self.coding, stack, values, number)
                axes = "".join(stack.lengths)
                has_bands = stored.ndim > len(axes) + 2
                if has_bands and "C" in axes:
                    raise DataError(
                        f"{paths[number]}: has channels that are planes and a band for each class, "
                        f"which OME-TIFF does not hold; leave out --format ome-tiff",
                        "pages",
                    )
                metadata = _metadata(stack, f"{axes}{'C' if has_bands else ''}YX")
                if has_bands:
                    metadata["Channel"] = {"Name": list(self.task.classes)}
                _save(temporary, stored, metadata)


def _positions(predicted: PredictedImage) -> dict[str, int]:
    """Return the position of a plane in its stack, from 0; empty for an image of its own."""
    positions = positions_in_name(predicted.name)
    _, plane = split_plane(predicted.path)
    why = ""
    if positions and plane is None:
        why = "is named like the plane of a stack, but is an image of its own; rename it"
    unknown = [axis for axis in positions if axis not in AXES]
    if unknown:
        why = f"has planes along {', '.join(unknown)}; OME-TIFF has the axes {', '.join(AXES)}"
    if why:
        message = f"{predicted.path}: {why}, or leave out --format ome-tiff"
        raise DataError(message, "pages")
    return positions


def _read_plane(path: Path) -> tuple[Stack, tuple[int, ...], np.ndarray]:
    """Return the stack of a part, its position in the stack, and its mask."""
    mask, about = read_part(path)
    try:
        lengths = {axis: int(about["lengths"][axis]) for axis in AXES if axis in about["lengths"]}
        position = tuple(int(about["positions"][axis]) for axis in lengths)
        if not all(0 <= p < n for p, n in zip(position, lengths.values(), strict=True)):
            raise ValueError("its position is outside the stack")
        height_and_width = about["pixel"]
        pixel = None
        if height_and_width is not None:
            pixel = (float(height_and_width[0]), float(height_and_width[1]))
        distance = about["distance"]
        stack = Stack(lengths, pixel, distance and float(distance), mask.shape)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as problem:
        raise damaged_part(path, problem) from problem
    return stack, position, mask


def _encoded(coding: Coding, stack: Stack, values: np.ndarray, number: int) -> np.ndarray:
    """Return what file `number` of a coding stores: (..., H, W), or (..., bands, H, W)."""
    if coding.in_colours:
        raise DataError("masks of colours cannot be a stack; use --coding segkit", "mask-colours")
    planes = []
    for position in itertools.product(*map(range, stack.lengths.values())):
        encoded = coding.encode(values[position], number)
        planes.append(np.moveaxis(encoded, -1, 0) if encoded.ndim == 3 else encoded)
    stored = np.stack(planes)
    return stored.reshape(*stack.lengths.values(), *stored.shape[1:])


def _metadata(stack: Stack, axes: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"axes": axes}
    sizes = {"Z": stack.distance}
    if stack.pixel is not None:
        sizes |= {"Y": stack.pixel[0], "X": stack.pixel[1]}
    for axis, size in sizes.items():
        if size is not None:
            metadata[f"PhysicalSize{axis}"] = size
            metadata[f"PhysicalSize{axis}Unit"] = MICROMETRES
    return metadata


def _save(path: Path, stored: np.ndarray, metadata: dict[str, Any]) -> None:
    import tifffile

    tifffile.imwrite(
        path,
        stored,
        ome=True,
        photometric="minisblack",
        compression="zlib",
        metadata=metadata,
    )
