"""Reads YAML from untrusted files, with limits of size and depth, and without repeated keys."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import yaml

from segkit.errors import ConfigError, DataError, one_line
from segkit.io.files import read_text

MOST_BYTES = 2**18
"""Bytes that a file may have; a config has some hundred."""
MOST_VALUES = 100_000
"""Values that a document may have.

An alias counts as the values that it stands for: ten aliases of ten aliases are a hundred values.
"""


def read_yaml(path: Path) -> Any:
    """Return the values in a YAML file.

    Args:
        path: The file, in UTF-8.

    Raises:
        ConfigError: If it cannot be read ("missing-file"), is not YAML or exceeds a limit
            ("not-a-config"), or repeats a key ("given-twice").
    """
    try:
        text = read_text(path, MOST_BYTES)
    except DataError as problem:  # a pipe, or too large
        raise ConfigError(str(problem), "not-a-config") from problem
    except OSError as problem:
        message = f"{path}: cannot be read ({problem.strerror})"
        raise ConfigError(message, "missing-file") from problem
    except UnicodeDecodeError as problem:
        message = f"{path}: not UTF-8 text; save it as UTF-8 ({problem.reason})"
        raise ConfigError(message, "not-a-config") from problem
    try:
        return parse_yaml(text)
    except ConfigError as problem:
        raise problem.with_message(f"{path}: {problem}") from problem


def parse_yaml(text: str) -> Any:
    """Return the values in a YAML text. Raises `ConfigError` as `read_yaml` does."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except ConfigError:
        raise
    except RecursionError as problem:
        message = "not YAML: too many lists or tables in each other"
        raise ConfigError(message, "not-a-config") from problem
    except Exception as problem:  # YAMLError, or an error of Python for a date of 30 February
        raise ConfigError(f"not YAML: {one_line(problem)}", "not-a-config") from problem


class _Loader(yaml.SafeLoader):
    """Refuses repeated keys, of which the first would be lost, and aliases of too many values."""

    def construct_document(self, node: Any) -> Any:
        _count(node, {})
        return super().construct_document(node)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        if isinstance(node, yaml.MappingNode):
            _check_keys(node)
        return super().construct_mapping(node, deep)


def _check_keys(node: yaml.MappingNode) -> None:
    keys = [key.value for key, _ in node.value]
    twice = sorted({key for key in keys if isinstance(key, str) and keys.count(key) > 1})
    if twice:
        line = node.start_mark.line + 1
        raise ConfigError(f"line {line}: given twice: {', '.join(twice)}", "given-twice")


def _count(node: yaml.Node, counted: dict[int, int]) -> int:
    """Return the number of values in a node; refuse too many, and a node that contains itself.

    `counted` has the number of each node that was counted before, and 0 for nodes that are being
    counted.
    """
    key = id(node)
    line = node.start_mark.line + 1
    if counted.get(key) == 0:
        raise ConfigError(f"line {line}: an alias is inside its own value", "not-a-config")
    if key not in counted:
        counted[key] = 0
        counted[key] = 1 + sum(_count(child, counted) for child in _children(node))
    if counted[key] > MOST_VALUES:
        message = f"line {line}: more than {MOST_VALUES:,} values, aliases included"
        raise ConfigError(message, "not-a-config")
    return counted[key]


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return list(itertools.chain.from_iterable(node.value))
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    return []
