"""Areas of slides with masks that are drawn from shapes, without the whole slide in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict

from segkit.config import DataConfig
from segkit.data.rasterise import Patch, Shape, Size, draw_in
from segkit.data.sources.label_source import Labels, LabelSource, Region, naming_region
from segkit.data.sources.source import Sample
from segkit.io.raster_windows import open_windowed
from segkit.io.slide_addresses import is_slide
from segkit.io.slides import slide_shape
from segkit.task import Task

IMAGES_IN_MEMORY = 4
"""Slides whose shapes are in memory."""


class SlideLabelSource(LabelSource):
    """A source of labels that also reads areas of slides."""

    def __init__(self, labels: Labels, task: Task, data: DataConfig) -> None:
        super().__init__(labels, task, data)
        self._regions: OrderedDict[str, list[Region]] = OrderedDict()
        self._lock = threading.Lock()

    def size_of_areas(self, name: str) -> Size | None:
        """Return height and width of an image that `read_area` reads: that of a slide.

        None for other images, which are read whole.

        Raises:
            DataError: If the slide cannot be read.
        """
        path = self.labels.images[name].path
        return slide_shape(path) if is_slide(path) else None

    def read_area(self, name: str, rows: slice, columns: slice) -> Sample:
        """Read an area of a slide.

        Args:
            name: One of `names`.
            rows: Rows within the image, with start and stop.
            columns: Columns within the image, with start and stop.

        Raises:
            ConfigError: If a shape needs a setting.
            DataError: With the file and the shape that is wrong.
        """
        labelled = self.labels.images[name]
        where = f"{labelled.file} ({name})"
        with open_windowed(labelled.path, bands=self.data.bands) as image:
            values = image.read(rows, columns)
            size = (image.height, image.width)

        def drawn(region: Region) -> Patch | None:
            return draw_in(region.shape(size), size, rows, columns)

        area = (rows.stop - rows.start, columns.stop - columns.start)
        mask = self.mask_of(self._regions_of(name, size, where), area, where, drawn)
        return Sample(name, values, mask, geometry=self.geometry(name))

    def _regions_of(self, name: str, size: Size, where: str) -> list[Region]:
        """Return the regions of a slide with their shapes; those of the last slides are kept."""
        with self._lock:
            regions = self._regions.get(name)
            if regions is None:
                labelled = self.labels.images[name]
                found = self.labels.content(labelled).regions if labelled.is_labelled else []
                regions = [_with_shape(region, size, where) for region in found]
                self._regions[name] = regions
            self._regions.move_to_end(name)
            while len(self._regions) > IMAGES_IN_MEMORY:
                self._regions.popitem(last=False)
            return regions


def _with_shape(region: Region, size: Size, where: str) -> Region:
    """Return a region whose shape is made already."""
    with naming_region(region, where):
        shape = region.shape(size)

    def made(size: Size) -> Shape:
        return shape

    return region._replace(shape=made)
