"""The page of all config settings, written from the classes in segkit/config."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from segkit.config import Config, PartConfig, VectorConfig
from segkit.config.loss import TERMS
from segkit.task import Task

START = """\
# All settings

A config is a YAML file with the sections below. Only `task` and the location of the data are
required; every other setting has a default. `--set train.epochs=5` changes a setting on the command
line. This page is generated from the classes that check a config, so it lists every setting.
"""
TASK_NEEDS = ("kind", "classes")
"""The settings of a task that have no default; the others follow from these two."""
FILLED = "depends on `kind` and `classes`"
TABLES = {
    "PartConfig": "a table of [files for this part](#files-of-a-part)",
    "VectorConfig": "a table of [settings of vector labels](#vector-labels)",
    "GroupsConfig": "a pattern, or a table with one of `pattern`, `folder` and `column`",
}
"""How the settings are described that are tables of settings."""
MEASURED = ("input", "mask_files")
"""Sections that training writes into the run's config."""
MEASURED_NOTE = "Training measures this section and saves it in the run's `config.yaml`."


class Setting(NamedTuple):
    """One setting: its dotted name, allowed values, default and description, as Markdown."""

    name: str
    values: str
    default: str
    description: str


def settings_page() -> str:
    """Return the page as Markdown: a heading per section and per setting."""
    parts = [START]
    for name, field in Config.model_fields.items():
        section = section_of(field)
        if section is None:
            parts.append(f"## {name}\n")
            parts.append(_entry(_top_level(name)))
            if name == "loss":
                parts.append(loss_terms())
            continue
        parts.append(f"## {name}\n")
        parts.append(f"{_summary(section)}\n")
        if name in MEASURED:
            parts.append(f"{MEASURED_NOTE}\n")
        parts.extend(_entry(setting) for setting in settings_of(section, name))
        if name == "data":
            parts.append(part_settings())
            parts.append(vector_settings())
    return "\n".join(parts)


def all_settings() -> list[str]:
    """Return the dotted names of all settings."""
    names = []
    for name, field in Config.model_fields.items():
        section = section_of(field)
        if section is None:
            names.append(name)
        else:
            names.extend(f"{name}.{inner}" for inner in section.model_fields)
    return names


def settings_of(section: type[BaseModel], name: str) -> Iterator[Setting]:
    """Yield the settings of a section, and those of a section inside it below their setting."""
    schema = section.model_json_schema()
    descriptions = attribute_docstrings(section)
    for inner, field in section.model_fields.items():
        values = describe_values(schema["properties"][inner])
        description = field.description or descriptions.get(inner, "")
        yield Setting(f"{name}.{inner}", values, default_of(section, inner), description)


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """Return the class of a field that is a section of settings, None for a field that is a
    value.
    """
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def default_of(section: type[BaseModel], name: str) -> str:
    """Return a setting's default as YAML in code marks, or that it is required."""
    field = section.model_fields[name]
    if section is Task and name not in TASK_NEEDS and field.is_required():
        return FILLED
    if field.is_required():
        return "required"
    return f"`{json.dumps(field.get_default(call_default_factory=True), default=str)}`"


