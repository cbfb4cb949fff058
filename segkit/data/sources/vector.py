"""Maps with vector labels: the features of a vector file are drawn on the grid of each image."""

from __future__ import annotations

import contextlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from segkit.config import DataConfig
from segkit.config.vector import text_of_value
from segkit.data.sources.mask_layers import check_on_top, from_layers
from segkit.data.sources.pair_names import parts_by_folder
from segkit.data.sources.source import Sample, void_where_invalid
from segkit.data.sources.vector_features import Features, are_thin, crs_of, readable_grids
from segkit.errors import ConfigError, DataError
from segkit.io.geometry import Geometry
from segkit.io.image_files import left_out_in
from segkit.io.images import list_images, read_pixels
from segkit.io.physical_size import read_geometry
from segkit.io.pixels import both
from segkit.io.vectors import (
    MapGrid,
    Shapes,
    VectorLayer,
    choose_layer,
    draw_shapes,
    layer_info,
    layer_names,
    read_grid,
    read_layer,
)
from segkit.system.packages import need
from segkit.task import VOID, Task
from segkit.task.readable import suggest_name

BACKGROUND = "background"
"""The meaning of features that are not drawn."""
VOID_NAME = "void"
"""The meaning of features whose pixels are unlabelled."""
MOST_LISTED = 5
"""Values that a message lists at most."""


class Outside(NamedTuple):
    """How many features lie outside of all images."""

    outside: int
    of: int


