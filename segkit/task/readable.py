"""Turns errors of pydantic into errors that a user can read."""

from __future__ import annotations

import difflib
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from segkit.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)
LONGEST = 1000
"""Characters up to which an error shows a wrong value."""


def validated(kind: type[Model], values: dict[str, Any], section: str = "") -> Model:
    """Return an object made from settings.

    Args:
        kind: The class of the object.
        values: The settings by name.
        section: The section of the settings in messages, such as "task"; "" for none.

    Raises:
        ConfigError: With the messages of all wrong settings, and the code and name of the first.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as problem:
        raise describe_validation_error(problem, kind, section) from problem


def describe_validation_error(
    problem: ValidationError, kind: type[BaseModel], section: str = ""
) -> ConfigError:
    """Return the error for a user in place of pydantic's.

    Args:
        problem: The error of pydantic.
        kind: The class of the object whose settings are wrong.
        section: The section of the settings in messages, such as "task"; "" for none.

    Returns:
        An error with the messages of all wrong settings, and the code and name of the first.
    """
    described = [_describe(error, kind, section) for error in problem.errors()]
    return described[0].with_message("\n  ".join(map(str, described)))


def _describe(error: Any, kind: type[BaseModel], section: str) -> ConfigError:
    """Return the error for one wrong setting."""
    places = [str(part) for part in error["loc"]]
    path = list(places)
    if section:
        path.insert(0, section)
    setting = ".".join(path)
    if error["type"] == "extra_forbidden":
        return ConfigError(
            f"there is no such setting{suggest_name(places[-1], _names(kind, places[:-1]))}",
            "unknown-setting",
            setting=setting,
        )
    if error["type"] == "missing":
        return ConfigError("is missing", "missing-setting", setting=setting)
    allowed = error["msg"].removeprefix("Value error, ")
    found = repr(error["input"])
    if len(found) > LONGEST:
        found = f"{found[:LONGEST]}..."
    return ConfigError(f"{allowed[:1].lower()}{allowed[1:]}; found {found}", setting=setting)


def _names(kind: type[BaseModel], parents: list[str]) -> list[str]:
    """Return the names of the settings in the section at `parents`; none if it is no section."""
    section: Any = kind
    for parent in parents:
        field = getattr(section, "model_fields", {}).get(parent)
        if field is None:
            return []
        section = field.annotation
    return list(getattr(section, "model_fields", {}))


def suggest_name(name: str, known: list[str]) -> str:
    """Return the end of a message about an unknown name.

    Args:
        name: The unknown name.
        known: All known names.

    Returns:
        A question whether the most similar name was meant, else a list of all known names; "" if
        nothing is known.
    """
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f" (did you mean {close[0]!r}?)"
    if known:
        return f"; known are {', '.join(known)}"
    return ""
