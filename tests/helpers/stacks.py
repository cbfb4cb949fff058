"""Writes stacks with named axes: OME-TIFF, ImageJ and OME-Zarr of both versions."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

REASON = "the extra microscopy is not installed"
AXES = "TZCYX"
SHAPE = (2, 3, 2, 20, 24)
PIXEL = (0.25, 0.5)
"""Height and width of a pixel, µm."""
HEIGHT_OF_A_PLANE = 2.0
"""The distance along Z, µm."""
OME = {
    "PhysicalSizeY": PIXEL[0],
    "PhysicalSizeYUnit": "µm",
    "PhysicalSizeX": PIXEL[1],
    "PhysicalSizeXUnit": "µm",
    "PhysicalSizeZ": HEIGHT_OF_A_PLANE,
    "PhysicalSizeZUnit": "µm",
}
TYPES = {"T": "time", "C": "channel", "Z": "space", "Y": "space", "X": "space"}
UNITS = {"T": "second", "Z": "micrometer", "Y": "micrometer", "X": "micrometer"}
SCALES = {"T": 30.0, "Z": HEIGHT_OF_A_PLANE, "Y": PIXEL[0], "X": PIXEL[1]}


def has_zarr() -> bool:
    """Return whether the extra microscopy is installed."""
    return importlib.util.find_spec("zarr") is not None


def values(shape: Sequence[int] = SHAPE, seed: int = 0) -> np.ndarray:
    """Return random uint16 values."""
    return np.random.default_rng(seed).integers(0, 2**16, shape, np.uint16)


def save_ome_tiff(path: Path, array: np.ndarray, axes: str = AXES, **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, ome=True, metadata={"axes": axes, **OME}, **more)
    return path


def save_tiled(path: Path, array: np.ndarray, axes: str = AXES) -> Path:
    return save_ome_tiff(path, array, axes, tile=(16, 16), compression="zlib")


def save_imagej(path: Path, array: np.ndarray, axes: str = AXES, **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    resolution = (1 / PIXEL[1], 1 / PIXEL[0])
    metadata = {"axes": axes, "unit": "um", "spacing": HEIGHT_OF_A_PLANE}
    tifffile.imwrite(path, array, imagej=True, metadata=metadata, resolution=resolution, **more)
    return path


def save_ome_zarr(path: Path, array: np.ndarray, axes: str = AXES, version: str = "0.4") -> Path:
    """Write an image and a pyramid level of half its size, as the specification says."""
    import zarr

    is_old = version == "0.4"
    group = zarr.open_group(str(path), mode="w", zarr_format=2 if is_old else 3)
    datasets = []
    for level, step in enumerate((1, 2)):
        stored = array[..., ::step, ::step]
        chunks = tuple(min(16, length) for length in stored.shape)
        keys = {"name": "v2", "separator": "/"} if is_old else {"name": "default"}
        made = group.create_array(
            str(level),
            shape=stored.shape,
            chunks=chunks,
            dtype=stored.dtype,
            chunk_key_encoding=keys,
        )
        made[...] = stored
        scale = [SCALES.get(axis, 1.0) * (step if axis in "YX" else 1) for axis in axes]
        transformation = {"type": "scale", "scale": scale}
        datasets.append({"path": str(level), "coordinateTransformations": [transformation]})
    named = []
    for axis in axes:
        about = {"name": axis.lower(), "type": TYPES[axis]}
        if axis in UNITS:
            about["unit"] = UNITS[axis]
        named.append(about)
    multiscale = {"axes": named, "datasets": datasets}
    if is_old:
        group.attrs["multiscales"] = [{"version": version, **multiscale}]
    else:
        group.attrs["ome"] = {"version": version, "multiscales": [multiscale]}
    return path


def save_new_zarr(path: Path, array: np.ndarray, axes: str = AXES) -> Path:
    return save_ome_zarr(path, array, axes, "0.5")


Save = Callable[..., Path]
TIFFS: dict[str, tuple[str, Save]] = {
    "OME": ("a.ome.tif", save_ome_tiff),
    "OME in tiles": ("a.ome.tif", save_tiled),
    "ImageJ": ("a.tif", save_imagej),
}
"""The name of a file and the function that writes it, by kind."""
ZARRS: dict[str, tuple[str, Save]] = {
    "OME-Zarr 0.4": ("a.ome.zarr", save_ome_zarr),
    "OME-Zarr 0.5": ("a.zarr", save_new_zarr),
}
KINDS = {**TIFFS, **ZARRS}


def save_stack(folder: Path, kind: str, array: np.ndarray, axes: str = AXES) -> Path:
    """Write a stack of a kind of `KINDS`, and return its path."""
    name, save = KINDS[kind]
    return save(folder / name, array, axes)


def save_several_tiff(path: Path, images: Sequence[np.ndarray], axes: str = AXES) -> Path:
    """Write an OME-TIFF of several images; the pixels of number n have n times the size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path, ome=True) as file:
        for number, image in enumerate(images, start=1):
            sizes = {"PhysicalSizeY": PIXEL[0] * number, "PhysicalSizeX": PIXEL[1] * number}
            metadata = {"axes": axes, **OME, **sizes}
            file.write(image, metadata=metadata, photometric="minisblack")
    return path


def save_several_zarr(path: Path, images: Sequence[np.ndarray], axes: str = AXES) -> Path:
    """Write a folder of several images, as bioformats2raw does."""
    for number, image in enumerate(images):
        save_ome_zarr(path / str(number), image, axes)
    (path / ".zgroup").write_text('{"zarr_format": 2}')
    (path / ".zattrs").write_text('{"bioformats2raw.layout": 3}')
    return path


SEVERAL: dict[str, tuple[str, Save]] = {
    "OME": ("a.ome.tif", save_several_tiff),
    "OME-Zarr 0.4": ("a.zarr", save_several_zarr),
}
"""The name of a file of several images and the function that writes it, by kind."""
