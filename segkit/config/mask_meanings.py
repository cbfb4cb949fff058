"""Types of the settings that say what values and colours of mask files mean."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from segkit.task.sets import Meaning


def _colour(text: str) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise ValueError(
            f"a colour has the form '#rrggbb', such as '#ff0000' for red; found {text!r}"
        )
    return text.lower()


def _meaning(value: Any) -> Meaning:
    """Return a description of a pixel, with a list of names as a tuple."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(x, str) for x in value):
        return tuple(value)
    raise ValueError("a name, or a list of names, as in [liver, tumour]")


HexColour = Annotated[str, AfterValidator(_colour)]
"""A colour such as "#ff0000", in lower case."""
StoredMeaning = Annotated[Meaning, BeforeValidator(_meaning)]
"""What a value or colour of a mask file means."""
