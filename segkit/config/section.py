"""What all sections of a config share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from segkit.errors import ConfigError
from segkit.task.readable import describe_validation_error

Positive = Annotated[int, Field(gt=0)]

Share = Annotated[float, Field(ge=0, lt=1)]


if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)


class _Readable(ModelMetaclass):
    """Makes an object by its settings' names, and turns what pydantic raises into a `ConfigError`.

    Sections within sections are not made by a call, so the error of a whole config names the whole path of a setting.
    """

    def __call__(cls: type[Any], *args: Any, **settings: Any) -> Any:  # noqa: N805 (of a metaclass)
        try:
            return super().__call__(*args, **settings)
        except ValidationError as problem:
            raise describe_validation_error(problem, cls) from problem


class Section(BaseModel, metaclass=_Readable):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def joined(problems: Sequence[ConfigError]) -> ConfigError:
    """Return one error with the messages of all problems, and code and setting of the first."""
    return problems[0].with_message("\n  ".join(map(str, problems)))
