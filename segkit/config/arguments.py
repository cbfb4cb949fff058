"""Arguments of public functions: unknown names are refused, and signatures show all settings."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from segkit.errors import ConfigError
from segkit.task.readable import suggest_name

P = ParamSpec("P")
R = TypeVar("R")


def named_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function refuse unknown arguments.

    Args:
        function: A function with named arguments.

    Returns:
        The function. For an unknown argument it raises `ConfigError` with the most similar name.
    """
    names = [name for name in inspect.signature(function).parameters if name != "self"]

    @functools.wraps(function)
    def called(*args: P.args, **settings: P.kwargs) -> R:
        for name in settings:
            if name not in names:
                raise ConfigError(
                    f"there is no such setting{suggest_name(name, names)}",
                    "unknown-setting",
                    setting=name,
                )
        return function(*args, **settings)

    return called


def same_arguments(other: Callable[P, R]) -> Callable[[Callable[..., R]], Callable[P, R]]:
    """Return a decorator that gives a function the signature and the checks of another function.

    Args:
        other: The function whose arguments are passed on.

    Returns:
        The decorator.
    """

    def decorate(function: Callable[..., R]) -> Callable[P, R]:
        function.__signature__ = inspect.signature(other)  # type: ignore[attr-defined]
        return named_arguments(function)

    return decorate


def with_settings(
    defaults: Mapping[str, Any],
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that shows the names of a function's `**settings` in its signature.

    Args:
        defaults: Default values by name. They are shown only; the function gets only what is passed
            to it.

    Returns:
        The decorator. The function refuses other names, as by `named_arguments`.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        parameters = []
        for parameter in signature.parameters.values():
            if parameter.kind is not parameter.VAR_KEYWORD:
                parameters.append(parameter)
        for name, default in defaults.items():
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(inspect.Parameter(name, kind, default=default))
        function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        return named_arguments(function)

    return decorate
