"""Errors of pydantic as errors that a user can read."""

from __future__ import annotations

import difflib
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from segkit.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)
LONGEST = 1000
"""Characters of a value that an error shows."""


def validated(kind: type[Model], values: dict[str, Any], section: str = "") -> Model:
    """Return an object made of settings.

    Args:
        kind: Its class.
        values: Its settings by name.
        section: What the message calls the settings together, such as "task"; "" for settings without a section.

    Raises:
        ConfigError: It has the messages of all wrong settings, and the code and name of the first.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as problem:
        raise describe_validation_error(problem, kind, section) from problem


def describe_validation_error(
    problem: ValidationError, kind: type[BaseModel], section: str = ""
) -> ConfigError:
    """Return one error that describes all that pydantic found wrong with the settings of an object."""
    described = [_describe(error, kind, section) for error in problem.errors()]
    return described[0].with_message("\n  ".join(map(str, described)))


def _describe(error: Any, kind: type[BaseModel], section: str) -> ConfigError:
    places = [str(part) for part in error["loc"]]
    setting = ".".join([section, *places] if section else places)
    if error["type"] == "extra_forbidden":
        return ConfigError(
            f"there is no such setting{meant(places[-1], _names(kind, places[:-1]))}",
            "unknown-setting",
            setting=setting,
        )
    if error["type"] == "missing":
        return ConfigError("is missing", "missing-setting", setting=setting)
    wanted = error["msg"].removeprefix("Value error, ")
    found = repr(error["input"])
    if len(found) > LONGEST:
        found = f"{found[:LONGEST]}..."
    return ConfigError(f"{wanted[:1].lower()}{wanted[1:]}; found {found}", setting=setting)


def _names(kind: type[BaseModel], parents: list[str]) -> list[str]:
    """Return the settings of the section that `parents` lead to."""
    section: Any = kind
    for parent in parents:
        field = getattr(section, "model_fields", {}).get(parent)
        section = None if field is None else field.annotation
    return list(getattr(section, "model_fields", {}))


def meant(name: str, known: list[str]) -> str:
    """Return what to add to the message on an unknown name: the one that was probably meant, or all known ones."""
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f" (did you mean {close[0]!r}?)"
    return f"; known are {', '.join(known)}" if known else ""
