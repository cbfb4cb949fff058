"""Writes and reads maps by rasterio, pyogrio and shapely, the oracles of what segkit reads."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from segkit.config import InputConfig, PredictConfig, RunConfig
from segkit.task import Task

UTM = "EPSG:32633"
DEGREES = "EPSG:4326"
LEFT = 400_000.0
TOP = 5_800_000.0


class Place(NamedTuple):
    """The grid of a raster as rasterio reads it."""

    crs: Any
    transform: Any
    size: tuple[int, int]


def north_up(pixel: float = 10.0, left: float = LEFT, top: float = TOP) -> Any:
    """Return the transform of square pixels whose upper left corner lies at (left, top)."""
    from rasterio import Affine

    return Affine(pixel, 0, left, 0, -pixel, top)


def write_raster(
    path: Path,
    image: np.ndarray,
    crs: str | None = UTM,
    transform: Any = None,
    valid: np.ndarray | None = None,
    **profile: Any,
) -> Path:
    """Write an image (H, W, C) by rasterio, without loss; `valid` (H, W) bool becomes its mask."""
    import rasterio

    path.parent.mkdir(parents=True, exist_ok=True)
    height, width, count = image.shape
    driver = {".tif": "GTiff", ".jp2": "JP2OpenJPEG"}[path.suffix]
    settings = {
        "driver": driver,
        "height": height,
        "width": width,
        "count": count,
        "dtype": image.dtype,
        "crs": crs,
        "transform": north_up() if transform is None else transform,
        **profile,
    }
    if settings["driver"] == "JP2OpenJPEG":
        settings |= {"QUALITY": "100", "REVERSIBLE": "YES"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(path, "w", **settings) as file:
            file.write(np.moveaxis(image, -1, 0))
            if valid is not None:
                file.write_mask(valid)
    return path


def write_vrt(path: Path, source: Path) -> Path:
    """Write a VRT that shows another raster."""
    import rasterio.shutil

    rasterio.shutil.copy(source, path, driver="VRT")
    return path


def place(path: Path) -> Place:
    """Return the grid of a raster by rasterio."""
    import rasterio

    with rasterio.open(path) as file:
        return Place(file.crs, file.transform, (file.height, file.width))


def bands_of(path: Path) -> np.ndarray:
    """Return the bands of a raster by rasterio, (H, W, C)."""
    import rasterio

    with rasterio.open(path) as file:
        return np.moveaxis(file.read(), 0, -1)


def write_features(
    path: Path,
    shapes: Sequence[Any],
    columns: Mapping[str, Sequence[Any]],
    crs: str | None = UTM,
    layer: str | None = None,
    append: bool = False,
) -> Path:
    """Write the features of a layer by pyogrio."""
    import pyogrio.raw
    import shapely

    path.parent.mkdir(parents=True, exist_ok=True)
    fields = []
    for values in columns.values():
        array = np.array(values)
        if array.dtype.kind in "UO":
            array = np.array(values, object)
        fields.append(array)
    geometries = np.array(shapely.to_wkb(np.array(shapes, object)), object)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pyogrio.raw.write(
            path,
            geometries,
            fields,
            list(columns),
            layer=layer,
            append=append,
            crs=crs,
            geometry_type="Unknown",
        )
    return path


def moved(shapes: Sequence[Any], source: str, target: str) -> list[Any]:
    """Return shapes in another coordinate system, vertex by vertex, by rasterio."""
    import shapely
    from rasterio.warp import transform

    def move(points: np.ndarray) -> np.ndarray:
        return np.column_stack(transform(source, target, points[:, 0], points[:, 1]))

    return list(shapely.transform(np.array(shapes, object), move))


def centres_inside(shape: Any, height: int, width: int, transform: Any) -> np.ndarray:
    """Return which pixels have their centre inside a shape, (H, W) bool, by shapely."""
    import shapely

    rows, columns = np.mgrid[:height, :width] + 0.5
    x = transform.a * columns + transform.b * rows + transform.c
    y = transform.d * columns + transform.e * rows + transform.f
    return np.asarray(shapely.contains_xy(shape, x, y))


def config_of_map(task: Task, image: np.ndarray, tile: int = 64, **data: Any) -> RunConfig:
    """Return the config of a run that was trained on images like this one, (H, W, C)."""
    channels = image.shape[-1]
    measured = InputConfig(
        channels=channels,
        dtype=str(image.dtype),  # type: ignore[arg-type]
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
        low=0,
        high=float(image.max()),
    )
    config = RunConfig(task=task, input=measured, predict=PredictConfig(tile=tile, batch_size=2))
    return config.model_copy(update={"data": config.data.model_copy(update=data)})


def network_of_map(images: np.ndarray, task: Task) -> np.ndarray:
    """Return probabilities (B, H, W, classes): the first bands, as shares or of 4000."""
    scores = images[..., : task.channels].astype(np.float32) / 4000
    if task.exclusive:
        scores = scores + np.float32(1e-3)
        scores = scores / scores.sum(-1, keepdims=True)
    return np.clip(scores, 0, 1)
