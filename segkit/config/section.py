"""The base class of all sections of a config, and types that several sections use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from segkit.errors import ConfigError
from segkit.task.readable import describe_validation_error

Positive = Annotated[int, Field(gt=0)]
"""An integer of 1 or more."""

Share = Annotated[float, Field(ge=0, lt=1)]
"""A number from 0 to below 1."""


if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)


class _Readable(ModelMetaclass):
    """Makes `SomeSection(...)` raise `ConfigError` instead of pydantic's error.

    Pydantic does not call the class of a section inside another one, so the error of a whole config
    names the whole path of a setting.
    """

    def __call__(cls: type[Any], *args: Any, **settings: Any) -> Any:  # noqa: N805 (of a metaclass)
        try:
            return super().__call__(*args, **settings)
        except ValidationError as problem:
            raise describe_validation_error(problem, cls) from problem


class Section(BaseModel, metaclass=_Readable):
    """Base class of the sections of a config.

    A section is immutable. It refuses unknown settings, NaN and infinity.

    Raises:
        ConfigError: For wrong settings. It has the messages of all of them, and the code and the
            name of the first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def joined(problems: Sequence[ConfigError]) -> ConfigError:
    """Return one error with the messages of several, and the code and the setting of the first.

    Args:
        problems: One or more errors.
    """
    return problems[0].with_message("\n  ".join(map(str, problems)))
