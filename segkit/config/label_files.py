"""Settings for the files of labelling tools."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from segkit.config.section import Section


def _keys_as_text(value: Any) -> Any:
    """Return a table whose keys are texts; YAML reads 0 as a number."""
    if not isinstance(value, dict):
        return value
    table = {}
    for key, meaning in value.items():
        is_number = isinstance(key, int) and not isinstance(key, bool)
        table[str(key) if is_number else key] = meaning
    return table


LabelMeanings = Annotated[dict[str, str], BeforeValidator(_keys_as_text)]
"""The meaning of labels: the name of a class, void, background or skip."""


class RunLengthsConfig(Section):
    """The columns of a CSV file of run lengths, and the order of its pixels."""

    order: Literal["column", "row"] | None = None
    """Whether pixels are numbered down the columns, as in most competitions of Kaggle, or along the
    rows; it must be named, because the file does not say it."""
    image: str | None = None
    """The column of the image's name; by default ImageId or the like, if there is one."""
    pixels: str | None = None
    """The column of the run lengths; by default EncodedPixels or the like, if there is one."""
    label: str | None = None
    """The column of the label; by default ClassId or the like, if there is one. Without such a
    column all run lengths are of one class."""
