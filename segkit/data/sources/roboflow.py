"""A COCO export of Roboflow: folders train, valid and test, each with images and a COCO file.

Source: https://roboflow.com/formats/coco-json.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from segkit.config import DataConfig
from segkit.data.sources.coco import CocoSource
from segkit.data.sources.label_images import folder_of_images
from segkit.data.sources.pair_names import PARTS
from segkit.data.sources.source import Sample
from segkit.errors import DataError
from segkit.io.geometry import Geometry
from segkit.task import Task

FILE = "_annotations.coco.json"
"""The name of the COCO file in each folder."""


class RoboflowSource:
    """The images of all folders of an export. A sample is called like its folder and its image.

    Args:
        folders: The folders by their names; "" for an export without folders.
        task: The task whose masks are made.
        data: The `data` section of a config.

    Raises:
        ConfigError: If a setting does not fit.
        DataError: If a COCO file is not valid.
    """

    def __init__(self, folders: Mapping[str, Path], task: Task, data: DataConfig) -> None:
        self._sources: dict[str, CocoSource] = {}
        self._places: dict[str, tuple[CocoSource, str]] = {}
        self.parts: dict[str, list[str]] = {}
        for folder, path in folders.items():
            source = CocoSource(path, path / FILE, task, data)
            self._sources[folder] = source
            names = {f"{folder}/{name}" if folder else name: name for name in source.names}
            for name, own in names.items():
                self._places[name] = (source, own)
            if len(folders) > 1:
                self.parts[PARTS[folder]] = list(names)
        self.names = list(self._places)

    @property
    def skipped(self) -> dict[str, int]:
        """Number of entries skipped so far, by the code of their problem."""
        counts: Counter[str] = Counter()
        for source in self._sources.values():
            counts.update(source.skipped)
        return dict(counts)

    @property
    def read_as(self) -> str:
        """How regions with `iscrowd: 1` are read, in words; "" if there are none."""
        words = dict.fromkeys(source.read_as for source in self._sources.values())
        return "; ".join(word for word in words if word)

    @property
    def decisions(self) -> list[tuple[str, str]]:
        """Guesses about the files that the user should check: a code and a sentence."""
        found: list[tuple[str, str]] = []
        for source in self._sources.values():
            found += source.decisions
        return found

    def image_file(self, name: str) -> Path:
        """Return the path of a sample's image; raises `DataError` if it is missing."""
        source, own = self._places[name]
        return source.image_file(own)

    def files(self, name: str) -> list[Path]:
        """Return all files that a sample is read from."""
        source, own = self._places[name]
        return source.files(own)

    def geometry(self, name: str) -> Geometry | None:
        """Return the physical size and place of a sample's image, from the header of its file."""
        source, own = self._places[name]
        return source.geometry(own)

    def read(self, name: str) -> Sample:
        """Read a sample; raises `DataError` if that fails."""
        source, own = self._places[name]
        return source.read(own)._replace(name=name)


def open_roboflow(data: DataConfig, task: Task) -> RoboflowSource:
    """Open the roboflow source of a config's `data` section.

    Args:
        data: The section. `images` is the folder of the export.
        task: The task whose masks are made.

    Raises:
        ConfigError: If a setting is missing or does not fit.
        DataError: If there is no COCO file of Roboflow, or if one is not valid.
    """
    root = folder_of_images(data.images, "roboflow")
    folders = folders_of(root)
    if not folders:
        raise DataError(
            f"{root}: neither this folder nor train, valid and test in it contain {FILE}", "empty"
        )
    return RoboflowSource(folders, task, data)


def folders_of(root: Path) -> dict[str, Path]:
    """Return the folders of an export that have a COCO file, by name; {} if there is none."""
    found = {}
    for name in PARTS:
        if (root / name / FILE).is_file():
            found[name] = root / name
    if not found and (root / FILE).is_file():
        found[""] = root
    return found
