"""What all sections of a config share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from segkit.errors import ConfigError

Positive = Annotated[int, Field(gt=0)]

Share = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def joined(problems: Sequence[ConfigError]) -> ConfigError:
    """Return one error with the messages of all problems, and code and setting of the first."""
    return problems[0].with_message("\n  ".join(map(str, problems)))
