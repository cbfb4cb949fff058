"""A plan as YAML that `segkit train` takes as it is, with the reason above each value."""

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
GIVEN = "as you said, in a config or with --set"
TOGETHER = "the paths below start at the folder of this file, so that it can be moved together with the data"
HEADER = """Made by `{command}`. Change what you know better; each value stands below its reason.
Train with: segkit train {name}"""


def as_yaml(plan: Plan, command: str, name: str, folder: Path | None = None) -> str:
    """Return the config with its reasons as comments; what has no reason and is left at its default is not written.

    With the `folder` that the file will be in, the paths of the data are relative to it.
    """
    lines = _comment(HEADER.format(command=command, name=name), 0)
    chosen = _chosen(plan)
    if folder is not None and "data" in chosen:
        chosen["data"] = _relative(chosen["data"], folder)
    for section, content in chosen.items():
        lines += ["", *_comment(plan.reasons.get(section), 0)]
        if not isinstance(content, dict):
            lines.append(f"{section}: {_flow(content)}")
            continue
        lines.append(f"{section}:")
        for key, value in content.items():
            reason = plan.reasons.get(
                f"{section}.{key}", None if section in plan.reasons else GIVEN
            )
            if (section, key) == ("data", "relative_to"):
                reason = TOGETHER
            lines += [*_comment(reason, 2), f"  {_flow(key)}: {_flow(value)}"]
    return "\n".join(lines) + "\n"


def _relative(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the section `data` with paths that are relative to a folder; itself if one is on another drive."""
    relative: dict[str, Any] = {"relative_to": "config"}
    try:
        for key, value in data.items():
            relative[key] = _relative_value(key, value, folder)
    except ValueError:  # Windows: on another drive
        return data
    return relative


def _relative_value(key: str, value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return {name: _relative_value(name, inner, folder) for name, inner in value.items()}
    if key in PATH_SETTINGS and isinstance(value, str):
        return Path(os.path.relpath(value, folder)).as_posix()
    return value


def _chosen(plan: Plan) -> dict[str, Any]:
    """Return the values to write, by section: those with a reason, and those that are not the default."""
    everything = plan.config.model_dump(mode="json")
    changed = plan.config.model_dump(mode="json", exclude_defaults=True) | {
        "task": _brief(plan.config.task)
    }
    chosen: dict[str, Any] = {}
    for section, content in everything.items():
        if not isinstance(content, dict) or section in plan.reasons:
            if section in changed or section in plan.reasons:
                chosen[section] = content
            continue
        keys = [
            key
            for key in content
            if key in changed.get(section, {}) or f"{section}.{key}" in plan.reasons
        ]
        if keys:
            chosen[section] = {key: _given(content[key]) for key in keys}
    return chosen


def _given(value: Any) -> Any:
    """Leave out what a part of the data does not say."""
    return (
        {key: inner for key, inner in value.items() if inner is not None}
        if isinstance(value, dict)
        else value
    )


def _brief(task: Task) -> dict[str, Any]:
    """Return what the task's kind and classes do not say already."""
    plain = Task.model_validate({"kind": task.kind, "classes": task.classes}).model_dump(
        mode="json"
    )
    given = task.model_dump(mode="json")
    return {
        key: value
        for key, value in given.items()
        if key in ("kind", "classes") or value != plain[key]
    }


def _comment(text: str | None, indent: int) -> list[str]:
    lines = (text or "").splitlines()
    return [
        " " * indent + "# " + part
        for line in lines
        for part in textwrap.wrap(line, WIDTH - indent, break_on_hyphens=False)
    ]


def _flow(value: Any) -> str:
    text = yaml.safe_dump(
        value, sort_keys=False, allow_unicode=True, default_flow_style=True, width=10**6
    )
    return text.strip().removesuffix("...").strip()
