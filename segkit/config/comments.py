"""Comments on the settings in a YAML file, such as the reasons that `segkit plan` writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path

from segkit.config.reading import ConfigLike

_KEY = re.compile(r"(  )?(\w+):")
"""The beginning of a line with a section, or with a setting in it."""


def comments_of(config: ConfigLike, overrides: Sequence[str] = ()) -> dict[str, str]:
    """Return the comments in the file of a config, without those on changed settings.

    Args:
        config: The path of a YAML file. Everything else has no comments.
        overrides: Changes of single settings, such as "train.epochs=5".
    """
    if not isinstance(config, str | PathLike):
        return {}
    comments = read_comments(Path(config).read_text(encoding="utf-8", errors="replace"))
    changed = [override.partition("=")[0].strip() for override in overrides]
    return {name: text for name, text in comments.items() if not _is_changed(name, changed)}


def _is_changed(name: str, changed: Sequence[str]) -> bool:
    """Return whether a setting, its section or a value in it is changed."""
    for setting in changed:
        if f"{setting}.".startswith(f"{name}.") or name.startswith(f"{setting}."):
            return True
    return False


def read_comments(text: str) -> dict[str, str]:
    r"""Return the comments directly above the sections and settings of a YAML file.

    Args:
        text: The content of the file, with settings in indented lines as `segkit plan` writes them.

    Returns:
        Comments without their marks, by names such as "train" and "train.epochs".

    >>> read_comments("train:\n  # Enough.\n  epochs: 5\n")
    {'train.epochs': 'Enough.'}
    """
    comments: dict[str, str] = {}
    waiting: list[str] = []
    for line, name in _named_lines(text):
        stripped = line.strip()
        if stripped.startswith("#"):
            waiting.append(stripped.lstrip("#").strip())
            continue
        if waiting and name:
            comments[name] = "\n".join(waiting)
        waiting = []
    return comments


def with_comments(text: str, comments: Mapping[str, str]) -> str:
    r"""Return a YAML file with comments above its sections and settings.

    Args:
        text: The content of the file.
        comments: From `read_comments`. Those on settings that the file does not have are left out.

    >>> print(with_comments("train:\n  epochs: 5\n", {"train.epochs": "Enough."}), end="")
    train:
      # Enough.
      epochs: 5
    """
    lines = []
    for line, name in _named_lines(text):
        indent = line[: len(line) - len(line.lstrip())]
        lines += [f"{indent}# {comment}" for comment in comments.get(name, "").splitlines()]
        lines.append(line)
    return "\n".join(lines) + "\n"


def _named_lines(text: str) -> Iterator[tuple[str, str]]:
    """Yield each line with the name of the section or setting that begins in it, or ""."""
    section = ""
    for line in text.splitlines():
        found = _KEY.match(line)
        if found is None:
            yield line, ""
        elif found[1]:
            yield line, f"{section}.{found[2]}"
        else:
            section = found[2]
            yield line, section
