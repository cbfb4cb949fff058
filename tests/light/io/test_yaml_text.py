"""YAML from anybody ends in values of bounded size, or in one error."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from segkit import ConfigError, RunError
from segkit.config import as_config, read
from segkit.io import yaml_text
from segkit.io.yaml_text import parse_yaml
from segkit.run import tuned
from tests.helpers.errors import fails

pytestmark = pytest.mark.long

TASK = "task: {kind: binary, classes: [crack]}\n"


def bomb(levels: int, width: int = 9) -> str:
    """Return some hundred bytes that stand for width ** levels values."""
    lines = ["a0: &a0 [" + ", ".join(["lol"] * width) + "]"]
    lines += [f"a{i}: &a{i} [" + ", ".join([f"*a{i - 1}"] * width) + "]" for i in range(1, levels)]
    return "\n".join(lines)


def merged(levels: int) -> str:
    lines = ["m0: &m0 {a: 1}"]
    lines += [
        f"m{i}: &m{i} {{<<: [" + ", ".join([f"*m{i - 1}"] * 9) + "]}" for i in range(1, levels)
    ]
    return "\n".join(lines)


HOSTILE = {
    "aliases": bomb(12),
    "aliases in a section": TASK
    + "data:\n"
    + "\n".join("  " + line for line in bomb(12).splitlines()),
    "merged keys": merged(12),
    "holds itself": "a: &a [*a]",
    "holds itself as a value": "a: &a {b: *a}",
    "lists in lists": "a: " + "[" * 500,
    "tables in tables": "a: " + "{b: " * 500 + "}" * 500,
    "digits": "a: " + "9" * 5000,
    "a date": "a: 2026-02-30",
    "a tag": "a: !!python/object/apply:os.system [ls]",
    "another tag": "a: !!bool maybe",
    "a list as a table": "a: !!map [1, 2]",
    "a list as a key": "{[a]: b}",
    "a control character": "a: \x1b",
    "a tab": "a:\n\t- b",
    "nothing of it closed": "a: [1, {b: 'c",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=list(HOSTILE))
def test_hostile_yaml_is_one_quick_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text, encoding="utf-8")
    began = time.process_time()
    with fails(ConfigError, "not-a-config", path) as problem:
        read(path)
    assert time.process_time() - began < 10
    assert len(str(problem.value)) < 12_000
    with fails(RunError, "damaged-file", path):
        tuned.read_tuned(path)
    with pytest.raises(ConfigError):
        parse_yaml(text)


def test_hostile_values_on_the_command_line_are_one_error(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(TASK)
    for text in ("[" * 500, "&a [*a]", "9" * 5000, "2026-02-30"):
        with fails(ConfigError, "not-a-config", setting="--set"):
            as_config(path, [f"train.epochs={text}"])
        with fails(ConfigError, "not-a-config", setting="--set"):
            as_config(as_config(path), [f"train.epochs={text}"])


def test_aliases_within_bounds_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_yaml("a: &a [1, 2]\nb: *a\nc: {<<: {d: 1}, e: *a}") == {
        "a": [1, 2],
        "b": [1, 2],
        "c": {"d": 1, "e": [1, 2]},
    }
    monkeypatch.setattr(yaml_text, "MOST_VALUES", 50)
    assert len(parse_yaml(f"[{', '.join(['1'] * 49)}]")) == 49
    for text in (f"[{', '.join(['1'] * 50)}]", f"[&a [{', '.join(['1'] * 20)}], *a, *a]"):
        with fails(ConfigError, "not-a-config", 50):
            parse_yaml(text)


def test_a_long_value_is_shown_in_short(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(TASK + "train: {epochs: [" + ", ".join(["1"] * 2000) + "]}")
    with fails(ConfigError, "wrong-value", setting="train.epochs") as problem:
        read(path)
    assert len(str(problem.value)) < 3000


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_written_is_read_back(value: object) -> None:
    assert parse_yaml(yaml.safe_dump(value)) == value


@given(st.text(st.sampled_from("a&*[]{}:,-!|>%@`'\"\n\t #<?0.") | st.characters(), max_size=40))
@settings(max_examples=300)
def test_any_text_is_a_value_or_a_config_error(text: str) -> None:
    try:
        parse_yaml(text)
    except ConfigError as problem:
        assert problem.code in ("not-a-config", "given-twice")  # noqa: PT017
