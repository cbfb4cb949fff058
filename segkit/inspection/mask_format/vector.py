"""From a vector file alone to the settings that draw it: the layer, and the column of classes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from segkit.config import DataConfig
from segkit.config.vector import VectorConfig, text_of_value
from segkit.data.sources.vector import images_of
from segkit.errors import DataError
from segkit.inspection.mask_format.guess import Doubt, Guess, binary_task, layered_guess
from segkit.io.georeference import has_georeference
from segkit.io.vectors import (
    LayerInfo,
    choose_layer,
    is_vector,
    layer_info,
    read_layer,
)

USUAL_NAMES = """
class classes class_name classname klass klasse label labels category kategorie type typ kind
landcover land_cover landuse land_use fclass
"""
"""Names of columns that usually contain the class."""
TEXT = "object"
"""The type of a column of text."""
MOST_CLASSES = 32
"""Different values that a column of classes has at most."""
PEEK = 2**16
"""Bytes of a .json file by which a GeoJSON is recognised."""
OF_QUPATH = b'"objectType"'
"""The property by which a GeoJSON of QuPath is recognised."""
MOST_LOOKED_AT = 5
"""Images of which one must lie on a map."""
NULL = text_of_value(None)


def is_vector_of_map(path: Path, images: Path) -> bool:
    """Return whether a file has the vector labels of maps.

    A GeoJSON has them if the images lie on a map, and if it is none of QuPath, whose coordinates
    are pixels.

    Args:
        path: The file.
        images: The folder of images, or one image.
    """
    if not is_vector(path) or not path.is_file():
        return False
    if path.suffix.lower() not in (".json", ".geojson"):
        return True
    with path.open("rb") as stream:
        beginning = stream.read(PEEK)
    if b'"FeatureCollection"' not in beginning or OF_QUPATH in beginning:
        return False
    return _lie_on_map(images)


def _lie_on_map(images: Path) -> bool:
    """Return whether one of the first images lies on a map."""
    try:
        paths = list(images_of(images).values())[:MOST_LOOKED_AT]
    except DataError:
        return False
    return any(has_georeference(path) for path in paths)


def vector_files_in(folder: Path) -> list[Path]:
    """Return the vector files of maps in a folder, without the folders below it."""
    found = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(entry.path)
        if not entry.name.startswith(".") and is_vector_of_map(path, folder):
            found.append(path)
    return found


def detect_vector_in(data: DataConfig, images: Path, classes: Sequence[str]) -> Guess | None:
    """Return how to read a folder with images and one vector file; None without such a file.

    Raises:
        DataError: If there are several vector files.
    """
    files = vector_files_in(images)
    if not files:
        return None
    if len(files) > 1:
        names = ", ".join(path.name for path in files)
        raise DataError(
            f"{images}: contains {len(files)} vector files ({names}); name the one with the labels "
            f"as the masks",
            "list",
        )
    return detect_vector(data, images, files[0], classes)


def detect_vector(data: DataConfig, images: Path, path: Path, classes: Sequence[str]) -> Guess:
    """Return how to draw the features of a vector file.

    Args:
        data: Settings that are kept as they are.
        images: The folder of images, or one image.
        path: The vector file.
        classes: The classes to draw; all by default.

    Raises:
        ConfigError: If the file has several layers, and `data.vector.layer` names none.
        DataError: If the file cannot be read.
    """
    layer = choose_layer(path, data.vector_labels.layer, "data.vector.layer")
    info = layer_info(path, layer)
    column, doubts = _choose_column(data.vector_labels, path, layer, info)
    words = f"{info.features:,} features of {path.name} (data.source: vector), layer {layer}"
    vector = data.vector_labels.model_copy(update={"layer": layer, "class_column": column})
    settings = {"source": "vector", "images": images, "annotations": path}
    if column is None:
        data = data.model_copy(update={**settings, "vector": vector})
        return Guess(data, binary_task(classes), f"{words}, all of one class", doubts)
    counts = Counter(map(text_of_value, read_layer(path, layer, column).values))
    stated, more = _class_values(vector, counts, classes, column)
    vector = vector.model_copy(update={"class_values": stated or None})
    data = data.model_copy(update={**settings, "vector": vector})
    meanings = dict.fromkeys(stated.get(value, value) for value in sorted(counts))
    names = [name for name in meanings if name not in ("void", "background")]
    guess = layered_guess(
        data, names, classes, f"{words}, classes by the column {column} (data.vector.class_column)"
    )
    return guess._replace(doubts=doubts + more)


def _class_values(
    vector: VectorConfig, counts: Counter[str], classes: Sequence[str], column: str
) -> tuple[dict[str, str], tuple[Doubt, ...]]:
    """Return the meanings of values that are no class, and the doubts about them."""
    stated = dict(vector.class_values or {})
    doubts: list[Doubt] = []
    if NULL in counts and NULL not in stated:
        stated[NULL] = "void"
        doubts.append(
            Doubt(
                "vector-column",
                f"{counts[NULL]:,} features have no value in the column {column}; they are read as "
                f"unlabelled (data.vector.class_values)",
            )
        )
    if classes:
        for value in counts:
            if stated.get(value, value) not in (*classes, "void"):
                stated[value] = "background"
    return stated, tuple(doubts)


def _choose_column(
    vector: VectorConfig, path: Path, layer: str, info: LayerInfo
) -> tuple[str | None, tuple[Doubt, ...]]:
    """Return the column of classes, None if there is none, and the doubts about the choice."""
    if vector.class_column is not None:
        return vector.class_column, ()
    usual = [name for name in info.columns if name.lower() in USUAL_NAMES.split()]
    if len(usual) == 1:
        return usual[0], ()
    candidates = usual or _columns_of_few_texts(path, layer, info)
    if not candidates:
        if not info.columns:
            return None, ()
        return None, (_doubt_of_one_class(path, list(info.columns)),)
    chosen = candidates[0]
    others = [name for name in info.columns if name != chosen]
    message = f"{path.name}: the column {chosen} is read as the class"
    if others:
        message += f"; other columns are {', '.join(others)}"
    return chosen, (Doubt("vector-column", f"{message} (data.vector.class_column)"),)


def _columns_of_few_texts(path: Path, layer: str, info: LayerInfo) -> list[str]:
    """Return the columns of text whose values occur often enough to be classes."""
    found = []
    for name, kind in info.columns.items():
        if kind != TEXT:
            continue
        values = set(map(text_of_value, read_layer(path, layer, name).values))
        if 1 < len(values) <= min(MOST_CLASSES, info.features / 2):
            found.append(name)
    return found


def _doubt_of_one_class(path: Path, columns: Sequence[str]) -> Doubt:
    return Doubt(
        "vector-column",
        f"{path.name}: all features are read as one class, because no column looks like a class; "
        f"its columns are {', '.join(columns)} (data.vector.class_column)",
    )
