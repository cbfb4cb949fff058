"""Reads CZI, the files of Zeiss' microscopes. The tiles of a mosaic are one image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from segkit.errors import DataError
from segkit.io.microscopes.czi_directory import check_tiles
from segkit.io.microscopes.open_file import (
    MICROMETRES,
    PER_METRE,
    ImageAxes,
    MicroscopeFile,
    reader,
)
from segkit.io.pages import MOST_PAGES

SCENE = "S"
"""The dimension of CZI that is the number of a scene."""
COLOURS = "Bgr"
"""The beginning of pixel types of which a pixel is a colour, in the order blue, green, red."""


class CziFile(MicroscopeFile):
    """An open CZI file. Its scenes are its images."""

    may_have_gaps = True

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        check_tiles(path)
        self._reader = reader("pylibCZIrw.czi").CziReader(str(path))
        scenes = self._reader.scenes_bounding_rectangle_no_pyramid
        self._scenes: list[int | None] = sorted(scenes)
        self._areas = [scenes[scene] for scene in self._scenes]
        if not scenes:
            self._scenes = [None]
            self._areas = [self._reader.total_bounding_rectangle_no_pyramid]

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    @cached_property
    def images(self) -> Sequence[ImageAxes]:
        found = []
        for area, lengths in zip(self._areas, self._lengths(), strict=True):
            named = {**lengths, "Y": int(area.h), "X": int(area.w)}
            if self._has_colours:
                named["S"] = 3
            found.append(ImageAxes(named, self._spacing))
        return found

    def read(
        self, image: int, position: Mapping[str, int], rows: slice, columns: slice
    ) -> np.ndarray:
        area = self._area(image, rows, columns)
        plane = dict(position)
        if not self._tiles(image, position, area) and not self._tiles(image, position, None):
            raise self.not_recorded(image, position)
        values = self._reader.read(roi=area, plane=plane, scene=self._scenes[image])
        if values.shape[-1] == 1:
            return np.array(values[..., 0])
        return np.array(values[..., ::-1])

    def covered(
        self, image: int, position: Mapping[str, int], rows: slice, columns: slice
    ) -> np.ndarray | None:
        left, top, width, height = self._area(image, rows, columns)
        recorded = np.zeros((height, width), bool)
        for tile in self._tiles(image, position, (left, top, width, height)):
            first_row = max(0, tile.y - top)
            first_column = max(0, tile.x - left)
            last_row = max(0, tile.y + tile.h - top)
            last_column = max(0, tile.x + tile.w - left)
            recorded[first_row:last_row, first_column:last_column] = True
        if recorded.all():
            return None
        return recorded

    def _area(self, image: int, rows: slice, columns: slice) -> tuple[int, int, int, int]:
        """Return left, top, width and height of a window in the coordinates of the file."""
        area = self._areas[image]
        return (
            area.x + columns.start,
            area.y + rows.start,
            columns.stop - columns.start,
            rows.stop - rows.start,
        )

    def _tiles(
        self, image: int, position: Mapping[str, int], area: tuple[int, int, int, int] | None
    ) -> list[Any]:
        """Return the rectangles of the recorded tiles of a plane, of an area or of all of it."""
        found: list[Any] = []

        def note(_: int, tile: Any) -> bool:
            found.append(tile.logicalRect)
            return True

        plane = {axis: position.get(axis, 0) for axis in self._dimensions if axis != SCENE}
        scene = self._scenes[image]
        if scene is not None:
            plane[SCENE] = scene
        self._reader.enumerate_subblocks_subset(note, plane=plane, roi=area, only_layer0=True)
        return found

    @cached_property
    def _dimensions(self) -> list[str]:
        """The dimensions that tiles have a position along."""
        found: list[str] = []

        def note(_: int, tile: Any) -> bool:
            found.extend(tile.coordinate.to_dict())
            return False  # all tiles have the same dimensions

        self._reader.enumerate_subblocks(note)
        return found

    def _lengths(self) -> list[dict[str, int]]:
        """Return the length of each axis of each scene, except rows and columns."""
        whole = {}
        for axis, (start, stop) in self._reader.total_bounding_box.items():
            if axis not in "XY":
                whole[axis] = int(stop - start)
        if math.prod(whole.values()) > MOST_PAGES:  # a damaged file may name billions
            raise DataError(f"{self.path}: names more than {MOST_PAGES} planes", "pages")
        if len(self._scenes) == 1:
            return [whole]
        lengths: dict[int, dict[str, int]] = {}

        def note(_: int, tile: Any) -> bool:
            position = tile.coordinate.to_dict()
            of_scene = lengths.setdefault(position[SCENE], dict.fromkeys(whole, 1))
            for axis in whole:
                of_scene[axis] = max(of_scene[axis], position.get(axis, 0) + 1)
            return True

        self._reader.enumerate_subblocks_subset(note, only_layer0=True)
        return [lengths[scene] for scene in self._scenes if scene is not None]

    @cached_property
    def _has_colours(self) -> bool:
        kinds = self._reader.pixel_types.values()
        return any(kind.startswith(COLOURS) for kind in kinds)

    @cached_property
    def _spacing(self) -> dict[str, tuple[Any, str]]:
        """The distances that the metadata state, which are in metres."""
        root = ElementTree.fromstring(self._reader.raw_metadata)  # noqa: S314 (expat limits the growth of entities)
        found = {}
        for distance in root.iterfind(".//Scaling/Items/Distance"):
            metres = distance.findtext("Value")
            if metres:
                found[str(distance.get("Id"))] = (float(metres) * PER_METRE, MICROMETRES)
        return found