class VectorSource:
    """Georeferenced images, with masks that are drawn from the features of a vector file.

    A feature belongs to the class that its value in `data.vector.class_column` names. Its pixels
    are those whose centres are inside. Pixels outside of the labelled area are VOID.

    Args:
        data: The `data` section of a config. `images` is a folder of images or one image,
            `annotations` is the vector file.
        task: The task whose masks are made.

    Raises:
        ConfigError: If a setting is missing or does not fit, such as the coordinate system.
        DataError: If a file cannot be read, if a value names no class, or if no feature touches an
            image.
    """

    def __init__(self, data: DataConfig, task: Task) -> None:
        assert data.images is not None
        assert data.annotations is not None
        check_on_top(data.on_top, task)
        self.task = task
        self.data = data
        self.labels = [task.classes[index] for index in task.foreground]
        self.images = images_of(data.images)
        self.names = list(self.images)
        self.parts = parts_by_folder(self.names)
        self.left_out = left_out_in([data.images])
        """Files in the folder that look like images but are not read."""
        self._layer = _read_labels(data, self.labels)
        if not len(self._layer.shapes):
            raise DataError(f"{data.annotations}: has no feature", "empty")
        self._meanings = _meanings(self._layer, data, self.labels)
        self._check_lines()
        grids = readable_grids(self.images)
        crs = crs_of(self._layer, data.vector_labels, grids)
        self._features = Features(self._layer, crs)
        self._area = _read_area(data, grids)
        self.outside = self._count_outside(grids)

    @property
    def read_as(self) -> str:
        """How the features are read, in words."""
        counts = Counter(self._meanings)
        words = ", ".join(f"{count:,} {name}" for name, count in counts.most_common())
        text = f"{self.outside.of:,} features ({words})"
        if self.outside.outside:
            text += f"; {self.outside.outside:,} of them lie outside of all images"
        if self._area is not None:
            text += f"; pixels outside of the area of {self._area.path.name} are unlabelled"
        return text

    def image_file(self, name: str) -> Path:
        """Return the file of a sample's image."""
        return self.images[name]

    def files(self, name: str) -> list[Path]:
        """Return all files that a sample is read from."""
        files = [self.images[name], self._features.path]
        if self._area is not None and self._area.path not in files:
            files.append(self._area.path)
        return files

    def geometry(self, name: str) -> Geometry | None:
        """Return the physical size and place of a sample's image."""
        return read_geometry(self.images[name], self.data.pages)

    def read(self, name: str) -> Sample:
        """Read a sample.

        Args:
            name: One of `names`.

        Returns:
            The image (H, W, C), and the mask drawn from the features.

        Raises:
            DataError: If the image cannot be read or has no place on the map.
        """
        path = self.images[name]
        image = read_pixels(path, self.data.pages, bands=self.data.bands)
        grid = read_grid(path)
        if image.values.shape[:2] != (grid.height, grid.width):
            raise DataError(
                f"{path}: its georeference belongs to {grid.width} x {grid.height} pixels; the "
                f"image that is read has {image.values.shape[1]} x {image.values.shape[0]}",
                "mask-size",
            )
        known = image.valid
        if self._area is not None:
            _, areas = self._area.on(grid, path)
            known = both(known, draw_shapes(areas, grid))
        mask = void_where_invalid(self._mask(grid, known, path), known)
        return Sample(name, image.values, mask, image.valid, self.geometry(name))

    def _mask(self, grid: MapGrid, known: np.ndarray | None, path: Path) -> np.ndarray:
        """Draw the features on the grid of an image; layers are VOID where it is not known."""
        found, shapes = self._features.on(grid, path)
        shapes = self._with_width(shapes)
        meanings = self._meanings[found]
        unlabelled = draw_shapes(
            shapes[meanings == VOID_NAME], grid, self.data.vector_labels.all_touched
        )
        layers: dict[str, np.ndarray] = {}
        for label in self.labels:
            own = shapes[meanings == label]
            if len(own) or unlabelled.any() or not layers:
                layer = draw_shapes(own, grid, self.data.vector_labels.all_touched).astype(np.uint8)
                layer[unlabelled & (layer == 0)] = VOID
                layers[label] = void_where_invalid(layer, known)
        where = f"{self._features.path} on {path}"
        return from_layers(layers, self.task, self.data.on_top, where)

    def _with_width(self, shapes: Shapes) -> Shapes:
        """Return the shapes with lines and points as polygons of `data.vector.line_width`."""
        thin = are_thin(shapes)
        if not thin.any():
            return shapes
        shapely = need("shapely", "geo")
        width = self.data.vector_labels.line_width or 0.0
        return np.where(thin, shapely.buffer(shapes, width / 2), shapes)

    def _check_lines(self) -> None:
        """Raise `ConfigError` if lines or points are to be drawn and have no width."""
        thin = are_thin(self._layer.shapes) & (self._meanings != BACKGROUND)
        if not thin.any() or self.data.vector_labels.line_width is not None:
            return
        raise ConfigError(
            f"{self._layer.path}: {int(thin.sum())} features are lines or points, which have no "
            f"area. Set their width in the unit of the images' map, such as 6 for 6 metres",
            "missing-setting",
            setting="data.vector.line_width",
        )

    def _count_outside(self, grids: dict[Path, MapGrid]) -> Outside:
        """Count the features that touch none of the images with these grids."""
        touched = np.zeros(len(self._layer.shapes), bool)
        compared = 0
        for path, grid in grids.items():
            with contextlib.suppress(DataError):  # reading the sample raises the same error
                touched[self._features.on(grid, path)[0]] = True
                compared += 1
        outside = Outside(int((~touched).sum()), len(touched))
        if compared and not touched.any():
            raise DataError(
                f"{self._layer.path}: none of the {outside.of:,} features touches one of the "
                f"{compared} images. They are of another place, or data.vector.crs is needed. "
                f"The features are in {self._features.crs[:60]}",
                "vector-outside",
            )
        return outside


def open_vector(data: DataConfig, task: Task) -> VectorSource:
    """Open the source of vector labels of a config's `data` section; see `VectorSource`."""
    if data.images is None or data.annotations is None:
        raise ConfigError(
            "the vector source needs data.images, a folder of georeferenced images or one image, "
            "and data.annotations, a vector file",
            "missing-setting",
            setting="data",
        )
    if data.pages == "samples":
        raise ConfigError(
            "vector labels belong to a place on the map, where all pages of a file lie; set "
            "channels or first",
            "contradiction",
            setting="data.pages",
        )
    return VectorSource(data, task)


