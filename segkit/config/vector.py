"""The section `data.vector`: how the vector labels of a map are read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from segkit.config.section import Section
from segkit.errors import ConfigError


def absolute(path: Path) -> Path:
    """Return a path as an absolute one, relative to the current folder; "~" is the home folder."""
    try:
        return path.expanduser().absolute()
    except RuntimeError as problem:  # "~name" of an unknown user
        raise ValueError(str(problem)) from problem


def text_of_value(value: Any) -> str:
    """Return a value of a column, or of YAML, as the text that stands for it in `class_values`.

    >>> [text_of_value(value) for value in (3, 3.0, "3", True, None, float("nan"))]
    ['3', '3', '3', 'true', 'null', 'null']
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        if math.isnan(value):
            return "null"
        if value.is_integer():
            return str(int(value))
    return str(value)


def _with_texts(values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    return {text_of_value(value): meaning for value, meaning in values.items()}


ClassValues = Annotated[dict[str, str], BeforeValidator(_with_texts), Field(min_length=1)]
"""The meanings of the values of a column."""
AbsolutePath = Annotated[Path, AfterValidator(absolute)]
"""A path that is made absolute, relative to the current folder; "~" is the home folder."""


class VectorConfig(Section):
    """Vector labels of a map: which features are read, and which class each of them is."""

    layer: str | None = None
    """The layer of the file `data.annotations` with the labels; null if it has one layer."""
    class_column: str | None = None
    """The column that names the class of a feature; null if every feature is the one class of the
    task."""
    class_values: ClassValues | None = None
    """The meaning of each value of `class_column`: a class, background (not drawn), or void
    (unlabelled); null if the values are the names of the classes. An empty value is called null."""
    crs: str | None = None
    """The coordinate system of the features, as EPSG:32633 or WKT, if their file does not state it
    or states a wrong one; "image" if their coordinates are those of the images' own maps."""
    area: AbsolutePath | None = None
    """A vector file of polygons that were labelled completely; all pixels outside of them are
    unlabelled. Null means that images are labelled completely, or that `area_layer` is a layer of
    `data.annotations`."""
    area_layer: str | None = None
    """The layer with the polygons that were labelled completely."""
    line_width: Annotated[float, Field(gt=0)] | None = None
    """The width to which lines and points are drawn, in the unit of the images' map, such as
    metres."""
    all_touched: bool = False
    """Whether all pixels that a feature touches belong to it, instead of those whose centres are
    inside."""

    @model_validator(mode="after")
    def _check(self) -> VectorConfig:
        if self.class_values is not None and self.class_column is None:
            raise ConfigError(
                "are the values of a column; set data.vector.class_column",
                "missing-setting",
                setting="data.vector.class_values",
            )
        return self

    @property
    def has_area(self) -> bool:
        """Whether polygons say which area was labelled."""
        return self.area is not None or self.area_layer is not None
