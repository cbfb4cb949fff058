"""Label Studio: tasks to import, with a prediction of brush strokes that people can correct.

The brush strokes are those of `segkit convert --to labelstudio`; see
`segkit.data.label_formats.labelstudio`. Source: https://labelstud.io/guide/predictions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segkit.data.label_formats.labelstudio import UNLABELLED, address_of, brushes
from segkit.data.label_formats.unlabelled import check_no_class, with_unlabelled
from segkit.inference.outputs.listing import list_parts, read_listing
from segkit.inference.outputs.object_layers import object_layers, pixels_without_data
from segkit.inference.outputs.prediction import Output, PredictedImage
from segkit.io.atomic import atomic
from segkit.io.names import file_in
from segkit.task import Task

MODEL = "segkit"
"""The name of the model that made the predictions."""


class LabelStudio(Output):
    """Writes DIR-labelstudio/parts/NAME.json for each image, and DIR-labelstudio/tasks.json."""

    ending = "-labelstudio"

    def __init__(self, task: Task, masks: Path) -> None:
        super().__init__(task, masks)
        check_no_class(task, UNLABELLED, "Label Studio")

    def paths(self, name: str) -> list[Path]:
        return [file_in(self.folder / "parts", name, ".json")]

    def write(self, predicted: PredictedImage, paths: Sequence[Path]) -> None:
        paths[0].write_text(json.dumps(_task_of(predicted), ensure_ascii=False), encoding="utf-8")

    def merge(self) -> None:
        path = self.folder / "tasks.json"
        parts = list_parts(self.folder / "parts", ".json").values()
        with atomic(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
            separator = "[\n"
            for number, part in enumerate(parts, 1):
                task = {"id": number, **read_listing(part, dict)}
                stream.write(separator + json.dumps(task, ensure_ascii=False))
                separator = ",\n"
            if separator == "[\n":
                stream.write("[")
            stream.write("\n]\n")


def _task_of(predicted: PredictedImage) -> dict[str, Any]:
    """Return a task without its id. The score of the prediction is that of its objects."""
    without_data = pixels_without_data(predicted)
    layers = with_unlabelled(object_layers(predicted), without_data, UNLABELLED)
    prediction: dict[str, Any] = {"model_version": MODEL, "result": brushes(layers)}
    _, objects = predicted.objects
    pixels = sum(found.area for found in objects)
    if pixels:
        score = sum(found.score * found.area for found in objects) / pixels
        prediction["score"] = round(score, 6)
    return {
        "data": {"image": address_of(_served_path(predicted))},
        "annotations": [],
        "predictions": [prediction],
    }


def _served_path(predicted: PredictedImage) -> str:
    """Return the path of an image below the folder that contains the folder of images.

    Label Studio serves files of that folder if the folder of images is a local storage.
    """
    parents = predicted.path.absolute().parents
    folder = parents[min(predicted.name.count("/"), len(parents) - 1)]
    if not folder.name:
        return predicted.file_name
    return f"{folder.name}/{predicted.file_name}"
