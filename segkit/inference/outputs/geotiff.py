"""GeoTIFF: the mask as class ids for map programs, a Cloud Optimized GeoTIFF with overviews."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segkit.inference.outputs.prediction import Output, PredictedImage
from segkit.io.names import file_in
from segkit.io.rasters import open_dataset, read_raster_georeference
from segkit.system.packages import need
from segkit.task import VOID, Task
from segkit.task.layers import planes_of


class GeoTiff(Output):
    """Writes DIR-geotiff/NAME.tif: class ids, 0 and 1 in a yes/no task, or a band per class.

    Pixels without data are 255, the nodata value. The file has the same grid as the image, the
    colours of the task, and the names of the classes as tags.
    """

    ending = "-geotiff"
    has_objects = False

    def __init__(self, task: Task, masks: Path) -> None:
        super().__init__(task, masks)
        need("rasterio", "geo")

    def paths(self, name: str) -> list[Path]:
        return [file_in(self.folder, name, ".tif")]

    def write(self, predicted: PredictedImage, paths: Sequence[Path]) -> None:
        planes = planes_of(predicted.mask)
        profile: dict[str, Any] = {}
        if read_raster_georeference(predicted.path) is not None:
            dataset = open_dataset(predicted.path)
            profile = {"crs": dataset.crs, "transform": dataset.transform}
            dataset.close()
        paths[0].write_bytes(cloud_optimized(self.task, planes, profile))


def cloud_optimized(task: Task, planes: np.ndarray, place: dict[str, Any]) -> bytes:
    """Return the bytes of a Cloud Optimized GeoTIFF.

    Args:
        task: The task of the mask.
        planes: (bands, H, W) uint8.
        place: The `crs` and `transform` of rasterio; empty for an image on no map.
    """
    rasterio = need("rasterio", "geo")
    profile = {
        "driver": "COG",
        "count": len(planes),
        "height": planes.shape[1],
        "width": planes.shape[2],
        "dtype": "uint8",
        "nodata": VOID,
        "compress": "deflate",
        "overview_resampling": "nearest",
        "bigtiff": "if_safer",
        **place,
    }
    with rasterio.MemoryFile() as memory:
        with memory.open(**profile) as written:
            written.write(planes)
            _describe(written, task)
        return bytes(memory.read())


def _describe(written: Any, task: Task) -> None:
    """Add the names of the classes, and their colours where one band has ids."""
    if task.layered:
        for band, name in enumerate(task.classes, 1):
            written.set_band_description(band, name)
        return
    names = dict(enumerate(task.classes))
    colours = {value: (*colour, 255) for value, colour in enumerate(task.palette)}
    if not task.stores_ids:  # 0 and 1
        names = {0: "background", 1: task.classes[0]}
        colours = {0: (0, 0, 0, 255), 1: (*task.palette[0], 255)}
    written.update_tags(1, **{f"CLASS_{value}": name for value, name in names.items()})
    written.write_colormap(1, colours)
