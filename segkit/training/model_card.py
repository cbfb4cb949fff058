"""README.md in a run folder: a model card with the metadata that model hubs read.

The format is that of Hugging Face: https://huggingface.co/docs/hub/model-cards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jinja2
import yaml

from segkit.config import RunConfig
from segkit.data.pixel_size import size_in_words
from segkit.evaluation.open_pixels import scored_pixels
from segkit.task import Task

METRICS = {
    "dice_foreground": ("dice", "foreground Dice"),
    "iou_foreground": ("iou", "foreground IoU"),
}
"""Type and name, in the metadata, of the scores in "mean" of scores.json."""


class ScoreRow(NamedTuple):
    """A score as the card shows it."""

    name: str
    value: str
    interval: str
    """95 % interval; a hyphen where the report has none."""


def model_card(
    name: str, config: RunConfig, images: Mapping[str, int], report: Mapping[str, Any] | None
) -> str:
    """Return the card of a run as Markdown with a YAML header.

    Args:
        name: Name of the model, such as the name of the run folder.
        config: The config of the run.
        images: Number of samples of each part: "train", "validation" and "test".
        report: The content of scores.json; None if the run has no scores.

    Returns:
        The text of README.md. The license is "other" until somebody chooses one.
    """
    metadata: dict[str, Any] = {
        "library_name": "keras",
        "pipeline_tag": "image-segmentation",
        "license": "other",
        "tags": ["segkit", "image-segmentation", config.task.kind],
    }
    if report is not None:
        metadata["model-index"] = [_model_index(name, report)]
    values: dict[str, Any] = {
        "header": yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True),
        "name": name,
        "config": config,
        "pixel_size": _pixel_size(config),
        "images": images,
        "report": report,
        "scored_pixels": scored_pixels(report or {}),
    }
    if report is not None:
        values["scores"] = _score_rows(config.task, report)
    return _environment().get_template("model_card.md.jinja").render(values)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("segkit.training", "templates"),
        autoescape=False,  # noqa: S701 (Markdown, and names are escaped by `escape`)
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["plain"] = escape
    return environment


def _pixel_size(config: RunConfig) -> str:
    """Return the median pixel size of the training images in words; "" if it is unknown."""
    size = config.input.pixel_size
    if size is None:
        return ""
    return size_in_words(size, config.input.pixel_unit)


def escape(text: object) -> str:
    r"""Return text on one line, in which Markdown and HTML have no meaning.

    >>> print(escape("a|b <i>*x*"))
    a\|b \<i\>\*x\*
    """
    found = str(text)
    for character in "\\`*_{}[]<>#|":
        found = found.replace(character, "\\" + character)
    return " ".join(found.split())


def _model_index(name: str, report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scores as the metadata holds them."""
    metrics = []
    for key, (kind, label) in METRICS.items():
        value = report["mean"].get(key)
        if value is not None:
            metrics.append({"type": kind, "name": label, "value": round(value, 4)})
    name_of_data = f"{report['part']} part, {report['images']} images"
    if report["part"] == "folds":
        name_of_data = f"{report['folds']} folds, not of this model, {report['images']} images"
    dataset = {"type": "custom", "name": name_of_data}
    result = {
        "task": {"type": "image-segmentation"},
        "dataset": dataset,
        "metrics": metrics,
    }
    return {"name": name, "results": [result]}


def _score_rows(task: Task, report: Mapping[str, Any]) -> list[ScoreRow]:
    """Return the mean scores and the Dice of each foreground class."""
    intervals = report.get("intervals", {})
    rows = []
    for key, (_, label) in METRICS.items():
        ends = intervals.get("mean", {}).get(key)
        rows.append(_score_row(label, report["mean"].get(key), ends))
    for index in task.foreground:
        name = task.classes[index]
        ends = intervals.get("classes", {}).get(name, {}).get("dice")
        rows.append(_score_row(f"Dice of {name}", report["classes"][name]["dice"], ends))
    return rows


def _score_row(name: str, value: float | None, ends: Mapping[str, Any] | None) -> ScoreRow:
    text = "-" if value is None or math.isnan(value) else f"{value:.3f}"
    if ends is None or ends.get("low") is None:
        return ScoreRow(name, text, "-")
    return ScoreRow(name, text, f"{ends['low']:.3f} to {ends['high']:.3f}")