def open_other_labels(images: Path, labels: Path, task: Task, data: DataConfig) -> VectorSource:
    """Open other images with other vector labels, which are read like those of a config.

    Args:
        images: A folder of images, or one image.
        labels: The vector file.
        task: The task whose masks are made.
        data: The `data` section of the config. Its files and its file of a labelled area are not
            used, and its layer only if the file has it.
    """
    vector = data.vector_labels.model_copy(update={"area": None})
    if data.vector_labels.layer not in layer_names(labels):
        vector = vector.model_copy(update={"layer": None})
    files = {"source": "vector", "images": images, "annotations": labels, "vector": vector}
    return open_vector(data.model_copy(update=files), task)


def images_of(path: Path) -> dict[str, Path]:
    """Return the images of a folder by name, or the one image that a path is."""
    if path.is_file():
        return {path.stem: path}
    found = list_images(path)
    if not found:
        raise DataError(f"{path}: contains no image", "empty")
    return found


def _read_labels(data: DataConfig, labels: list[str]) -> VectorLayer:
    """Return the features with the values of their class column."""
    assert data.annotations is not None
    settings = data.vector_labels
    layer = choose_layer(data.annotations, settings.layer, "data.vector.layer")
    columns = list(layer_info(data.annotations, layer).columns)
    column = settings.class_column
    if column is None and len(labels) > 1:
        raise ConfigError(
            f"{data.annotations}: name the column with the class of a feature; the columns are "
            f"{', '.join(columns) or 'none'}",
            "missing-setting",
            setting="data.vector.class_column",
        )
    if column is not None and column not in columns:
        raise ConfigError(
            f"{data.annotations} has no column {column!r}{suggest_name(column, columns)}",
            "unknown-name",
            setting="data.vector.class_column",
        )
    return read_layer(data.annotations, layer, column)


def _meanings(layer: VectorLayer, data: DataConfig, labels: list[str]) -> np.ndarray:
    """Return the meaning of each feature: a class, "background" or "void"."""
    column = data.vector_labels.class_column
    if column is None:
        return np.full(len(layer.shapes), labels[0], object)
    stated = data.vector_labels.class_values or {}
    known = [*labels, VOID_NAME, BACKGROUND]
    wrong = sorted({meaning for meaning in stated.values() if meaning not in known})
    if wrong:
        raise ConfigError(
            f"each one must be one of {', '.join(known)}; found {', '.join(wrong)}",
            "unknown-name",
            setting="data.vector.class_values",
        )
    meanings = []
    unknown: Counter[str] = Counter()
    for value in layer.values:
        text = text_of_value(value)
        meaning = stated.get(text, text)
        if meaning not in known:
            unknown[text] += 1
        meanings.append(meaning)
    if unknown:
        raise _unknown_values(unknown, layer.path, column, labels)
    return np.array(meanings, object)


def _unknown_values(unknown: Counter[str], path: Path, column: str, labels: list[str]) -> DataError:
    """Return the error for values of the class column that name no class."""
    listed = []
    for value, count in unknown.most_common(MOST_LISTED):
        listed.append(f"{value!r} of {count} features{suggest_name(value, labels)}")
    first = unknown.most_common(1)[0][0]
    return DataError(
        f"{path}: {len(unknown)} values of the column {column} are no class: {', '.join(listed)}. "
        f"Say what they mean in data.vector.class_values, as in {{{first}: {labels[0]}}}; the "
        f"meaning {VOID_NAME} is unlabelled, and {BACKGROUND} is not drawn",
        "vector-class",
    )


def _read_area(data: DataConfig, grids: dict[Path, MapGrid]) -> Features | None:
    """Return the polygons of the labelled area; None if images are labelled completely."""
    settings = data.vector_labels
    if not settings.has_area:
        return None
    path = settings.area or data.annotations
    assert path is not None
    layer = read_layer(path, choose_layer(path, settings.area_layer, "data.vector.area_layer"))
    if are_thin(layer.shapes).all():
        raise DataError(f"{path}: has no polygon that says which area was labelled", "empty")
    return Features(layer, crs_of(layer, settings, grids))
