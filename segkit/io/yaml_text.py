"""YAML from anybody: of bounded size, depth and aliases, with plain values and no key twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from segkit.errors import ConfigError, DataError
from segkit.io.files import read_text

MOST_BYTES = 2**18
"""Of a file; a config has some hundred."""
MOST_VALUES = 100_000
"""Values of a document where each alias counts as what it stands for: ten aliases of ten aliases are a hundred values."""


def read_yaml(path: Path) -> Any:
    """Return the values in a YAML file.

    Args:
        path: The file, in UTF-8.

    Raises:
        ConfigError: It names the file. The code is "missing-file", "not-a-config" or "given-twice".
    """
    try:
        text = read_text(path, MOST_BYTES)
    except DataError as problem:  # a pipe, or too large
        raise ConfigError(str(problem), "not-a-config") from problem
    except OSError as problem:
        raise ConfigError(
            f"{path}: cannot be read ({problem.strerror})", "missing-file"
        ) from problem
    except UnicodeDecodeError as problem:
        raise ConfigError(
            f"{path}: not UTF-8 text; save it as UTF-8 ({problem.reason})", "not-a-config"
        ) from problem
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
        raise ConfigError(
            "not YAML: too many lists or tables in each other", "not-a-config"
        ) from problem
    except (
        Exception
    ) as problem:  # YAMLError, and whatever Python says of !!bool maybe or a date of 30 February
        raise ConfigError(f"not YAML: {problem}", "not-a-config") from problem


class _Loader(yaml.SafeLoader):
    """Refuses a key given twice, of which the first would be lost, and aliases that stand for too much."""

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
        raise ConfigError(
            f"line {node.start_mark.line + 1}: given twice: {', '.join(twice)}", "given-twice"
        )


def _count(node: yaml.Node, counted: dict[int, int]) -> int:
    """Return the values in a node. Raises `ConfigError` if there are too many, or if it holds itself.

    `counted` has the number of each node that was counted before, 0 for those that are being
    counted.
    """
    key = id(node)
    if counted.get(key) == 0:
        raise ConfigError(
            f"line {node.start_mark.line + 1}: an alias stands for what it is in", "not-a-config"
        )
    if key not in counted:
        counted[key] = 0
        counted[key] = 1 + sum(_count(child, counted) for child in _children(node))
    if counted[key] > MOST_VALUES:
        line = node.start_mark.line + 1
        raise ConfigError(
            f"line {line}: more than {MOST_VALUES:,} values, aliases included", "not-a-config"
        )
    return counted[key]


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []
