"""YOLO: the objects as lines of polygons, one text file per image.

The files are those of `segkit convert --to yolo`; see `segkit.data.label_formats.yolo`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segkit.data.label_formats.yolo import DESCRIPTION, description, polygon_line
from segkit.errors import ConfigError
from segkit.inference.outputs.object_polygons import object_polygons
from segkit.inference.outputs.prediction import Output, PredictedImage
from segkit.io.atomic import write_text
from segkit.io.files import read_text
from segkit.io.names import file_in
from segkit.task import Task

CLASSES = "classes.txt"
LARGEST = 2**24
"""Bytes of classes.txt."""


class Yolo(Output):
    """Writes DIR-yolo/labels/NAME.txt, and the names of the classes in classes.txt and data.yaml.

    classes.txt is for programs that read the text files, data.yaml for a data set with the images
    in DIR-yolo/images.
    """

    ending = "-yolo"
    has_polygons = True

    def __init__(self, task: Task, masks: Path) -> None:
        super().__init__(task, masks)
        self.labels = [task.classes[index] for index in task.foreground]

    def check_folder(self) -> None:
        """Check that the text files in the folder have the classes of this run.

        They contain numbers of classes only.

        Raises:
            ConfigError: If they have other classes.
        """
        path = self.folder / CLASSES
        if not path.exists():
            return
        found = read_text(path, LARGEST).removesuffix("\n").split("\n")
        if found != self.labels:
            raise ConfigError(
                f"{path} names the classes {', '.join(found)}, and this run has "
                f"{', '.join(self.labels)}; choose another folder, or remove {self.folder}",
                "mismatch",
                setting="--out",
            )

    def paths(self, name: str) -> list[Path]:
        return [file_in(self.folder / "labels", name, ".txt")]

    def write(self, predicted: PredictedImage, paths: Sequence[Path]) -> None:
        polygons = object_polygons(predicted)
        _, objects = predicted.objects
        height, width = predicted.mask.shape[:2]
        lines = []
        for found in objects:
            number = self.labels.index(predicted.task.classes[found.label])
            for rings in polygons[found.number]:
                lines.append(polygon_line(number, rings, (height, width)))
        paths[0].write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def merge(self) -> None:
        write_text(self.folder / CLASSES, "".join(f"{label}\n" for label in self.labels))
        write_text(self.folder / DESCRIPTION, description({"train": "images"}, self.labels))
