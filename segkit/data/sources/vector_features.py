"""The features of a vector file in their coordinate system, and those that touch an image."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segkit.config.vector import VectorConfig
from segkit.errors import ConfigError, DataError
from segkit.io.vectors import (
    SIDE,
    MapGrid,
    Shapes,
    VectorLayer,
    are_degrees,
    fit_degrees,
    is_crs,
    projected,
    read_grid,
)
from segkit.system.packages import need

OWN_MAP = "image"
"""The coordinate system `data.vector.crs` of features in the coordinates of the images."""
SETTING = "data.vector.crs"


class Features:
    """The shapes of one layer, which are found by the area of an image.

    Args:
        layer: The features.
        crs: Their coordinate system; "image" if it is that of every image.
    """

    def __init__(self, layer: VectorLayer, crs: str) -> None:
        self.path = layer.path
        self.shapes = layer.shapes
        self.crs = crs
        shapely = need("shapely", "geo")
        self._tree = shapely.STRtree(layer.shapes)

    def on(self, grid: MapGrid, image: Path) -> tuple[np.ndarray, Shapes]:
        """Return the features that touch an image.

        Args:
            grid: The grid of the image.
            image: The file of the image, for messages.

        Returns:
            The indices of the features, and their shapes in the coordinates of the image's map.

        Raises:
            DataError: If the features cannot be moved to the image's map ("not-on-map").
        """
        try:
            return self._on(grid)
        except DataError as problem:
            raise DataError(
                f"{image}: the features of {self.path} cannot be drawn on it: {problem}",
                problem.code,
            ) from problem

    def _on(self, grid: MapGrid) -> tuple[np.ndarray, Shapes]:
        outline = grid.outline
        target = self._target(grid)
        if target is None:
            found = np.sort(self._tree.query(outline, predicate="intersects"))
            return found, self.shapes[found]
        area = projected(np.array([outline], object), target, self.crs)[0]
        if area.is_empty:
            found = np.arange(len(self.shapes))
        else:
            found = np.sort(self._tree.query(area, predicate="intersects"))
        left, bottom, right, top = area.bounds
        longest = max(right - left, top - bottom) / SIDE
        return found, projected(self.shapes[found], self.crs, target, longest)

    def _target(self, grid: MapGrid) -> str | None:
        """Return the coordinate system of an image; None if it is that of the features."""
        if self.crs == OWN_MAP:
            return None
        return grid.georeference.crs


def readable_grids(images: dict[str, Path]) -> dict[Path, MapGrid]:
    """Return the grids of images by their files, without images whose grid cannot be read."""
    grids = {}
    for path in images.values():
        try:
            grids[path] = read_grid(path)
        except DataError:  # reading the sample raises the same error
            continue
    return grids


def crs_of(layer: VectorLayer, settings: VectorConfig, grids: dict[Path, MapGrid]) -> str:
    """Return the coordinate system of a layer: by the setting, else as its file states it.

    Args:
        layer: The features.
        settings: The section `data.vector`.
        grids: The grids of the images on which the features are drawn, by their files.

    Raises:
        ConfigError: If it is unknown or cannot be right, or if the images do not state theirs.
    """
    crs = settings.crs or layer.crs
    if crs is None:
        raise ConfigError(
            f"{layer.path} does not state the coordinate system of its features. Set it, as in "
            f"EPSG:32633, or to {OWN_MAP} if they are in the coordinates of the images",
            "missing-setting",
            setting=SETTING,
        )
    if crs == OWN_MAP:
        return crs
    if not is_crs(crs):
        raise ConfigError(
            f"must be a coordinate system, such as EPSG:32633, or {OWN_MAP}; found {crs[:60]!r}",
            setting=SETTING,
        )
    if are_degrees(crs) and not fit_degrees(layer.shapes):
        raise ConfigError(
            f"{layer.path}: its coordinates are no degrees, although {crs[:60]} is in degrees. "
            f"A GeoJSON without a coordinate system counts as EPSG:4326. Set the right one",
            "mismatch",
            setting=SETTING,
        )
    _check_images_state_theirs(grids)
    return crs


def _check_images_state_theirs(grids: dict[Path, MapGrid]) -> None:
    """Raise `ConfigError` if an image lies on a map of an unknown coordinate system."""
    for path, grid in grids.items():
        if grid.georeference.crs is None:
            raise ConfigError(
                f"{path} does not state the coordinate system of its map, so features cannot be "
                f"moved to it. Set {OWN_MAP} if they have the coordinates of this map; otherwise "
                f"save the image with its coordinate system",
                "missing-setting",
                setting=SETTING,
            )


def are_thin(shapes: Shapes) -> np.ndarray:
    """Return which shapes are points or lines, (N,) bool."""
    shapely = need("shapely", "geo")
    return np.asarray((shapely.get_dimensions(shapes) < 2) & ~shapely.is_empty(shapes))
