"""The setting `data.groups`: where the group of a sample, such as its patient, is written."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, model_validator

from segkit.config.section import Positive, Section
from segkit.errors import ConfigError


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as problem:
        raise ValueError(f"not a regular expression ({problem}); found {text!r}") from problem
    return text


def _as_groups(value: Any) -> Any:
    """Return the section for a string, which is its pattern."""
    return {"pattern": value} if isinstance(value, str) else value


Pattern = Annotated[str, AfterValidator(_pattern)]
"""A regular expression."""


class GroupsConfig(Section):
    """Where the group of a sample, such as its patient, is written. Exactly one setting is used."""

    pattern: Pattern | None = None
    """A regular expression that is searched in the name of the sample, which is the path of its
    image below the folder of images, without suffix; the text in brackets is the group, or the
    whole match if there are no brackets."""
    folder: Positive | None = None
    """The level of the sub-folder that is the group: 1 is the first folder of the name."""
    column: str | None = None
    """The column of the CSV list that names the group."""

    @model_validator(mode="after")
    def _check(self) -> GroupsConfig:
        used = list(self.model_dump(exclude_none=True))
        if len(used) == 1:
            return self
        raise ConfigError(
            f"groups need exactly one of {', '.join(type(self).model_fields)}; "
            f"found {', '.join(used) or 'none'}",
            "contradiction" if used else "missing-setting",
            setting="data.groups",
        )

    def check_list(self, has_list: bool) -> None:
        """Check that there is a list if groups are in a column of it.

        Args:
            has_list: Whether the samples are in a CSV list.

        Raises:
            ConfigError: If there is none.
        """
        if self.column is not None and not has_list:
            raise ConfigError(
                f"the column {self.column} is looked up in a CSV list; set data.list_file",
                "missing-setting",
                setting="data.groups",
            )


Groups = Annotated[GroupsConfig, BeforeValidator(_as_groups)]
"""Groups; a string is a pattern."""
