"""Writes a plan as a YAML config for `segkit train`, with the reason above each value."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import Any

import yaml

from segkit.config.data import PATH_SETTINGS
from segkit.planning.choices import Plan
from segkit.task import Task

WIDTH = 110
"""Longest line of a comment, in characters."""
FROM_USER = "You said so, in a config or with --set."
TOGETHER = (
    "The paths below start at the folder of this file, so that it can be moved together with the "
    "data."
)
HEADER = """Made by `{command}`. The reason for each value is above it. Change what you know better.
Train with: segkit train {name}"""


def as_yaml(plan: Plan, command: str, name: str, folder: Path | None = None) -> str:
    """Return a plan's config as YAML with the reasons as comments.

    Values that have no reason and are at their default are left out.

    Args:
        plan: The plan.
        command: The command that made it, for the first line.
        name: The name of the file, for the second line.
        folder: The folder in which the file will be; the paths of the data are then relative to it.
            None leaves them absolute.
    """
    lines = _comment(HEADER.format(command=command, name=name), 0)
    chosen = _chosen_values(plan)
    if folder is not None and "data" in chosen:
        chosen["data"] = _relative_section(chosen["data"], folder)
    for section, content in chosen.items():
        lines.append("")
        lines += _comment(plan.reasons.get(section), 0)
        if isinstance(content, dict):
            lines.append(f"{section}:")
            lines += _setting_lines(plan, section, content)
        else:
            lines.append(f"{section}: {_flow(content)}")
    return "\n".join(lines) + "\n"


def _setting_lines(plan: Plan, section: str, content: dict[str, Any]) -> list[str]:
    """Return the settings of a section, each below its reason."""
    lines = []
    for key, value in content.items():
        reason = plan.reasons.get(f"{section}.{key}")
        if reason is None and section not in plan.reasons:
            reason = FROM_USER
        if (section, key) == ("data", "relative_to"):
            reason = TOGETHER
        lines += _comment(reason, 2)
        if (section, key) == ("data", "keep_together"):
            lines.append(f"  {key}:")
            lines += [f"    - {_flow(names)}" for names in value]
        else:
            lines.append(f"  {_flow(key)}: {_flow(value)}")
    return lines


def _relative_section(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the section `data` with relative paths; unchanged if one is on another drive."""
    relative: dict[str, Any] = {"relative_to": "config"}
    try:
        for key, value in data.items():
            relative[key] = _relative_value(key, value, folder)
    except ValueError:  # on Windows, from `relpath` for another drive
        return data
    return relative


def _relative_value(key: str, value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return {name: _relative_value(name, inner, folder) for name, inner in value.items()}
    if key in PATH_SETTINGS and isinstance(value, str):
        return Path(os.path.relpath(value, folder)).as_posix()
    return value


def _chosen_values(plan: Plan) -> dict[str, Any]:
    """Return the values with a reason and those not at their default, by section."""
    everything = plan.config.model_dump(mode="json")
    changed = plan.config.model_dump(mode="json", exclude_defaults=True)
    changed["task"] = _changed_task(plan.config.task)
    chosen: dict[str, Any] = {}
    for section, content in everything.items():
        is_whole = section in plan.reasons
        if is_whole or (section in changed and not isinstance(content, dict)):
            chosen[section] = content
        elif isinstance(content, dict):
            written = _chosen_settings(plan, section, content, changed.get(section, {}))
            if written:
                chosen[section] = written
    return chosen


def _chosen_settings(
    plan: Plan, section: str, content: dict[str, Any], changed: dict[str, Any]
) -> dict[str, Any]:
    """Return the settings of a section that have a reason or are not at their default."""
    chosen = {}
    for key, value in content.items():
        if key in changed or f"{section}.{key}" in plan.reasons:
            chosen[key] = _without_none(value)
    return chosen


def _without_none(value: Any) -> Any:
    """Return a dictionary, such as a part of the data, without its empty settings."""
    if not isinstance(value, dict):
        return value
    return {key: inner for key, inner in value.items() if inner is not None}


def _changed_task(task: Task) -> dict[str, Any]:
    """Return the settings of a task that do not follow from its kind and its classes."""
    values = task.model_dump(mode="json")
    own = {"kind": values.pop("kind"), "classes": values.pop("classes")}
    default = Task.model_validate(own).model_dump(mode="json")
    for key, value in values.items():
        if value != default[key]:
            own[key] = value
    return own


def _comment(text: str | None, indent: int) -> list[str]:
    """Return the lines of a comment that is wrapped at `WIDTH` characters."""
    lines = []
    for paragraph in (text or "").splitlines():
        for line in textwrap.wrap(paragraph, WIDTH - indent, break_on_hyphens=False):
            lines.append(" " * indent + "# " + line)
    return lines


def _flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    text = yaml.safe_dump(
        value, sort_keys=False, allow_unicode=True, default_flow_style=True, width=10**6
    )
    return text.strip().removesuffix("...").strip()