def describe_values(schema: dict[str, Any]) -> str:
    """Return which values a JSON schema allows.

    >>> describe_values({"type": "integer", "minimum": 0, "maximum": 127})
    'integer from 0 to 127'
    >>> describe_values({"anyOf": [{"enum": ["a", "b"]}, {"type": "null"}]})
    '`a`, `b`, `null`'
    """
    if "anyOf" in schema:
        return ", ".join(describe_values(choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "$ref" in schema:
        kind = schema["$ref"].rsplit("/", 1)[1]
        return TABLES.get(kind, kind)
    kind = schema.get("type", "any")
    if kind in ("integer", "number"):
        return f"{kind}{_range(schema)}"
    if kind == "array":
        return _array(schema)
    if kind == "object":
        inner = schema.get("additionalProperties")
        values = describe_values(inner) if isinstance(inner, dict) else "value"
        return f"table (name: {values})"
    names = {"null": "`null`", "boolean": "`true`, `false`", "string": "text"}
    return "path" if schema.get("format") == "path" else names.get(kind, kind)


def _range(schema: dict[str, Any]) -> str:
    low = schema.get("minimum")
    above = schema.get("exclusiveMinimum")
    high = schema.get("maximum")
    below = schema.get("exclusiveMaximum")
    if above == 0 and schema["type"] == "integer":
        low = 1
        above = None
    words = ""
    if low is not None:
        words += f" from {low:g}"
    if above is not None:
        words += f" above {above:g}"
    if high is not None:
        words += f" to {high:g}"
    if below is not None:
        words += f" to below {below:g}"
    return words


def _array(schema: dict[str, Any]) -> str:
    items = schema.get("prefixItems")
    if items:
        return f"list of {len(items)}: {describe_values(items[0])}"
    return f"list of {describe_values(schema.get('items', {}))}"


def attribute_docstrings(section: type[BaseModel]) -> dict[str, str]:
    """Return the docstring below each field of a class and of its bases."""
    found: dict[str, str] = {}
    for kind in reversed(section.__mro__):
        if not issubclass(kind, BaseModel) or kind is BaseModel:
            continue
        [body] = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
        assert isinstance(body, ast.ClassDef)
        for statement, after in zip(body.body, body.body[1:], strict=False):
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                text = _text(after)
                if text:
                    found[statement.target.id] = text
    return found


def _text(statement: ast.stmt) -> str:
    """Return the text of a statement that is a docstring, with single spaces."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return " ".join(str(statement.value.value).split())
    return ""


def part_settings() -> str:
    """Return a table of the settings of a part of the data that has files of its own."""
    rows = ["| setting of `data.validation`, `data.test` | values |", "|---|---|"]
    for setting in settings_of(PartConfig, "part"):
        rows.append(f"| `{setting.name.removeprefix('part.')}` | {setting.values} |")
    head = "### Files of a part { #files-of-a-part }"
    return "\n".join([head, "", _summary(PartConfig), "", *rows, ""])


def vector_settings() -> str:
    """Return a table of the settings of the vector labels of a map."""
    rows = ["| setting of `data.vector` | values | default | |", "|---|---|---|---|"]
    for setting in settings_of(VectorConfig, "vector"):
        name = setting.name.removeprefix("vector.")
        description = " ".join(setting.description.split())
        rows.append(f"| `{name}` | {setting.values} | {setting.default} | {description} |")
    head = "### Vector labels { #vector-labels }"
    return "\n".join([head, "", _summary(VectorConfig), "", *rows, ""])


def loss_terms() -> str:
    """Return a table of the settings of every loss, with their defaults."""
    rows = ["| loss | settings and their defaults |", "|---|---|"]
    for name, term in sorted(TERMS.items()):
        settings = [
            f"`{inner}` = {json.dumps(field.default)}" for inner, field in term.model_fields.items()
        ]
        rows.append(f"| `{name}` | {', '.join(settings)} |")
    return "\n".join([*rows, "", "[Which loss](../how-to/losses.md) explains each of them.", ""])


def _top_level(name: str) -> Setting:
    values = describe_values(Config.model_json_schema()["properties"][name])
    field = Config.model_fields[name]
    description = field.description or attribute_docstrings(Config).get(name, "")
    return Setting(name, values, default_of(Config, name), description)


def _entry(setting: Setting) -> str:
    lines = [
        f"### `{setting.name}` {{ #{setting.name.replace('.', '-')} }}\n",
        f"{setting.values} · default: {setting.default}"
        if setting.default != "required"
        else f"{setting.values} · required",
        "",
    ]
    if setting.description:
        lines += [setting.description, ""]
    return "\n".join(lines)


def _summary(section: type[BaseModel]) -> str:
    return inspect.cleandoc(section.__doc__ or "").split("\n\n")[0]
